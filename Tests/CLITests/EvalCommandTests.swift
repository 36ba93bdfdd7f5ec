import Foundation
import TestSupport
import Testing
import ZooIO

/// The results of a run without what differs from run to run.
private func comparable(_ object: [String: Any]) throws -> String {
    var results = try #require(object["results"] as? [String: Any])
    results["speed"] = nil
    results["peak_resident_bytes"] = nil
    let data = try JSONSerialization.data(withJSONObject: results, options: [.sortedKeys])
    return String(decoding: data, as: UTF8.self)
}

@Suite struct EvalCommandTests {
    @Test func withoutArgumentsTheEmbeddedModelIsEvaluated() throws {
        let result = try zooSucceeds(["eval"])
        #expect(result.output.contains("98.06 %  (353/360"))
        #expect(result.errors.isEmpty)
    }

    @Test func jsonIsOneObject() throws {
        let object = try zooSucceeds(["eval", "--json", "--limit", "36", "--per-class"]).json()
        #expect(object["schema_version"] as? Int == 1)
        #expect(object["command"] as? String == "eval")
        #expect(object["command_line"] as? String == "zoo eval --json --limit 36 --per-class")
        let results = try #require(object["results"] as? [String: Any])
        #expect(results["trained"] as? Bool == true)
        #expect((results["per_class"] as? [Any])?.count == 10)
    }

    @Test func bf16NeedsNoFlagFromTheProcessor() throws {
        let result = try zooSucceeds(["eval", "--precision", "bf16", "--isa", "portable", "--json"])
        #expect(result.errors.contains("no speed-up"))
        let object = try result.json()
        #expect((object["environment"] as? [String: Any])?["precision"] as? String == "bf16")
        #expect((object["results"] as? [String: Any])?["top1_correct"] as? Int == 353)
        let quiet = try zooSucceeds(["eval", "--precision", "bf16", "--isa", "portable", "--limit", "1", "--quiet"])
        #expect(quiet.errors.isEmpty && quiet.output.contains("portable, bf16"))
        let csv = try zooSucceeds(["eval", "--precision", "bf16", "--isa", "portable", "--limit", "1", "--csv"])
        #expect(csv.output.contains(",precision\n") && csv.output.hasSuffix(",bf16\n"))
        try zooFails(["eval"], with: 64, mentioning: "ZOO_BF16", environment: ["ZOO_BF16": "fast"])
    }

    @Test func withoutWeightsTheSampleIsAnInstallationCheck() throws {
        let home = try TemporaryFolder()
        let result = try zooSucceeds(
            ["eval", "ravlt", "--data", "imagenet-subset", "--batch-size", "1", "--json"],
            environment: ["ZOO_HOME": home.path])
        #expect(result.errors.contains("RAVLT_T.pth") && result.errors.contains("\(home.path)/weights/"))
        let object = try result.json()
        let results = try #require(object["results"] as? [String: Any])
        #expect(results["trained"] as? Bool == false)
        #expect((results["note"] as? String)?.contains("meaningless") == true)
        #expect((object["dataset"] as? [String: Any])?["origin"] as? String == "embedded sample")
        // Weights of 60 MB and 120 MB for everything else.
        #expect(try #require(results["peak_resident_bytes"] as? Int) < 180_000_000)
    }

    @Test func aUsersDatasetNeedsWeights() throws {
        let folder = try TemporaryFolder()
        try zooSucceeds(
            [
                "data", "subset", "--from", "imagenet-subset", "--classes", "all", "--per-class", "1", "--output",
                folder.path("datasets/imagenet-subset"),
            ])
        let environment = ["ZOO_HOME": folder.path]
        try zooFails(
            ["eval", "ravlt-t", "--data", "imagenet-subset"], with: 66, mentioning: "RAVLT_T.pth", folder.path,
            environment: environment)
        let result = try zooSucceeds(
            ["eval", "ravlt-t", "--data", "imagenet-subset", "--weights", "seeded:1", "--limit", "1"],
            environment: environment)
        #expect(result.errors.contains(folder.path("datasets/imagenet-subset")))
        #expect(result.output.contains("trained: false"))
    }

