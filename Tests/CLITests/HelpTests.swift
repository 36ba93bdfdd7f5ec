import Foundation
import Testing

/// Every command's help ends with two examples that run as printed, in any folder.
@Suite struct HelpTests {
    /// The words that lead to each command, groups of commands included, as the help itself lists them.
    private static func paths(below path: [String] = []) throws -> [[String]] {
        let help = try zoo(path + ["--help"]).output
        guard let list = help.components(separatedBy: "SUBCOMMANDS:\n").dropFirst().first else { return [] }
        let lines = list.split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.isEmpty }
        let names = lines.filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
            // A name may be followed by others: `prc, pr`.
            .compactMap { $0.split { $0 == " " || $0 == "," }.first.map(String.init) }
        return try names.flatMap { [path + [$0]] + (try paths(below: path + [$0])) }
    }

    @Test func everyCommandIsListed() throws {
        #expect(try Self.paths().count >= 18)
    }

    @Test(arguments: try paths())
    func helpEndsWithTwoExamplesThatRunAsPrinted(_ path: [String]) throws {
        let help = try zooSucceeds(path + ["--help"]).output
        #expect(try zooSucceeds(["help"] + path).output == help)
        let parts = help.components(separatedBy: "EXAMPLES:\n")
        let examples = parts.count == 2 ? parts[1].split(separator: "\n").map(String.init) : []
        #expect(examples.count == 2)
        let name = (["zoo"] + path).joined(separator: " ")
        for example in examples {
            #expect(example.hasPrefix("  zoo ") && example.contains(name))
            // Measurements take their time: one of each is enough.
            if path.first == "bench", path.count == 1 || example.contains("kernel") || example.contains("ravlt-t") {
                continue
            }
            let folder = try TemporaryFolder()
            let result = try runProgram(
                "/bin/sh", ["-c", example], environment: ["ZOO_HOME": folder.path("home")], at: folder)
            #expect(result.status == 0, "\(example): \(result.errors)")
        }
    }
}
