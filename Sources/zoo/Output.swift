import Foundation
import ZooCore
import ZooEval
import ZooIO

/// The two streams: results on standard output, everything else on standard error.
enum Output {
    /// Writes a result to standard output. A reader that has gone away, such as `head`, ends the program quietly.
    ///
    /// - Throws: `ZooError` of kind `inputOutput`, for instance on a full disk.
    static func write(_ text: String) throws {
        switch send(text, to: STDOUT_FILENO) {
        case 0: break
        case EPIPE: exit(0)
        case let code: throw ZooError(.inputOutput, "cannot write the result: \(String(cString: strerror(code)))")
        }
    }

    /// Writes a result file: complete or not at all.
    static func write(_ text: String, toFile path: String) throws {
        try AtomicFile.write(to: path) { try $0.write(text.utf8) }
    }

    /// Refuses an output path that cannot work, before hours of computing.
    ///
    /// - Throws: `ZooError` of kind `cannotCreate`.
    static func check(file path: String?) throws {
        guard let path else { return }
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        if exists && isFolder.boolValue {
            throw ZooError(.cannotCreate, "is a folder", file: path)
        }
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard exists || access(folder, W_OK) == 0 else {
            throw ZooError(.cannotCreate, "cannot be created: \(String(cString: strerror(errno)))", file: path)
        }
    }

    /// Refuses a name that promises another format than what is written, or leaves open which one is.
    ///
    /// - Throws: `ZooError` of kind `usage`.
    static func check(_ path: String?, endsIn endings: [String], at option: String) throws(ZooError) {
        guard let path, !endings.contains(where: path.lowercased().hasSuffix) else { return }
        let expected =
            endings.count == 1 ? endings[0] : endings.dropLast().joined(separator: ", ") + " or " + (endings.last ?? "")
        throw ZooError(
            .usage, "the name's end " + (endings.count == 1 ? "belongs to another format" : "chooses the format"),
            at: option, expected: expected, found: path)
    }

    /// `check(file:)` for several, no two of which may be one file.
    ///
    /// - Throws: `ZooError` of kind `cannotCreate`, or `usage` for a file that is given twice.
    static func check(files: String?...) throws {
        var places: Set<String> = []
        for file in files.compactMap(\.self) {
            try check(file: file)
            guard places.insert(place(of: file).path).inserted else {
                throw ZooError(.usage, "two outputs cannot go to one file", file: file)
            }
        }
    }

    /// Refuses files in a folder for generated images that have the names of its images or of its record.
    ///
    /// - Throws: `ZooError` of kind `usage`.
    static func check(files: [String], besideImagesOf folder: String) throws {
        for file in files {
            let place = place(of: file)
            guard
                !SampleFolder.isOwn(place.lastPathComponent)
                    || place.deletingLastPathComponent().path != Self.place(of: folder).path
            else {
                throw ZooError(.usage, "the folder's images have such names", file: file, hint: "choose another name")
            }
        }
    }

    private static func place(of file: String) -> URL {
        URL(filePath: file).standardizedFileURL.resolvingSymlinksInPath()
    }

    static func error(_ text: String) { log("error", text, colour: "31") }
    static func warning(_ text: String) { log("warning", text, colour: "33") }
    static func note(_ text: String) { log("note", text, colour: "36") }

    /// Whether standard error is a terminal that understands control sequences.
    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 && Processor.environment("TERM") != "dumb" }

    /// Writes to standard error as it is.
    static func raw(_ text: String) { _ = send(text, to: STDERR_FILENO) }

    private static func log(_ level: String, _ text: String, colour: String) {
        let isColoured = isTerminal && (Processor.environment("NO_COLOR") ?? "").isEmpty
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        raw("zoo: " + (isColoured ? "\u{1B}[\(colour)m\(level):\u{1B}[0m" : "\(level):") + " \(line)\n")
    }

    /// Writes everything; returns 0 or the reason as an `errno` value.
    private static func send(_ text: String, to descriptor: Int32) -> Int32 {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return errno }
            rest = rest.dropFirst(count)
        }
        return 0
    }
}
