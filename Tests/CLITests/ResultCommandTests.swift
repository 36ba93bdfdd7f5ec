import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage

/// `zoo eval --all`, `zoo compare`, `zoo report`.
@Suite struct EvalAllTests {
    private func models(_ object: [String: Any]) throws -> [[String: Any]] {
        try #require((object["results"] as? [String: Any])?["models"] as? [[String: Any]])
    }

    private func name(_ report: [String: Any]) -> String? { (report["model"] as? [String: Any])?["name"] as? String }

    @Test func everyModelWithWeightsAndClassesIsEvaluated() throws {
        let folder = try TemporaryFolder()
        let arguments = ["eval", "--all", "--data", "digits", "--limit", "60", "--results", folder.path("r")]
        let result = try zooSucceeds(arguments + ["--json"])
        let object = try result.json()
        #expect(object["schema_version"] as? Int == 1)
        #expect(object["command"] as? String == "eval --all")
        #expect(Set(try models(object).compactMap(name)) == ["ravlt-nano", "mavit-nano"])
        #expect(result.errors.contains("models with other classes than digits, of deit, "))
        #expect(result.errors.contains("models without an accuracy to rank"))
        let others = try #require((object["results"] as? [String: Any])?["other_tasks"] as? [String])
        #expect(Set(["dit-nano", "lit-nano", "sd-vae"]).isSubset(of: others) && !others.contains("deit-tiny"))
        // The same as one by one.
        let single = try zooSucceeds(["eval", "mavit-nano", "--data", "digits", "--limit", "60", "--json"]).json()
        let own = try #require(try models(object).first { name($0) == "mavit-nano" })
        for key in ["per_image", "loss", "top1"] {
            let values = [own, single].map { ($0["results"] as? [String: Any])?[key] as? NSObject }
            #expect(values[0] != nil && values[0] == values[1])
        }
        let files = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path("r")))
        #expect(files == ["ravlt-nano.json", "mavit-nano.json"])
        let text = try zooSucceeds(arguments + ["--resume"])
        #expect(text.output.hasPrefix("MODEL ") && text.output.split(separator: "\n").count == 3)
        #expect(text.errors.components(separatedBy: "done before").count == 3)
        let other = try zooSucceeds(arguments + ["--resume", "--crop-pct", "0.9", "--csv"])
        #expect(!other.errors.contains("done before"))
        #expect(
            other.output.hasPrefix("model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation\n"))
        #expect(other.output.split(separator: "\n").count == 3)
    }

    @Test func aModelWithoutFittingWeightsEndsItsRowOnly() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path("weights"), withIntermediateDirectories: true)
        _ = try folder.write("no checkpoint", to: "weights/ravlt-t.pth")
        try zooSucceeds([
            "data", "subset", "--from", "imagenet-subset", "--classes", "all", "--per-class", "1", "--output",
            folder.path("photos"),
        ])
        let result = try zoo(
            ["eval", "--all", "--data", folder.path("photos"), "--csv"], environment: ["ZOO_HOME": folder.path])
        #expect(result.status == 65)
        #expect(result.errors.contains("1 of 1 models could not be evaluated, such as ravlt-t"))
        #expect(result.errors.contains("models without weights, of "))
        #expect(result.output == "model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation\n")
        // The default folder for results lies under ZOO_HOME.
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("results")).count == 1)
    }

    /// The process of the model that is being evaluated, as soon as there is one.
    private func child(of process: Process) throws -> pid_t {
        let path = "/proc/\(process.processIdentifier)/task/\(process.processIdentifier)/children"
        while process.isRunning {
            let text = try? String(contentsOfFile: path, encoding: .utf8)
            if let child = text?.split(separator: " ").first.flatMap({ pid_t($0) }) { return child }
            usleep(2000)
        }
        throw CocoaError(.fileReadNoSuchFile)
    }

    private func start(_ arguments: [String]) throws -> (process: Process, output: Pipe, errors: Pipe) {
        let process = Process()
        process.executableURL = try program()
        process.arguments = arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        return (process, output, errors)
    }

    private func text(_ pipe: Pipe) -> String {
        String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    }

    private static let slow = ["--data", "digits", "--batch-size", "1", "--threads", "1", "--isa", "ref"]

    /// By SIGKILL: after another signal the program goes on where Swift's backtraces are on, since nothing in it fails.
    @Test func aCrashEndsOneRowOnly() throws {
        let folder = try TemporaryFolder()
        let run = try start(["eval", "--all", "--results", folder.path("r")] + Self.slow)
        kill(try child(of: run.process), SIGKILL)
        let (output, errors) = (text(run.output), text(run.errors))
        run.process.waitUntilExit()
        #expect(run.process.terminationReason == .exit && run.process.terminationStatus == 70)
        #expect(errors.contains("crashed with signal 9"))
        let lines = output.split(separator: "\n")
        try #require(lines.count == 4, "\(output)\(errors)")
        #expect(lines[1].hasPrefix("ravlt-nano") && lines[2].contains("failed"))
        #expect(lines[3].hasPrefix("mavit-nano: crashed"))
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func anInterruptedSeriesIsTakenUpAgain(_ signal: Int32) throws {
        let folder = try TemporaryFolder()
        let arguments = ["eval", "--all", "--results", folder.path("r")] + Self.slow
        let run = try start(arguments)
        let child = try child(of: run.process)
        // The child is at work once its threads are there.
        while (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(child)/task").count) ?? 9 < 3 {
            usleep(2000)
        }
        kill(run.process.processIdentifier, signal)
        let (output, errors) = (text(run.output), text(run.errors))
        run.process.waitUntilExit()
        #expect(run.process.terminationReason == .exit && run.process.terminationStatus == 130)
        #expect(output.isEmpty && errors.contains("continue with: zoo eval --all") && errors.contains("--resume"))
        #expect(kill(child, 0) != 0, "the child outlived its parent")
        let resumed = try zooSucceeds(arguments + ["--resume", "--json"])
        let board = try models(resumed.json())
        #expect(board.count == 2)
        #expect(board.allSatisfy { ($0["results"] as? [String: Any])?["images"] as? Int == 360 })
    }

    @Test(arguments: [
        ["--all"], ["ravlt-nano", "--all", "--data", "digits"], ["--all", "--data", "digits", "--expect", "top1=1"],
        ["--all", "--data", "digits", "--weights", "x.pth"], ["--all", "--data", "digits", "--journal", "j"],
        ["--task", "classify"], ["--results", "r"], ["--all", "--data", "digits", "--json", "--csv"],
        ["--all", "--data", "digits", "--task", "dream"], ["--all", "--data", "digits", "--task", "generate"],
    ])
    func rejectsContradictions(_ arguments: [String]) throws {
        try zooFails(["eval"] + arguments, with: 64)
    }

    @Test func theHelpOffersTheTasksThatWork() throws {
        let words = try zooSucceeds(["eval", "--help"]).output.split(whereSeparator: \.isWhitespace)
        #expect(words.joined(separator: " ").contains("(values: classify)"))
    }

    @Test func rejectsWhatNoModelCanDo() throws {
        let folder = try TemporaryFolder()
        let photos = folder.path("photos")
        try zooSucceeds([
            "data", "subset", "--from", "imagenet-subset", "--classes", "all", "--per-class", "1", "--output", photos,
        ])
        try zooFails(["eval", "--all", "--data", photos], with: 66, mentioning: "no weights for any of")
        try zooFails(["eval", "--all", "--data", "/nowhere"], with: 66)
        try zooFails(["eval", "--all", "--data", "digits", "--results", "/proc/x"], with: 73)
    }
}