    @Test func expectationsDecideTheExitCode() throws {
        let digits = ["eval", "--quiet"]
        try zooSucceeds(digits + ["--expect", "top1=98.06±0.01", "--expect", "top5=99.4±0.1"])
        try zooSucceeds(digits + ["--expect", "top1=98.06", "--expect", "loss=0.11654+-0.00001"])
        let failed = try zoo(digits + ["--expect", "top1=83.2±0.3"])
        #expect(failed.status == 1)
        #expect(failed.errors.hasPrefix("zoo: error: top1: the expectation is not met (expected 83.2 ± 0.3"))
        #expect(failed.output.contains("353/360"))
    }

    @Test func outputFilesAreWholeOrUntouched() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("earlier", to: "result.json")
        try zooFails(["eval", "--output-file", file, "--weights", "/nowhere"], with: 66)
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "earlier")
        try zooSucceeds(["eval", "--limit", "10", "--output-file", file])
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: file)))
        #expect((object as? [String: Any])?["results"] != nil)
        try zooSucceeds(["eval", "--limit", "10", "--output-file", folder.path("result.csv")])
        let csv = try String(contentsOfFile: folder.path("result.csv"), encoding: .utf8)
        #expect(csv.hasPrefix("model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation\n"))
        #expect(Set(try FileManager.default.contentsOfDirectory(atPath: folder.path)) == ["result.json", "result.csv"])
    }

    @Test func badImagesAreVisibleAndStrictRefusesThem() throws {
        let folder = try TemporaryFolder()
        for name in ["3", "4"] {
            try FileManager.default.createDirectory(atPath: folder.path(name), withIntermediateDirectories: true)
        }
        _ = try folder.write("no image", to: "3/broken.png")
        try FileManager.default.copyItem(
            atPath: Fixtures.path("nano/digit-4.png"), toPath: folder.path("4/good.png"))
        let digits = ["eval", "ravlt-nano", "--data", folder.path]
        let counted = try zooSucceeds(digits + ["--json"])
        #expect(counted.errors.contains("1 of 2 images are not in order"))
        let results = try #require(counted.json()["results"] as? [String: Any])
        #expect(results["images"] as? Int == 2)
        #expect(results["image_status"] as? [String: Int] == ["ok": 1, "warned": 0, "failed": 1])
        let skipped = try zooSucceeds(digits + ["--json", "--on-bad-image", "skip"]).json()
        #expect((skipped["results"] as? [String: Any])?["images"] as? Int == 1)
        try zooFails(digits + ["--on-bad-image", "fail"], with: 65, mentioning: "3/broken.png")
        let strict = try zoo(digits + ["--strict"])
        #expect(strict.status == 65 && strict.errors.contains("3/broken.png: 1 of 2 images are not in order"))
    }

    /// Runs until the journal holds something, sends a signal, and takes the run up again.
    @Test(arguments: [SIGKILL, SIGINT, SIGTERM])
    func aStoppedRunIsTakenUpAgain(_ signal: Int32) throws {
        let folder = try TemporaryFolder()
        let arguments = ["eval", "--data", "digits", "--batch-size", "1", "--threads", "1", "--isa", "ref", "--json"]
        let home = ["ZOO_HOME": folder.path("home")]
        let whole = try zooSucceeds(arguments, environment: home).json()
        let journal = folder.path("journal")
        let process = Process()
        process.executableURL = try program()
        process.arguments = arguments + ["--journal", journal]
        process.standardOutput = FileHandle.nullDevice
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        while process.isRunning, !FileManager.default.fileExists(atPath: journal) { usleep(2000) }
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        if signal != SIGKILL, process.terminationStatus != 0 {
            #expect(process.terminationReason == .exit && process.terminationStatus == 130)
            let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            #expect(text.contains("continue with: zoo eval") && text.contains("--resume"))
        }
        let resumed = try zooSucceeds(arguments + ["--journal", journal, "--resume"])
        #expect(resumed.errors.contains("zoo: note: resuming after"))
        #expect(try comparable(resumed.json()) == comparable(whole))
        let other = try zoo(["eval", "mavit-nano", "--journal", journal, "--resume"])
        #expect(other.status == 65 && other.errors.contains("belongs to another run"))
    }

    @Test func aRunThatComputesNothingHasNoSpeed() throws {
        let folder = try TemporaryFolder()
        let arguments = ["eval", "--data", "digits", "--limit", "20", "--journal", folder.path("j"), "--resume"]
        func speed() throws -> [String: Any] {
            let results = try #require(try zooSucceeds(arguments + ["--json"]).json()["results"] as? [String: Any])
            return try #require(results["speed"] as? [String: Any])
        }
        #expect(try speed()["images_per_second"] is Double)
        #expect(try speed()["images_per_second"] == nil)
        #expect(try zooSucceeds(arguments).output.contains("nothing computed in this run"))
    }

    @Test func resumingWithoutAJournalStartsAnew() throws {
        let folder = try TemporaryFolder()
        let result = try zooSucceeds(["eval", "--limit", "5", "--resume", "--journal", folder.path("j")])
        #expect(result.errors.contains("nothing to resume"))
    }

    @Test(arguments: [("| head -c 1", 0), ("> /dev/full", 74)])
    func brokenOutputsEndQuietlyOrWithTheirCode(_ redirection: String, _ status: Int32) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-c", "set -o pipefail; '\(try program().path)' data list --json \(redirection)"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == status)
    }
}

