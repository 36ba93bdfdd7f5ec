import Foundation
import Testing
import ZooBench
import ZooCore

@Suite struct ComparisonTests {
    private static func samples(_ factor: Double, count: Int = 20) -> [Double] {
        (0..<count).map { factor * (1 + 0.001 * Double($0 * 7 % 20)) }
    }

    private static func report(_ rows: [String: [Double]], file: String = "x.json") throws -> BenchmarkSamples {
        let results = rows.map { ["id": $0.key, "measurement": ["samples": $0.value]] as [String: Any] }
        let json = try JSONSerialization.data(withJSONObject: ["schema_version": 1, "results": results])
        return try BenchmarkSamples(json: json, file: file)
    }

    @Test func tellsFasterSlowerAndSame() throws {
        let before = try Self.report(["a": Self.samples(1), "b": Self.samples(1), "c": Self.samples(1), "d": [1]])
        let after = try Self.report([
            "a": Self.samples(1.1), "b": Self.samples(0.9), "c": Self.samples(1).reversed(), "d": [2], "e": [1],
        ])
        let comparison = try Comparison(before: before, after: after)
        let verdicts = Dictionary(uniqueKeysWithValues: comparison.rows.map { ($0.id, $0.verdict) })
        #expect(verdicts == ["a": .slower, "b": .faster, "c": .same, "d": .undecided])
        #expect(comparison.unmatched == ["e"])
        #expect(comparison.rows.filter { $0.isRegression(beyond: 0.05) }.map(\.id) == ["a"])
        #expect(comparison.rows.filter { $0.isRegression(beyond: 0.15) }.isEmpty)
    }

    @Test func rejectsReportsWithNothingInCommon() throws {
        let (a, b) = (try Self.report(["a": [1]]), try Self.report(["b": [1]]))
        #expect(throws: ZooError.self) { try Comparison(before: a, after: b) }
    }

    @Test(arguments: [
        "", "{", "[]", "{}", #"{"schema_version":1}"#, #"{"schema_version":2,"results":[]}"#,
        #"{"schema_version":"1","results":[]}"#, #"{"schema_version":1,"results":[{"id":"a"}]}"#,
        #"{"schema_version":1,"results":[{"id":"a","measurement":{"samples":[]}}]}"#,
        #"{"schema_version":1,"results":[{"id":"a","measurement":{"samples":[0]}}]}"#,
        #"{"schema_version":1,"results":[{"id":"a","measurement":{"samples":[-1]}}]}"#,
        #"{"schema_version":1,"results":[{"id":"a","measurement":{"samples":["1"]}}]}"#,
    ])
    func rejectsMalformedReports(_ text: String) {
        #expect {
            try BenchmarkSamples(json: Data(text.utf8), file: "x.json")
        } throws: { error in
            guard let error = error as? ZooError else { return false }
            return error.kind == .badData && error.file == "x.json"
        }
    }
}
