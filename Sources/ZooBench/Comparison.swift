import Foundation
import ZooCore
import ZooIO

/// Two reports of the same benchmark, row by row: did anything become slower?
public struct Comparison: Sendable, Codable, Equatable {
    /// One measurement that both reports have.
    public struct Row: Sendable, Codable, Equatable {
        /// What the test says at level 1 %.
        public enum Verdict: String, Sendable, Codable {
            case faster, slower, same
            /// Fewer than `leastSamples` on one side: no test.
            case undecided = "too few samples"
        }

        public let id: String
        /// Median seconds before and after.
        public let before: Double
        public let after: Double
        /// `after / before`.
        public let ratio: Double
        /// The 95 % bootstrap interval of the ratio.
        public let low: Double
        public let high: Double
        /// Of the two-sided Mann-Whitney U test.
        public let p: Double
        public let verdict: Verdict
    }

    public let rows: [Row]
    /// What only one of the reports has.
    public let unmatched: [String]

    /// The least number of samples per side for a verdict.
    public static let leastSamples = 10

    /// - Throws: `ZooError` of kind `badData` if the reports have no measurement in common.
    public init(before: BenchmarkSamples, after: BenchmarkSamples) throws(ZooError) {
        let known = Dictionary(after.rows.map { ($0.id, $0.samples) }) { first, _ in first }
        let ids = Set(before.rows.map(\.id))
        rows = before.rows.compactMap { row in known[row.id].map { Self.compare(row.id, row.samples, $0) } }
        unmatched =
            before.rows.map(\.id).filter { known[$0] == nil } + after.rows.map(\.id).filter { !ids.contains($0) }
        guard !rows.isEmpty else {
            throw ZooError(
                .badData, "no measurement in common with \(before.file)", file: after.file,
                hint: "compare reports of the same command line")
        }
    }

    private static func compare(_ id: String, _ before: [Double], _ after: [Double]) -> Row {
        let (a, b) = (Statistics(before).median, Statistics(after).median)
        let interval = Bootstrap.medianRatio(before, after)
        let p = MannWhitney(after, before).p
        let enough = min(before.count, after.count) >= leastSamples
        let verdict: Row.Verdict = !enough ? .undecided : p >= 0.01 || a == b ? .same : b > a ? .slower : .faster
        return Row(
            id: id, before: a, after: b, ratio: b / a, low: interval.lowerBound, high: interval.upperBound, p: p,
            verdict: verdict)
    }

    /// The rows that are slower by more than a share, beyond doubt: the whole interval lies above it.
    public func regressions(beyond share: Double) -> [Row] {
        rows.filter { $0.verdict == .slower && $0.low > 1 + share }
    }

    public var table: Table {
        var table = Table(
            [.init("measurement", .left)]
                + ["before ms", "after ms", "ratio", "95 % interval", "p"].map { .init($0) } + [.init("verdict", .left)]
        )
        for row in rows {
            table.append([
                row.id, row.before.milliseconds, row.after.milliseconds, row.ratio.fixed(3),
                "\(row.low.fixed(3))...\(row.high.fixed(3))", row.p.scientific, row.verdict.rawValue,
            ])
        }
        return table
    }
}

/// The samples of a report, whatever was measured.
public struct BenchmarkSamples: Sendable {
    public let file: String
    public let rows: [(id: String, samples: [Double])]

    /// Reads what `--output json` wrote.
    ///
    /// - Throws: `ZooError` of kind `missingInput`, or `badData` naming the field that is missing or wrong.
    public init(file: String) throws {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw ZooError(.missingInput, "cannot be read", file: file)
        }
        try self.init(json: data, file: file)
    }

    package init(json: Data, file: String) throws(ZooError) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let report: Report
        do {
            report = try decoder.decode(Report.self, from: json)
        } catch {
            throw ZooError(
                .badData, "not a benchmark report: \(Self.reason(error))", file: file,
                hint: "reports are written by zoo bench ... --output json")
        }
        guard report.schemaVersion == 1 else {
            throw ZooError(
                .badData, "unknown schema version", file: file, expected: "1", found: "\(report.schemaVersion)")
        }
        for row in report.results {
            guard !row.measurement.samples.isEmpty, row.measurement.samples.allSatisfy({ $0 > 0 && $0.isFinite })
            else { throw ZooError(.badData, "samples are not positive times", file: file, at: row.id) }
        }
        self.file = file
        rows = report.results.map { ($0.id, $0.measurement.samples) }
    }

    private struct Report: Decodable {
        struct Row: Decodable {
            struct Measurement: Decodable { let samples: [Double] }

            let id: String
            let measurement: Measurement
        }

        let schemaVersion: Int
        let results: [Row]
    }

    private static func reason(_ error: any Error) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            let place = path(context)
            return "'\(place.isEmpty ? "" : place + ".")\(key.stringValue)' is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            return "'\(path(context))' has the wrong type"
        default: return "no JSON"
        }
    }
}