@Suite struct PredictCommandTests {
    @Test func digitsAreRecognised() throws {
        let digits = ["sample:digits/3/1460.png", "sample:digits/7/1458.png"]
        let object = try zooSucceeds(["predict", "ravlt-nano", "--json"] + digits).json()
        let images = try #require((object["results"] as? [String: Any])?["images"] as? [[String: Any]])
        let best = images.compactMap { ($0["predictions"] as? [[String: Any]])?.first?["name"] as? String }
        #expect(best == ["3", "7"])
        let text = try zooSucceeds(["predict", "ravlt-nano", digits[0], "--top-k", "1"]).output
        #expect(text.hasSuffix(" %  3\n"))
    }

    @Test func oneBadImageDoesNotHideTheOthers() throws {
        let result = try zoo(["predict", "ravlt-nano", "/nowhere.png", "sample:digits/3/1460.png"])
        #expect(result.status == 66)
        #expect(result.output.contains("failed") && result.output.contains("%  3\n"))
    }
}

@Suite struct PreprocessCommandTests {
    /// What is written goes through the reader again unchanged.
    @Test func pngHoldsThePixelsThatTheModelSees() throws {
        let folder = try TemporaryFolder()
        let (first, second) = (folder.path("a.png"), folder.path("b.png"))
        try zooSucceeds(["preprocess", "sample:chelsea.png", "--model", "ravlt-t", "--output", first])
        try zooSucceeds(["preprocess", first, "--image-size", "224", "--crop-pct", "1", "--output", second])
        #expect(try Data(contentsOf: URL(filePath: first)) == Data(contentsOf: URL(filePath: second)))
    }

    @Test func safetensorsHoldsTheNormalisedInput() throws {
        let folder = try TemporaryFolder()
        let output = folder.path("a.safetensors")
        try zooSucceeds(
            [
                "preprocess", "sample:chelsea.png", "--image-size", "32x48", "--mean", "0,0,0", "--std", "1,1,1",
                "--output", output,
            ])
        let file = try SafetensorsFile(path: output)
        let input = try file.tensor("input")
        #expect(input.shape == [1, 3, 32, 48])
        #expect(input.values.allSatisfy { (0...1).contains($0) })
    }
}