@Suite struct CompareCommandTests {
    private func results(_ folder: TemporaryFolder) throws -> (a: String, b: String, untrained: String) {
        let (a, b, c) = (folder.path("a.json"), folder.path("b.json"), folder.path("c.json"))
        try zooSucceeds(["eval", "ravlt-nano", "--output-file", a])
        try zooSucceeds(["eval", "mavit-nano", "--output-file", b])
        try zooSucceeds(["eval", "ravlt-nano", "--weights", "seeded:1", "--output-file", c])
        return (a, b, c)
    }

    @Test func accuracySpeedAndMemoryStandSideBySide() throws {
        let folder = try TemporaryFolder()
        let files = try results(folder)
        let text = try zooSucceeds(["compare", files.a, files.b, "--gate"]).output
        for part in ["top-1 %", "98.06", "ms per image", "memory MiB", "no significant difference"] {
            #expect(text.contains(part), "\(part) not in: \(text)")
        }
        let object = try zooSucceeds(["compare", files.a, files.b, "--json"]).json()
        let top1 = try #require(object["top1"] as? [String: Any])
        #expect(top1["images"] as? Int == 360)
        #expect(top1["only_a"] as? Int == top1["only_b"] as? Int)
        #expect(top1["p"] as? Double == 1)
        #expect((object["time"] as? [String: Any])?["ratio"] is Double)
        // Worse beyond doubt.
        try #expect(zoo(["compare", files.a, files.untrained]).status == 0)
        let failed = try zoo(["compare", files.a, files.untrained, "--gate"])
        #expect(failed.status == 1 && failed.errors.contains("significantly lower"))
        #expect(failed.output.contains("B is less accurate"))
        try #expect(zoo(["compare", files.untrained, files.a, "--gate"]).status == 0)
    }

