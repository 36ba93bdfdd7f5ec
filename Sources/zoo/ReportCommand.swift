import ArgumentParser
import Foundation
import ZooCore
import ZooEval

/// `zoo report`: results as a page to look at and to hand on.
struct ReportCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write results of zoo eval as one self-contained HTML page.",
        discussion: """
            Takes files of zoo eval --output-file and folders of zoo eval --all --results. The page has a leaderboard \
            for each dataset, accuracy against throughput and parameters, a card per model with published beside \
            measured accuracy and its most frequent confusions, and the environment. It loads nothing from anywhere; \
            pictures are included where the dataset can be read.
            """)

    static let examples = [
        "zoo eval --all --data digits --results digits-results && zoo report digits-results --output report.html",
        "zoo eval --data digits --output-file nano.json && zoo report nano.json --output report.html",
    ]

    @Argument(help: "Result files, or folders of them.", completion: .file(extensions: ["json"]))
    var results: [String]

    @Option(help: "The page to write.", completion: .file(extensions: ["html"]))
    var output: String

    func run() throws {
        try Output.check(output, endsIn: [".html", ".htm"], at: "--output")
        try Output.check(file: output)
        let files = try results.flatMap(Self.files)
        let reports = try files.flatMap(ResultFile.read)
        guard !reports.isEmpty else {
            throw ZooError(.badData, "no results", file: results.joined(separator: ", "))
        }
        try Output.write(HTMLReport(reports).html, toFile: output)
        try Output.write("\(output): \(reports.count == 1 ? "1 result" : "\(reports.count) results")\n")
    }

    /// A file itself, or the JSON files of a folder in the order of their names.
    private static func files(_ path: String) throws -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            return [path]
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".json") }.sorted()
        guard !names.isEmpty else { throw ZooError(.missingInput, "no result files in the folder", file: path) }
        return names.map { "\(path)/\($0)" }
    }
}
