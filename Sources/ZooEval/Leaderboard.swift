import Foundation
import ZooCore
import ZooIO
import ZooNN

/// The results of several models on one dataset, best first: what `zoo eval --all` gives.
public struct Leaderboard: Codable, Sendable {
    /// Counts up when a key changes its meaning or disappears.
    public var schemaVersion = 1
    public var command = Self.commandName
    /// The whole command line, as one can paste it into a shell.
    public let commandLine: String
    public let results: Results

    public struct Results: Codable, Sendable {
        /// Sorted by top-1, then by top-5, then by name.
        public let models: [EvaluationReport]
        public let failures: [Failure]
        /// Models that were left out because no weights were found.
        public let withoutWeights: [String]
        /// Models that were left out because they have other classes than the dataset.
        public let otherClasses: [String]
        /// Models that were left out because they do not classify; `nil` in files of earlier versions.
        public let otherTasks: [String]?
    }

    /// A model whose evaluation did not come to its end.
    public struct Failure: Codable, Sendable, Equatable {
        public let model: String
        /// `nil` if a signal ended the process.
        public let exitCode: Int32?
        /// One line.
        public let error: String

        public init(model: String, exitCode: Int32?, error: String) {
            self.model = model
            self.exitCode = exitCode
            self.error = error
        }
    }

    fileprivate static let commandName = "eval --all"

    public init(
        _ reports: [EvaluationReport], failures: [Failure], withoutWeights: [String], otherClasses: [String],
        otherTasks: [String], commandLine: String
    ) {
        self.commandLine = commandLine
        results = Results(
            models: reports.sorted(by: Self.precedes), failures: failures, withoutWeights: withoutWeights,
            otherClasses: otherClasses, otherTasks: otherTasks)
    }

    /// Whether `a` stands above `b`: a higher accuracy, and what has none stands last.
    package static func precedes(_ a: EvaluationReport, _ b: EvaluationReport) -> Bool {
        let (x, y) = (a.results, b.results)
        return (-(x.top1 ?? -1), -(x.top5 ?? -1), a.model.name) < (-(y.top1 ?? -1), -(y.top5 ?? -1), b.model.name)
    }

    /// The results for people.
    public var text: String {
        var table = Table(
            [.init("MODEL", .left), .init("TOP-1"), .init("95 % INTERVAL"), .init("TOP-5")]
                + ["LOSS", "PARAMS", "GMACS", "INPUT", "IMAGES/S", "MEMORY"].map { .init($0) })
        for report in results.models {
            let (model, results) = (report.model, report.results)
            let ends = results.top1Interval ?? []
            table.append([
                report.title, results.top1.map { fixed($0, 2) } ?? "-",
                ends.count == 2 ? "\(fixed(ends[0], 2))...\(fixed(ends[1], 2))" : "-",
                results.top5.map { fixed($0, 2) } ?? "-", results.loss.map { fixed($0, 4) } ?? "-",
                "\(fixed(Double(model.parameters) / 1e6, 2))M",
                fixed(model.gmacs + model.attentionGmacs, model.gmacs < 0.1 ? 4 : 2),
                "\(report.preprocessing.inputHeight)x\(report.preprocessing.inputWidth)",
                results.speed.imagesPerSecond.map { fixed($0, 1) } ?? "-", "\(results.peakResidentBytes >> 20) MiB",
            ])
        }
        for failure in results.failures {
            table.append([failure.model, "failed"] + [String](repeating: "", count: table.columns.count - 2))
        }
        let errors = results.failures.map { "\($0.model): \($0.error)\n" }.joined()
        return table.rendered(.text) + (errors.isEmpty ? "" : "\n" + errors)
    }

    /// The results with the column names of timm's result files; models that failed have no row.
    public var csv: String { EvaluationReport.csv(results.models) }
}

/// Reads back what `zoo eval` wrote.
public enum ResultFile {
    private struct Head: Decodable {
        let schemaVersion: Int
        let command: String
        let model: Model?

        struct Model: Decodable {
            let name: String?
            let task: String?
        }
    }

    /// The results in a JSON file of `zoo eval` or `zoo eval --all`, in the file's order.
    ///
    /// - Throws: `ZooError` of kind `missingInput`, or `badData` naming the field that is missing or wrong.
    public static func read(_ path: String) throws -> [EvaluationReport] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let data = try ByteRegion(path: path, access: .read).withBytes { Data($0) }
        do {
            let head = try decoder.decode(Head.self, from: data)
            guard head.schemaVersion == 1 else {
                throw ZooError(.badData, "unknown schema version", expected: "1", found: "\(head.schemaVersion)")
            }
            switch head.command {
            case "eval" where head.model?.task == ModelTask.generate.rawValue:
                throw ZooError(
                    .badData, "a generator's result has no accuracy to show or compare",
                    expected: "zoo eval of a classifier", found: head.model?.name ?? "a generator",
                    hint: "its distances, precision and recall stand in the file itself")
            case "eval": return [try decoder.decode(EvaluationReport.self, from: data).checked()]
            case Leaderboard.commandName:
                return try decoder.decode(Leaderboard.self, from: data).results.models.map { try $0.checked() }
            default:
                throw ZooError(.badData, "not a result of an evaluation", expected: "zoo eval", found: head.command)
            }
        } catch let error as ZooError {
            throw error.naming(file: path)
        } catch {
            throw ZooError(
                .badData, "not a result of an evaluation: \(DecodingError.reason(error))", file: path,
                hint: "results are written by zoo eval --output-file FILE.json")
        }
    }
}

extension EvaluationReport {
    /// The report, if its numbers can be meant: a file may have been edited.
    ///
    /// - Throws: `ZooError` of kind `badData` naming the field.
    fileprivate func checked() throws(ZooError) -> Self {
        func require(_ condition: Bool, _ field: String, _ expected: String) throws(ZooError) {
            if !condition { throw ZooError(.badData, "a result cannot be like this", at: field, expected: expected) }
        }
        let percentages = [results.top1, results.top5].compactMap(\.self)
        try require(percentages.allSatisfy { (0...100).contains($0) }, "results.top1, top5", "0...100")
        for interval in [results.top1Interval, results.top5Interval].compactMap(\.self) {
            try require(interval.count == 2, "results.top1_interval, top5_interval", "two numbers")
        }
        let counts = [
            results.images, results.top1Correct, results.top5Correct, results.peakResidentBytes, model.parameters,
            dataset.images,
        ]
        try require(counts.allSatisfy { $0 >= 0 }, "results.images", "numbers of at least 0")
        let macs = [model.gmacs, model.attentionGmacs]
        try require(macs.allSatisfy { (0...1e9).contains($0) }, "model.gmacs", "numbers of at least 0")
        // Seconds whose ratios are numbers.
        try require(
            results.speed.samples.allSatisfy((1e-10...1e6).contains), "results.speed.samples", "positive times")
        try require((try? preprocessing.validate()) != nil, "preprocessing", "what zoo eval takes as options")
        try require(results.perImage.count >= results.images, "results.per_image", "a character per image")
        return self
    }
}
