import Foundation
import Testing

/// One run of the built program, as a user runs it.
struct Invocation {
    let status: Int32
    let output: String
    let errors: String

    /// The single object that `--json` prints.
    func json() throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: Data(output.utf8))
        return try #require(object as? [String: Any], "not a JSON object: \(output.prefix(200))")
    }
}

/// Runs `zoo` with the given arguments.
///
/// - Parameter environment: variables on top of this process's own; `ZOO_HOME` is an empty folder of this run unless
///   given, so that no test depends on what the machine's user has installed.
func zoo(
    _ arguments: [String], environment: [String: String] = [:], at folder: TemporaryFolder? = nil
) throws -> Invocation {
    try runProgram(program().path, arguments, environment: environment, at: folder)
}

/// Runs a program that finds `zoo` in its search path, in `folder` if given.
func runProgram(
    _ path: String, _ arguments: [String], environment: [String: String] = [:], at folder: TemporaryFolder? = nil
) throws -> Invocation {
    let scratch = try TemporaryFolder()
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    let own = ProcessInfo.processInfo.environment
    let searchPath = try program().deletingLastPathComponent().path + ":" + (own["PATH"] ?? "/usr/bin:/bin")
    process.environment = own.merging(["ZOO_HOME": scratch.path("home"), "PATH": searchPath]) { $1 }
        .merging(environment) { $1 }
    if let folder { process.currentDirectoryURL = URL(filePath: folder.path) }
    // Files instead of pipes: a long output cannot block.
    let (output, errors) = (scratch.path("stdout"), scratch.path("stderr"))
    for path in [output, errors] { #expect(FileManager.default.createFile(atPath: path, contents: nil)) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
    process.standardError = try FileHandle(forWritingTo: URL(filePath: errors))
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit, "zoo \(arguments.joined(separator: " ")) crashed")
    return Invocation(
        status: process.terminationStatus, output: try String(contentsOfFile: output, encoding: .utf8),
        errors: try String(contentsOfFile: errors, encoding: .utf8))
}

/// Runs `zoo` and expects success; the errors are part of the message otherwise.
@discardableResult
func zooSucceeds(
    _ arguments: [String], environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
) throws -> Invocation {
    let result = try zoo(arguments, environment: environment)
    #expect(result.status == 0, "\(result.errors)", sourceLocation: sourceLocation)
    return result
}

/// Runs `zoo` and expects one line on standard error that contains `mention`, nothing on standard output, and the
/// exit code.
func zooFails(
    _ arguments: [String], with status: Int32, mentioning mention: String..., environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let result = try zoo(arguments, environment: environment)
    #expect(result.status == status, "\(arguments): \(result.errors)", sourceLocation: sourceLocation)
    let lines = result.errors.split(separator: "\n")
    #expect(
        lines.count == 1 && result.errors.hasPrefix("zoo: error: "), "\(result.errors)", sourceLocation: sourceLocation)
    for text in mention {
        #expect(result.errors.contains(text), "\(text) not in: \(result.errors)", sourceLocation: sourceLocation)
    }
    #expect(result.output.isEmpty, sourceLocation: sourceLocation)
}

/// The program lies beside the test bundle.
func program() throws -> URL {
    let tests = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    var folder = tests.deletingLastPathComponent()
    while folder.path != "/" {
        let candidate = folder.appending(path: "zoo")
        if FileManager.default.isExecutableFile(atPath: candidate.path), !isFolder(candidate) { return candidate }
        folder.deleteLastPathComponent()
    }
    throw CocoaError(.fileNoSuchFile)
}

private func isFolder(_ url: URL) -> Bool {
    (try? url.resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory ?? false
}

/// A folder that vanishes with its last user.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "zoo-tests-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func path(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a text file and returns its path.
    func write(_ text: String, to name: String) throws -> String {
        try text.write(toFile: path(name), atomically: false, encoding: .utf8)
        return path(name)
    }
}
