import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage

/// `zoo generate`, and `zoo run` on diffusion models.
@Suite struct GenerateTests {
    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

    private func image(_ path: String) throws -> RGBImage {
        try ImageDecoder.decode(file: path, limits: ResourceLimits()).image
    }

    private func pictures(_ folder: String) throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".png") }
        return Dictionary(uniqueKeysWithValues: try names.map { ($0, try bytes("\(folder)/\($0)")) })
    }

    @Test func drawsAPictureThatSaysHowItWasMade() throws {
        let folder = try TemporaryFolder()
        let result = try zooSucceeds([
            "generate", "lit-nano", "--class", "7", "--steps", "10", "--seed", "18446744073709551615", "--output",
            folder.path("seven.png"), "--quiet",
        ])
        #expect(result.errors.isEmpty)
        #expect(result.output.contains("1 drawn") && result.output.contains("seven.png"))
        let picture = try image(folder.path("seven.png"))
        #expect((picture.height, picture.width) == (64, 64))
        #expect(Set(picture.pixels).count > 2)
        let text = String(decoding: try bytes(folder.path("seven.png")), as: UTF8.self)
        for part in ["class\u{0}7", "model\u{0}lit-nano", "seed\u{0}18446744073709551615", "steps\u{0}10"] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test func drawsAJPEG() throws {
        let folder = try TemporaryFolder()
        let arguments = ["generate", "lit-nano", "--class", "7", "--steps", "10", "--seed", "3", "--quiet", "--output"]
        try zooSucceeds(arguments + [folder.path("seven.png")])
        try zooSucceeds(arguments + [folder.path("seven.JPG")])
        #expect(try bytes(folder.path("seven.JPG")).starts(with: [0xFF, 0xD8, 0xFF]))
        let (exact, compressed) = (try image(folder.path("seven.png")), try image(folder.path("seven.JPG")))
        #expect((compressed.height, compressed.width) == (64, 64))
        let distance = zip(exact.pixels, compressed.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        #expect(Double(distance) / Double(exact.pixels.count) < 3)
        try zooFails(arguments + [folder.path("seven.gif")], with: 64, mentioning: "--output", ".png, .jpg or .jpeg")
    }

    @Test func reportsTheRun() throws {
        let folder = try TemporaryFolder()
        let object = try zooSucceeds([
            "generate", "dit-nano", "--class", "3,1", "--count", "5", "--steps", "ddim5", "--sampler", "ddim",
            "--output",
            folder.path("grid.png"), "--latents", folder.path("samples.safetensors"), "--columns", "5", "--zoom", "1",
            "--guidance", "2", "--json", "--quiet",
        ]).json()
        #expect(object["command"] as? String == "generate")
        let parameters = try #require(object["parameters"] as? [String: String])
        #expect(parameters["class"] == "3,1" && parameters["guidance"] == "2.0")
        #expect(parameters["sampler"] == "ddim, eta 0.0")
        let results = try #require(object["results"] as? [String: Any])
        #expect(results["drawn"] as? Int == 5 && results["trained"] as? Bool == true)
        let grid = try image(folder.path("grid.png"))
        #expect((grid.height, grid.width) == (10, 46))
        let file = try SafetensorsFile(path: folder.path("samples.safetensors"))
        #expect(try file.tensor("samples").shape == [5, 1, 8, 8])
        #expect(file.metadata["class"] == "3,1,3,1,3")
    }

    @Test func determinismOverBatchesThreadsAndShards() throws {
        let folder = try TemporaryFolder()
        let common = ["generate", "lit-nano", "--count", "7", "--steps", "4", "--quiet", "--output-dir"]
        try zooSucceeds(common + [folder.path("whole"), "--threads", "2"])
        try zooSucceeds(common + [folder.path("single"), "--threads", "1", "--batch-size", "1"])
        for shard in ["1/3", "0/3", "2/3"] {
            try zooSucceeds(common + [folder.path("shards"), "--shard", shard, "--batch-size", "2"])
        }
        let whole = try pictures(folder.path("whole"))
        #expect(whole.keys.sorted() == (0..<7).map { "00000\($0).png" })
        #expect(try pictures(folder.path("single")) == whole)
        #expect(try pictures(folder.path("shards")) == whole)
    }

    @Test func resumesWhereARunStopped() throws {
        let folder = try TemporaryFolder()
        let arguments = [
            "generate", "dit-nano", "--count", "100000", "--steps", "20", "--batch-size", "4", "--quiet",
            "--output-dir", folder.path("digits"),
        ]
        let process = Process()
        process.executableURL = try program()
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(["ZOO_HOME": folder.path("home")]) { $1 }
        let errors = Pipe()
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, errors)
        try process.run()
        while process.isRunning, !FileManager.default.fileExists(atPath: folder.path("digits/000003.png")) {
            usleep(2000)
        }
        process.interrupt()
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        let message = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        #expect(message.contains("interrupted after") && message.contains("the same command draws the others"))
        let before = try pictures(folder.path("digits"))
        #expect((4..<100000).contains(before.count))

        var shorter = arguments
        shorter[3] = "\(before.count + 4)"
        let result = try zooSucceeds(shorter)
        #expect(result.output.contains("4 drawn, \(before.count) there already"))
        let after = try pictures(folder.path("digits"))
        #expect(after.count == before.count + 4)
        for (name, data) in before { #expect(after[name] == data) }

        let other = try zoo(shorter + ["--seed", "3"])
        #expect(other.status == 64)
        #expect(other.errors.contains("other parameters") && other.errors.contains("seed"))
        try FileManager.default.removeItem(atPath: folder.path("digits/generation.json"))
        let unknown = try zoo(shorter)
        #expect(unknown.status == 64 && unknown.errors.contains("no record of how they were made"))
        #expect(try pictures(folder.path("digits")) == after)
    }

    /// Starts `zoo` by `env`, which decides what signals mean to it, and waits until it writes a file in `folder`.
    private func startWriting(_ folder: TemporaryFolder, signals: String, _ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [signals, try program().path, "generate", "dit-nano", "--quiet"] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(["ZOO_HOME": "/nowhere"]) { $1 }
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        try process.run()
        while process.isRunning, try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty {
            usleep(2000)
        }
        return process
    }

    /// The second signal comes while the first step of many samples is computed.
    @Test(arguments: [SIGINT, SIGTERM, SIGHUP], [1, 2]) func aSignalLeavesNoHalfFile(_ number: Int32, times: Int) throws
    {
        let folder = try TemporaryFolder()
        let size =
            times == 1 ? ["--count", "100000", "--batch-size", "1"] : ["--count", "4096", "--batch-size", "4096"]
        let process = try startWriting(
            folder, signals: "--default-signal=HUP", size + ["--isa", "ref", "--npz", folder.path("batch.npz")])
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names.count == 1 && names[0].hasSuffix(".tmp"))
        for _ in 0..<times {
            kill(process.processIdentifier, number)
            usleep(100_000)
        }
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 130)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test func whatNohupStartedOutlivesItsTerminal() throws {
        let folder = try TemporaryFolder()
        let process = try startWriting(
            folder, signals: "--ignore-signal=HUP",
            ["--count", "64", "--steps", "20", "--npz", folder.path("batch.npz")])
        kill(process.processIdentifier, SIGHUP)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["batch.npz"])
    }

    @Test func rejectsOutputsAmongTheImages() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path("d"), withIntermediateDirectories: true)
        let arguments = ["generate", "--count", "3", "--steps", "2", "--quiet"]
        for name in ["d/000001.png", "d/../d/000002.png", "d/generation.json"] {
            try zooFails(
                arguments + ["--output-dir", folder.path("d"), "--npz", folder.path(name)], with: 64,
                mentioning: name, "such names")
        }
        try zooFails(
            arguments + ["--preview", folder.path("d/"), "--output", folder.path("d/001.png")], with: 64,
            mentioning: "d/001.png")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("d")).isEmpty)
        try zooSucceeds(arguments + ["--output-dir", folder.path("d"), "--npz", folder.path("d/batch.npz")])
        try zooFails(
            arguments + ["--output-dir", folder.path("d"), "--npz", folder.path("000001.png")], with: 64,
            mentioning: "--npz", ".npz")
    }

    @Test func refusalsSayWhatIsAllowed() throws {
        let folder = try TemporaryFolder()
        for (shard, allowed) in [("3/3", "0/3...2/3"), ("-1/2", "0/2...1/2"), ("1", "i/n"), ("1/0", "i/n")] {
            try zooFails(
                ["generate", "--output-dir", folder.path("d"), "--shard=\(shard)"], with: 64,
                mentioning: "--shard", allowed)
        }
        for steps in ["0", "1", "1001", "x", "ddim7777", "600,600"] {
            for command in [["generate", "--output", folder.path("x.png")], ["eval", "lit-nano"]] {
                try zooFails(command + ["--steps", steps], with: 64, mentioning: "--steps: ", "expected")
            }
        }
    }

    @Test func sampleBatchHoldsThePicturesAndTheirClasses() throws {
        let folder = try TemporaryFolder()
        let common = ["generate", "dit-nano", "--class", "3,1,4", "--count", "7", "--steps", "4", "--quiet"]
        let drawn = folder.path("drawn")
        for shard in ["0/2", "1/2"] { try zooSucceeds(common + ["--output-dir", drawn, "--shard", shard]) }
        let files = try pictures(drawn)
        try FileManager.default.removeItem(atPath: "\(drawn)/000005.png")
        let result = try zooSucceeds(common + ["--output-dir", drawn, "--npz", folder.path("packed.npz")])
        #expect(result.output.contains("1 drawn, 6 there already") && result.output.contains("packed.npz"))
        #expect(try pictures(drawn) == files)
        let nothing = try zooSucceeds(common + ["--output-dir", drawn])
        #expect(nothing.output.contains("0 drawn, 7 there already") && !nothing.output.contains("a second"))

        let archive = try NumpyArchive(path: folder.path("packed.npz"))
        #expect(archive.names == ["arr_0", "arr_1"])
        #expect(archive.info("arr_0") == TensorInfo(shape: [7, 8, 8, 3], dtype: .uint8))
        let pixels = try files.keys.sorted().flatMap { try image("\(drawn)/\($0)").pixels }
        #expect(try archive.uint8s(of: "arr_0") == pixels && Set(pixels).count > 2)
        #expect(archive.info("arr_1") == TensorInfo(shape: [7], dtype: .int64))
        #expect(try archive.int64s(of: "arr_1") == [3, 1, 4, 3, 1, 4, 3])

        try zooSucceeds(
            common + ["--npz", folder.path("direct.npz"), "--batch-size", "3", "--output", folder.path("grid.png")])
        #expect(try bytes(folder.path("direct.npz")) == bytes(folder.path("packed.npz")))
        #expect(try image(folder.path("grid.png")).width == 8 * 28)

        let same = try zooSucceeds([
            "metrics", "prc", folder.path("direct.npz"), drawn, "--features", "ravlt-nano", "--json", "--quiet",
        ]).json()
        #expect(same["results"] as? [String: Double] == ["precision": 1, "recall": 1, "f_score": 1])
    }

    @Test func rejectsAFolderThatIsNoSampleBatch() throws {
        let folder = try TemporaryFolder()
        let (drawn, archive) = (folder.path("drawn"), folder.path("drawn.npz"))
        let arguments = [
            "generate", "lit-nano", "--count", "3", "--steps", "3", "--quiet", "--output-dir", drawn, "--npz", archive,
        ]
        try zooFails(arguments + ["--shard", "0/2"], with: 64, mentioning: "--npz", "without --shard")
        #expect(!FileManager.default.fileExists(atPath: drawn))
        try zooSucceeds(arguments)
        let whole = try bytes(archive)
        let victim = "\(drawn)/000001.png"
        let picture = try bytes(victim)
        try picture.prefix(picture.count - 30).write(to: URL(filePath: victim))
        try zooFails(arguments, with: 65, mentioning: "000001.png")
        try Data(ImageEncoder.png(RGBImage(height: 8, width: 4, pixels: [UInt8](repeating: 1, count: 96))))
            .write(to: URL(filePath: victim))
        try zooFails(arguments, with: 65, mentioning: "000001.png", "8x8", "8x4")
        #expect(try bytes(archive) == whole, "what went wrong leaves the earlier file alone")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["drawn", "drawn.npz"])
        let elsewhere = ["generate", "--npz"]
        try zooFails(elsewhere + [folder.path("no/x.npz")], with: 73, mentioning: "no/x.npz")
        try zooFails(elsewhere + [folder.path], with: 73, mentioning: folder.path)
        try zooFails(elsewhere + [archive, "--shard", "0/2"], with: 64)
        try zooFails(
            elsewhere + [archive, "--latents", folder.path("./drawn.npz")], with: 64, mentioning: "two outputs")
    }

    @Test func previewShowsEveryStep() throws {
        let folder = try TemporaryFolder()
        try zooSucceeds([
            "generate", "lit-nano", "--class", "all", "--steps", "6", "--quiet", "--preview", folder.path("steps"),
            "--batch-size", "4", "--output", folder.path("digits.png"),
        ])
        let steps = try pictures(folder.path("steps"))
        #expect(steps.keys.sorted() == (0..<6).map { "00\($0).png" })
        #expect(Set(steps.values).count == 6)
    }

    @Test func rejectsWhatItCannotDraw() throws {
        let folder = try TemporaryFolder()
        let output = ["--output", folder.path("x.png")]
        for arguments in [
            [], ["lit-nano"], ["ravlt-nano"] + output, ["lit-nan"] + output, ["lit-nano", "--class", "10"] + output,
            ["--class", "-1"] + output, ["--class", "seven"] + output, ["--class", ""] + output,
            ["--class", "1,,2"] + output, ["--steps", "0"] + output, ["--steps", "1"] + output,
            ["--steps", "1001"] + output, ["--steps", "ddim7777"] + output, ["--steps", "x"] + output,
            ["--count", "0"] + output, ["--count", "99999999"] + output, ["--count", "x"] + output,
            ["--seed", "-1"] + output, ["--seed", "18446744073709551616"] + output, ["--batch-size", "0"] + output,
            ["--guidance", "nan"] + output, ["--guidance", "-1"] + output, ["--guidance-channels", "2"] + output,
            ["--guidance-channels", "some"] + output, ["--eta", "0.5"] + output,
            ["--sampler", "ddim", "--eta", "2"] + output, ["--sampler", "euler"] + output, ["--shard", "0/2"] + output,
            ["--zoom", "0"] + output, ["--columns", "0"] + output, ["--captions", "x.safetensors"] + output,
            ["--count", "1000000", "--zoom", "200"] + output, output + ["--output-dir", folder.path("d")],
            ["--shard", "2/2", "--output-dir", folder.path("d")], ["--shard", "1", "--output-dir", folder.path("d")],
            ["--tile", "32"] + output, ["--vae", "sd-vae"] + output,
            ["lit-t2i-xl-2", "--latents", folder.path("l.safetensors")],
            ["lit-t2i-xl-2", "--class", "1", "--latents", folder.path("l.safetensors")],
            ["--weights", "seeded:x"] + output,
        ] {
            try zooFails(["generate"] + arguments, with: 64)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        try zooFails(
            ["generate", "dit-xl-2", "--latents", folder.path("l.safetensors")], with: 66,
            mentioning: "DiT-XL-2-256x256.pt")
        let untrained = ["generate", "dit-s-8", "--weights", "seeded:1", "--steps", "2"] + output
        try zooFails(untrained, with: 66, mentioning: "sd-vae", "stabilityai/sd-vae-ft-mse")
        try zooFails(untrained + ["--vae", folder.path("none")], with: 66, mentioning: folder.path("none"))
        let truncated = folder.path("truncated.safetensors")
        try bytes(Fixtures.inPackage("Models/Checkpoints/lit-nano.safetensors")).prefix(100_000)
            .write(to: URL(filePath: truncated))
        try zooFails(["generate", "--weights", truncated] + output, with: 65, mentioning: "truncated.safetensors")
        let others = Fixtures.inPackage("Models/Checkpoints/dit-nano.safetensors")
        try zooFails(["generate", "lit-nano", "--weights", others] + output, with: 65, mentioning: "blocks.0.attn")
        try zooFails(["generate", "--output", folder.path("no/x.png")], with: 73, mentioning: "no/x.png")
        try zooFails(["generate", "--output-dir", "/proc/nothing"], with: 73, mentioning: "/proc/nothing")
        try zooFails(["generate", "--preview", "/proc/nothing"] + output, with: 73, mentioning: "/proc/nothing")
        try zooFails(["generate", "--output", folder.path], with: 73, mentioning: folder.path)
    }

    /// The network by itself, as the contract of `zoo run` has it.
    @Test func runAnswersSamples() throws {
        let folder = try TemporaryFolder()
        let golden = try SafetensorsFile(path: Fixtures.path("generation/lit-nano-digits.case.safetensors"))
        let labels = try golden.int64s(of: "y")
        for batch in ["3", "16"] {
            var writer = SafetensorsWriter()
            writer.add("x", try golden.tensor("z"))
            writer.add("t", shape: [10], try golden.int64s(of: "t"))
            writer.add("y", shape: [10], labels)
            try writer.write(to: folder.path("in.safetensors"))
            try zooSucceeds([
                "run", "lit-nano", "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors"),
                "--batch-size", batch,
            ])
            let output = try SafetensorsFile(path: folder.path("out.safetensors")).tensor("output")
            let expected = try golden.tensor("forward")
            #expect(output.shape == expected.shape)
            #expect(zip(output.values, expected.values).allSatisfy { abs($0 - $1) <= 1e-4 })
        }
        var writer = SafetensorsWriter()
        writer.add("x", try golden.tensor("z"))
        writer.add("t", try golden.tensor("z"))
        writer.add("y", shape: [10], labels)
        try writer.write(to: folder.path("wrong.safetensors"))
        let arguments = ["run", "lit-nano", "--output", folder.path("o"), "--input"]
        try zooFails(arguments + [folder.path("wrong.safetensors")], with: 65, mentioning: "640 timesteps")
        try zooFails(arguments + [folder.path("in.safetensors"), "--intermediates"], with: 64, mentioning: "no stages")
    }
}
