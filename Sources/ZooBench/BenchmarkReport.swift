import Foundation
import ZooCore

/// One line of a benchmark.
public protocol BenchmarkRow: Sendable, Codable {
    /// What was measured, unique within a report: `zoo bench compare` joins two reports by it.
    var id: String { get }
    var measurement: Measurement { get }
    static var columns: [Table.Column] { get }
    var cells: [String] { get }
}

/// The result of a benchmark: where it was obtained, what the machine can do at best, and the measurements.
public struct BenchmarkReport<Row: BenchmarkRow>: Sendable, Codable {
    /// Raised when a field changes its meaning or goes away.
    public let schemaVersion: Int
    /// The command line that gave this report.
    public let command: String
    public let environment: Environment
    public let rooflines: [Roofline]
    public let results: [Row]

    public init(command: String, environment: Environment, rooflines: [Roofline], results: [Row]) {
        schemaVersion = 1
        self.command = command
        self.environment = environment
        self.rooflines = rooflines
        self.results = results
    }

    public var table: Table {
        var table = Table(Row.columns)
        for row in results { table.append(row.cells) }
        return table
    }

    /// One JSON object with snake-case keys and every raw sample.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }

    /// What stands above the table: machine and rooflines.
    public var preamble: [String] {
        let load = environment.loadAverage.map { $0.fixed(2) }.joined(separator: ", ")
        return [
            "zoo \(environment.zoo), \(environment.compiler)",
            "\(environment.cpu), \(environment.usableCores) cores, load \(load), \(environment.system)",
        ] + rooflines.map(\.summary)
    }

    /// What stands below it: warnings, each with the row that it concerns.
    public var remarks: [String] {
        results.flatMap { row in row.measurement.warnings.map { "\(row.id): \($0)" } }
    }
}

extension Roofline {
    /// One line: the arithmetic peak and the bandwidth of the smallest and the largest set.
    var summary: String {
        let ends = [bandwidth.first, bandwidth.last].compactMap { $0 }.map {
            "\($0.gbPerSecond.threeDigits) GB/s in \($0.workingSet.binaryBytes)"
        }
        return "roofline \(instructionSet), \(threads.threadCount): \(gflops.threeDigits) GFLOP/s, copy "
            + ends.joined(separator: ", ")
    }
}