    @Test func rejectsWhatCannotBeCompared() throws {
        let folder = try TemporaryFolder()
        let (whole, part) = (folder.path("a.json"), folder.path("b.json"))
        try zooSucceeds(["eval", "--output-file", whole])
        try zooSucceeds(["eval", "--data", "digits", "--limit", "30", "--output-file", part])
        try zooFails(["compare", whole, part], with: 65, mentioning: "number of images", whole, part)
        let train = folder.path("c.json")
        try zooSucceeds(["eval", "ravlt-nano", "--data", "digits-train", "--limit", "360", "--output-file", train])
        try zooFails(["compare", whole, train], with: 65, mentioning: "another dataset")
        try zooFails(["compare", whole, folder.path], with: 65)
        try zooFails(["compare", whole, "/nowhere.json"], with: 66)
        try zooFails(["compare", whole, Fixtures.inPackage("LICENSE")], with: 65, mentioning: "LICENSE")
        try zooFails(["compare", whole, whole, "--alpha", "2"], with: 64)
        try zooFails(["compare", whole], with: 64)
        try zooFails(["bench", "compare", whole, folder.path], with: 65)
        try zooFails(["bench", "compare", folder.path("none.json"), whole], with: 66)
    }
}

extension CompareCommandTests {
    /// A result on all digits, of which those at the positions that `isRight` picks are right.
    private func result(_ name: String, in folder: TemporaryFolder, isRight: (Int) -> Bool) throws -> String {
        var object = try zooSucceeds(["eval", "--json"]).json()
        var results = try #require(object["results"] as? [String: Any])
        results["per_image"] = String((0..<360).map { isRight($0) ? "0" : "-" })
        object["results"] = results
        let data = try JSONSerialization.data(withJSONObject: object)
        return try folder.write(String(decoding: data, as: UTF8.self), to: name)
    }

    /// 200 images right in both, 6 only in A, 16 only in B: p is 0.0525, and the interval begins above 0.
    @Test func theTestDecidesAndSaysWhereTheIntervalDisagrees() throws {
        let folder = try TemporaryFolder()
        let a = try result("a.json", in: folder) { $0 < 206 }
        let b = try result("b.json", in: folder) { $0 < 200 || (206..<222).contains($0) }
        let text = try zooSucceeds(["compare", a, b]).output
        #expect(text.contains("no significant difference (McNemar's exact test, level 0.05)"))
        #expect(text.contains("top-1: the 95 % interval leaves 0 out, but p is not below 0.05: the test decides"))
        let object = try zooSucceeds(["compare", a, b, "--json"]).json()
        let verdict = try #require(object["verdict"] as? [String: Any])
        #expect(verdict["verdict"] as? String == "no significant difference")
        #expect(verdict["test"] as? String == "McNemar's exact test" && verdict["level"] as? Double == 0.05)
        #expect(verdict["interval_agrees"] as? Bool == false)
        let wider = try zooSucceeds(["compare", a, b, "--alpha", "0.06"]).output
        #expect(wider.contains("B is more accurate") && !wider.contains("the test decides"))
        try #expect(zoo(["compare", b, a, "--gate"]).status == 0)
        try #expect(zoo(["compare", b, a, "--gate", "--alpha", "0.06"]).status == 1)
    }
}

