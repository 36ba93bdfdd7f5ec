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

        /// Compares two sets of positive times.
        ///
        /// - Precondition: both have samples, whose ratios are numbers.
        public init(id: String, before: [Double], after: [Double]) {
            let (a, b) = (Statistics(before).median, Statistics(after).median)
            let interval = Bootstrap.medianRatio(before, after)
            let enough = min(before.count, after.count) >= leastSamples
            self.id = id
            self.before = a
            self.after = b
            ratio = b / a
            low = interval.lowerBound
            high = interval.upperBound
            p = MannWhitney(after, before).p
            verdict = !enough ? .undecided : p >= 0.01 || a == b ? .same : b > a ? .slower : .faster
        }

        /// Whether it became slower by more than a share, beyond doubt: the whole interval lies above it.
        public func isRegression(beyond share: Double) -> Bool { verdict == .slower && low > 1 + share }
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
        rows = before.rows.compactMap { row in known[row.id].map { Row(id: row.id, before: row.samples, after: $0) } }
        unmatched =
            before.rows.map(\.id).filter { known[$0] == nil } + after.rows.map(\.id).filter { !ids.contains($0) }
        guard !rows.isEmpty else {
            throw ZooError(
                .badData, "no measurement in common with \(before.file)", file: after.file,
                hint: "compare reports of the same command line")
        }
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
    /// - Throws: `ZooError` of kind `missingInput`, or `badData` for a folder and naming a field that is missing or wrong.
    public init(file: String) throws {
        try self.init(json: ByteRegion(path: file, access: .read).withBytes { Data($0) }, file: file)
    }

    package init(json: Data, file: String) throws(ZooError) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let report: Report
        do {
            report = try decoder.decode(Report.self, from: json)
        } catch {
            throw ZooError(
                .badData, "not a benchmark report: \(DecodingError.reason(error))", file: file,
                hint: "reports are written by zoo bench ... --output json")
        }
        guard report.schemaVersion == 1 else {
            throw ZooError(
                .badData, "unknown schema version", file: file, expected: "1", found: "\(report.schemaVersion)")
        }
        for row in report.results {
            // Seconds whose ratios are numbers.
            guard !row.measurement.samples.isEmpty, row.measurement.samples.allSatisfy((1e-10...1e6).contains)
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
}
