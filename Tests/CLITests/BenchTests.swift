import Foundation
import TestSupport
import Testing
import ZooCore

/// `zoo bench`: what it reports, in which forms, and what it refuses.
@Suite(.serialized) struct BenchTests {
    private static let quick = ["--threads", "1", "--min-time", "0", "--runs", "3", "--warmup", "0"]

    private func results(_ arguments: [String]) throws -> (report: [String: Any], rows: [[String: Any]]) {
        let report = try zooSucceeds(["bench"] + arguments + Self.quick + ["--json"]).json()
        #expect(report["schema_version"] as? Int == 1)
        #expect((report["command"] as? String)?.contains("bench") == true)
        let environment = try #require(report["environment"] as? [String: Any])
        #expect((environment["cpu"] as? String)?.isEmpty == false)
        let rooflines = try #require(report["rooflines"] as? [[String: Any]])
        #expect(rooflines.allSatisfy { ($0["gflops"] as? Double ?? 0) > 0 })
        return (report, try #require(report["results"] as? [[String: Any]]))
    }

    @Test func kernelReportHasEveryCombination() throws {
        let rows = try results([
            "kernel", "softmax", "rala", "--tokens", "49,64", "--heads", "1,2", "--head-dim", "16", "--batch", "1,2",
        ]).rows
        #expect(rows.count == 16)
        #expect(Set(rows.compactMap { $0["id"] as? String }).count == 16)
        for row in rows {
            let measurement = try #require(row["measurement"] as? [String: Any])
            let samples = try #require(measurement["samples"] as? [Double])
            #expect(samples.count == 3 && samples.allSatisfy { $0 > 0 })
            let agreement = try #require(row["agreement"] as? [String: Any])
            #expect(agreement["reference"] as? String == "ref" && agreement["repeatable"] as? Bool == true)
            #expect((row["gflops"] as? Double ?? 0) > 0 && (row["gb_per_second"] as? Double ?? 0) > 0)
            #expect((row["speedup_over_ref"] as? Double ?? 0) > 0)
            #expect((row["speedup_over_softmax"] != nil) == (row["operator"] as? String == "rala"))
        }
    }

    @Test func kernelsOfAModelAreMeasured() throws {
        let rows = try results(["kernel", "gemm", "conv", "dwconv", "--model", "ravlt-nano"]).rows
        #expect(Set(rows.compactMap { $0["operator"] as? String }) == ["gemm", "conv", "dwconv"])
        #expect(rows.allSatisfy { ($0["layers"] as? [String])?.isEmpty == false })
    }

    @Test(arguments: InstructionSet.available) func everyInstructionSetIsMeasured(isa: InstructionSet) throws {
        let arguments = ["kernel", "mala", "--tokens", "49", "--head-dim", "8", "--isa", isa.rawValue]
        let rows = try results(arguments).rows
        #expect(rows.map { $0["instruction_set"] as? String } == [isa.rawValue])
    }

    @Test func modelReportTellsThroughput() throws {
        let rows = try results(["model", "ravlt-nano", "--batch", "1,2", "--profile"]).rows
        #expect(rows.count == 2)
        for row in rows { #expect(row["profile"] is [String: Any], "\(row.keys.sorted())") }
    }

    @Test(arguments: ["text", "md", "csv"]) func formsHaveTheSameRows(form: String) throws {
        let text = try zooSucceeds(
            ["bench", "kernel", "rala", "--tokens", "49", "--head-dim", "8", "--output", form] + Self.quick
        ).output
        let rows = text.split(separator: "\n").filter { $0.contains("1x1x49x8") && !$0.contains("warning: ") }
        #expect(rows.count == 1, "\(text)")
        if form == "csv" { #expect(text.split(separator: "\n").count == 2) }
    }

    @Test func plotShowsGrowthAndRoofline() throws {
        let folder = try TemporaryFolder()
        let output = try zooSucceeds(
            ["bench", "kernel", "rala", "--tokens", "64,128", "--head-dim", "8", "--plot", folder.path("plot.svg")]
                + Self.quick
        ).output
        #expect(output.contains("time ~ tokens^"))
        let svg = try String(contentsOfFile: folder.path("plot.svg"), encoding: .utf8)
        #expect(svg.hasPrefix("<svg") && svg.contains("Time over sequence length") && svg.contains("Roofline"))
    }

    @Test func plotShowsGrowthOfModels() throws {
        let folder = try TemporaryFolder()
        let output = try zooSucceeds(
            ["bench", "model", "ravlt-nano", "mavit-nano", "--image-size", "32,64", "--plot", folder.path("plot.svg")]
                + Self.quick
        ).output
        let svg = try String(contentsOfFile: folder.path("plot.svg"), encoding: .utf8)
        let laws = output.split(separator: "\n").filter { $0.contains(": time ~ pixels^") }
        #expect(laws.map { $0.prefix { $0 != "," } } == ["ravlt-nano", "mavit-nano"])
        #expect(svg.contains(">32</text>") && svg.contains(">64</text>"))
    }

    /// A report whose samples are those of another, times a factor.
    private func report(_ factor: Double, in folder: TemporaryFolder) throws -> String {
        let samples = (0..<20).map { factor * (1 + 0.001 * Double($0 * 7 % 20)) }
        let row: [String: Any] = ["id": "a", "measurement": ["samples": samples]]
        let json = try JSONSerialization.data(withJSONObject: ["schema_version": 1, "results": [row]])
        return try folder.write(String(decoding: json, as: UTF8.self), to: "\(factor).json")
    }

    @Test func compareFailsOnARegression() throws {
        let folder = try TemporaryFolder()
        let (before, after) = (try report(1, in: folder), try report(1.2, in: folder))
        let comparison = try zooSucceeds(["bench", "compare", before, after, "--json"]).json()
        #expect((comparison["rows"] as? [[String: Any]])?.first?["verdict"] as? String == "slower")
        try zooSucceeds(["bench", "compare", before, after, "--max-regression", "30"])
        try zooSucceeds(["bench", "compare", after, before, "--max-regression", "0"])
        let failed = try zoo(["bench", "compare", before, after, "--max-regression", "5"])
        #expect(failed.status == 1 && failed.errors.contains("20 % in a"))
    }

    @Test(arguments: [
        "kernel nope", "kernel rala --tokens 0", "kernel rala --tokens x", "kernel rala --threads 0",
        "kernel rala --isa sse9", "kernel rala --runs 0", "kernel rala --min-time -1", "kernel gemm --model nope",
        "kernel rala --output xml", "kernel rala --json --output csv", "model", "model nope",
        "model ravlt-nano --batch 0", "model ravlt-nano --batch 1,99999", "model ravlt-nano --plot a.svg",
        "model ravlt-nano --profile --output csv", "model ravlt-nano --image-size 32,64 --plot a.png",
        "model ravlt-nano --image-size 32,32 --plot a.svg",
        "compare", "nope",
    ])
    func rejectsWrongUsage(line: String) throws {
        let result = try zoo(["bench"] + line.split(separator: " ").map(String.init))
        #expect(result.status == 64, "\(line): \(result.errors)")
        #expect(result.output.isEmpty)
    }

    @Test(arguments: [
        ("ravlt-nano", "99999", "1...16384"), ("dit-s-2", "32,99999", "1...16384"), ("dit-s-2", "50", "multiples of 8"),
        ("deit-tiny", "50", "multiples of 16"),
    ])
    func sizesThatAModelCannotTakeAreNamed(model: String, size: String, allowed: String) throws {
        try zooFails(
            ["bench", "model", model, "--image-size", size] + Self.quick, with: 64, mentioning: "--image-size: ",
            allowed)
    }

    @Test func rejectsFilesThatAreNoReports() throws {
        let folder = try TemporaryFolder()
        let good = try report(1, in: folder)
        try zooFails(["bench", "compare", good, folder.path("none.json")], with: 66, mentioning: "none.json")
        let bad = try folder.write("{}", to: "bad.json")
        try zooFails(["bench", "compare", good, bad], with: 65, mentioning: "bad.json")
        try zooFails(
            ["bench", "kernel", "rala", "--output-file", folder.path], with: 73, mentioning: "is a folder")
    }
}