@Suite struct ReportCommandTests {
    @Test func filesAndFoldersBecomeOnePage() throws {
        let folder = try TemporaryFolder()
        let (results, page) = (folder.path("r"), folder.path("report.html"))
        try zooSucceeds(["eval", "--all", "--data", "digits", "--limit", "60", "--results", results])
        let single = folder.path("single.json")
        try zooSucceeds(["eval", "--data", "digits", "--limit", "40", "--output-file", single])
        let result = try zooSucceeds(["report", results, single, "--output", page])
        #expect(result.output == "\(page): 3 results\n")
        let html = try String(contentsOfFile: page, encoding: .utf8)
        #expect(html.components(separatedBy: "<table class=\"board\">").count == 3)
        #expect(html.hasSuffix("</html>\n"))
    }

    @Test func rejectsTheResultOfAGenerator() throws {
        let folder = try TemporaryFolder()
        let (result, page) = (folder.path("lit.json"), folder.path("p.html"))
        try zooSucceeds(["eval", "lit-nano", "--count", "10", "--steps", "2", "--output-file", result])
        for command in [["report", result, "--output", page], ["compare", result, result]] {
            try zooFails(command, with: 65, mentioning: result, "a generator's result", "classifier", "lit-nano")
        }
    }

    @Test func rejectsWhatIsNoResult() throws {
        let folder = try TemporaryFolder()
        let page = folder.path("p.html")
        try zooFails(["report", "/nowhere.json", "--output", page], with: 66)
        try zooFails(["report", folder.path, "--output", page], with: 66, mentioning: "no result files")
        try zooFails(["report", Fixtures.inPackage("README.md"), "--output", page], with: 65)
        try zooFails(["report", "--output", page], with: 64)
        let file = folder.path("r.json")
        try zooSucceeds(["eval", "--limit", "5", "--output-file", file])
        try zooFails(["report", file], with: 64)
        try zooFails(["report", file, "--output", "/nowhere/p.html"], with: 73)
        try zooFails(["report", file, "--output", folder.path("p.pdf")], with: 64, mentioning: "p.pdf", ".html")
        #expect(!FileManager.default.fileExists(atPath: page))
    }
}

@Suite struct ExplainCommandTests {
    private static let digit = "sample:digits/3/1460.png"

    @Test func thePictureIsDrawnAndSaysWhatItShows() throws {
        let folder = try TemporaryFolder()
        let (a, b) = (folder.path("a.png"), folder.path("b.png"))
        let arguments = ["explain", "ravlt-nano", Self.digit, "--block", "2"]
        let result = try zooSucceeds(arguments + ["--output", a])
        #expect(result.output.contains("block 2 of 5: softmax, 2x2 tokens, token 1,1"))
        let image = try ImageDecoder.decode(file: a, limits: .init()).image
        #expect(image.width > 900 && image.height > 300)
        #expect(Set(stride(from: 0, to: image.pixels.count, by: 3).map { image.pixels[$0] }).count > 50)
        let bytes = try Data(contentsOf: URL(filePath: a))
        #expect(bytes.range(of: Data("ravlt-nano block 2 of 5: softmax".utf8)) != nil)
        #expect(bytes.range(of: Data("--block 2".utf8)) != nil)
        // The same whatever computes it, but for the command line in the file.
        try zooSucceeds(arguments + ["--threads", "2", "--output", b])
        #expect(try ImageDecoder.decode(file: b, limits: .init()).image == image)
    }

    @Test func numbersObeyTheOperator() throws {
        func mean(_ arguments: [String]) throws -> [String: Any] {
            let object = try zooSucceeds(["explain", "mavit-nano", Self.digit, "--json"] + arguments).json()
            return try #require((object["results"] as? [String: Any])?["mean"] as? [String: Any])
        }
        let softmax = try mean(["--block", "2", "--token", "mean"])
        #expect(abs(try #require(softmax["row_sum"] as? Double) - 1) < 1e-5)
        #expect(softmax["negative_share"] as? Double == 0)
        let entropy = try #require(softmax["relative_entropy"] as? Double)
        #expect(entropy > 0 && entropy <= 1)
        let own = try mean(["--block", "0"])
        let longer = try mean(["--block", "0", "--query-scale", "8"])
        #expect(own["entropy"] as? Double != longer["entropy"] as? Double)
        let other = try mean(["--block", "0", "--operator", "softmax", "--token", "7,0"])
        #expect(abs(try #require(other["row_sum"] as? Double) - 1) < 1e-5)
    }

    /// The file for `zoo op` holds the block's own tensors: the operator's output is the map times the values.
    @Test func theTensorsFeedTheOperator() throws {
        let folder = try TemporaryFolder()
        let (block, out) = (folder.path("block.safetensors"), folder.path("out.safetensors"))
        try zooSucceeds(["explain", "ravlt-nano", Self.digit, "--block", "0", "--token", "2,5", "--output", block])
        try zooSucceeds(["op", "rala", "--input", block, "--output", out])
        let file = try SafetensorsFile(path: block)
        let (attention, v) = (try file.tensor("attention"), try file.tensor("v"))
        let expected = try SafetensorsFile(path: out).tensor("out")
        #expect(attention.shape == [2, 8, 8] && v.shape == [1, 1, 64, 24])
        for channel in 0..<24 {
            let sum = (0..<64).reduce(0.0) {
                $0 + Double(attention.values[64 + $1]) * Double(v.values[$1 * 24 + channel])
            }
            #expect(abs(sum - Double(expected.values[21 * 24 + channel])) < 1e-4)
        }
    }

    /// The blocks of L2ViT, softmax in windows and linear, and each other's operators on the linear one.
    @Test func blocksOfL2ViTAreUnrolled() throws {
        func results(_ arguments: [String]) throws -> [String: Any] {
            let object = try zooSucceeds(
                ["explain", "l2vit-tiny", Self.digit, "--image-size", "32", "--weights", "seeded:1", "--json"]
                    + arguments
            ).json()
            return try #require(object["results"] as? [String: Any])
        }
        let linear = try results(["--block", "1"])
        #expect(linear["operator"] as? String == "l2vit" && linear["grid"] as? [Int] == [8, 8])
        #expect((linear["heads"] as? [Any])?.count == 3)
        let windows = try results(["--block", "0"])
        #expect(windows["operator"] as? String == "softmax")
        let softmax = try results(["--block", "1", "--operator", "softmax"])
        let sum = try #require((softmax["mean"] as? [String: Any])?["row_sum"] as? Double)
        #expect(softmax["operator"] as? String == "softmax" && abs(sum - 1) < 1e-5)
        let other = try zooSucceeds(
            ["explain", "mavit-nano", Self.digit, "--json", "--block", "0", "--operator", "l2vit"]
        ).json()
        #expect((other["results"] as? [String: Any])?["operator"] as? String == "l2vit")
    }

    @Test(arguments: [
        "--block 5", "--block -1", "--token 9,9", "--token 1", "--token class", "--head 7", "--operator nope",
        "--query-scale 0", "--query-scale nan", "--output x.bmp",
    ])
    func rejectsWhatThereIsNot(_ options: String) throws {
        try zooFails(
            ["explain", "ravlt-nano", Self.digit, "--json"] + options.split(separator: " ").map(String.init), with: 64)
    }

    @Test func rejectsMissingInputs() throws {
        try zooFails(["explain", "ravlt-nano", Self.digit], with: 64, mentioning: "--output or --json")
        try zooFails(["explain", "ravlt-nano", "/nowhere.png", "--json"], with: 66)
        try zooFails(["explain", "ravlt-nano", Self.digit, "--output", "/nowhere/x.png"], with: 73)
        try zooFails(["explain", "ravlt-t", Self.digit, "--json"], with: 66, mentioning: "RAVLT_T.pth")
    }
}
