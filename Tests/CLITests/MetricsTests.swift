import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage

@Suite struct MetricsCommandTests {
    private static let reference = Fixtures.path("metrics/mini-ref.npz")
    private static let digits = ["--features", "ravlt-nano", "--quiet"]

    private func results(_ arguments: [String]) throws -> [String: Double] {
        let object = try zooSucceeds(["metrics"] + arguments + ["--json"]).json()
        #expect(object["command"] as? String == "metrics \(arguments[0])")
        return try #require(object["results"] as? [String: Double])
    }

    /// A file of features, 16 images of 4 dimensions.
    private func features(_ name: String, shift: Float, in folder: TemporaryFolder) throws -> String {
        var writer = SafetensorsWriter()
        let values = (0..<64).map { Float(($0 * 37) % 23) / 23 + shift }
        writer.add("pool3", Tensor(shape: [16, 4], values: values))
        writer.add("logits", Tensor(shape: [16, 4], values: values))
        let path = folder.path(name)
        try writer.write(to: path)
        return path
    }

    /// `exp(mean KL(p || mean p))` written out, of a fixture's `logits` (images, classes).
    private static func inceptionScore(of fixture: String) throws -> Double {
        let file = try SafetensorsFile(path: Fixtures.path(fixture))
        let classes = try #require(file.info("logits")?.shape.last)
        let logits = try file.float64s(of: "logits")
        let images = logits.count / classes
        let rows = (0..<images).map { image in
            let powers = logits[image * classes..<(image + 1) * classes].map(exp)
            let sum = powers.reduce(0, +)
            return powers.map { $0 / sum }
        }
        let marginal = (0..<classes).map { c in rows.reduce(0) { $0 + $1[c] } / Double(images) }
        let divergence = rows.reduce(0) { $0 + zip($1, marginal).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) } }
        return exp(divergence / Double(images))
    }

    @Test func distancesOfGivenFeatures() throws {
        let folder = try TemporaryFolder()
        let (a, b) = (
            try features("a.safetensors", shift: 0, in: folder), try features("b.safetensors", shift: 0.5, in: folder)
        )
        let distance = try #require(try results(["fid", a, b])["FD"])
        #expect(abs(distance - 4 * 0.25) < 1e-5, "the same covariance, every mean 0.5 off")
        #expect(try results(["prc", a, a]) == ["precision": 1, "recall": 1, "f_score": 1])
        #expect(try #require(results(["is", a, "--splits", "2"])["IS"]) > 1)
        #expect(try #require(results(["kid", a, b, "--subset-size", "8", "--subsets", "3"])["KD"]) > 0)
        let text = try zooSucceeds(["metrics", "fid", a, b, "--quiet"]).output
        #expect(text.hasPrefix("FD  "))
    }

    @Test func statisticsOfReferenceFiles() throws {
        let folder = try TemporaryFolder()
        #expect(abs(try #require(results(["fid", Self.reference, Self.reference])["FD"])) < 1e-6)
        #expect(abs(try #require(results(["sfid", Self.reference, Self.reference])["sFD"])) < 1e-6)
        let copy = folder.path("copy.npz")
        try zooSucceeds(["metrics", "stats", Self.reference, "--output", copy])
        let (written, given) = (try NumpyArchive(path: copy), try NumpyArchive(path: Self.reference))
        #expect(written.names == ["mu", "mu_s", "sigma", "sigma_s"])
        for name in written.names {
            #expect(written.info(name)?.shape == given.info(name)?.shape)
            #expect(try written.float64s(of: name) == given.float64s(of: name))
        }
    }

    @Test func digitsHaveDistancesOfTheirOwnName() throws {
        let folder = try TemporaryFolder()
        let found = try results(["fid", "digits-train", "digits"] + Self.digits)
        #expect(Array(found.keys) == ["FD-ravlt-nano"])
        let distance = try #require(found.values.first)
        #expect(distance > 0 && distance < 20, "\(distance)")
        let statistics = folder.path("digits.npz")
        try zooSucceeds(["metrics", "stats", "digits", "--pooled-only", "--output", statistics] + Self.digits)
        let again = try results(["fid", "digits-train", statistics] + Self.digits)
        #expect(abs(try #require(again.values.first) - distance) < 1e-9 * distance)
        #expect(abs(try #require(results(["fid", statistics, "digits"] + Self.digits).values.first)) < 1e-6)
        let score = try #require(results(["is", "digits"] + Self.digits)["IS-ravlt-nano"])
        let expected = try Self.inceptionScore(of: "nano/ravlt-nano-digits.logits.safetensors")
        #expect(abs(score - expected) < 1e-6 * expected, "\(score), of the official logits \(expected)")
    }

    @Test func imagesOfAnArchiveAreThoseOfTheDataSet() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("images.npz")
        var pixels: [UInt8] = []
        for image in 0..<30 { for pixel in 0..<64 * 3 { pixels.append(UInt8((image * 7 + pixel * 13) % 256)) } }
        try NumpyWriter.write(to: path) { try $0.add("arr_0", shape: [30, 8, 8, 3], pixels) }
        try FileManager.default.createDirectory(atPath: folder.path("set/0"), withIntermediateDirectories: true)
        for image in 0..<30 {
            let bytes = try ImageEncoder.png(
                RGBImage(height: 8, width: 8, pixels: Array(pixels[image * 192..<(image + 1) * 192])))
            try Data(bytes).write(to: URL(filePath: folder.path("set/0/\(image + 100).png")))
        }
        let found = try results(["prc", path, folder.path("set"), "--features", "ravlt-nano", "--quiet"])
        #expect(found["precision"] == 1 && found["recall"] == 1)
    }

    /// Photographs of several sizes and shapes, and what the official code makes of them, in a folder each.
    private func photographs(_ folder: TemporaryFolder) throws -> (whole: String, cropped: String, pixels: [UInt8]) {
        let golden = try SafetensorsFile(path: Fixtures.path("metrics/resize.case.safetensors"))
        var pixels: [UInt8] = []
        for (kind, place) in [("u8", "whole"), ("out", "cropped")] {
            try FileManager.default.createDirectory(atPath: folder.path(place), withIntermediateDirectories: true)
            for name in ["a", "b", "c", "d", "e"] {
                let shape = try #require(golden.info("crop-\(name).\(kind)")).shape
                let image = RGBImage(
                    height: shape[0], width: shape[1], pixels: try golden.uint8s(of: "crop-\(name).\(kind)"))
                try Data(ImageEncoder.png(image)).write(to: URL(filePath: folder.path("\(place)/\(name).png")))
                if kind == "out" { pixels += image.pixels }
            }
        }
        return (folder.path("whole"), folder.path("cropped"), pixels)
    }

    @Test func photographsAreCroppedAsForTraining() throws {
        let folder = try TemporaryFolder()
        let (whole, cropped, pixels) = try photographs(folder)
        let statistics = folder.path("reference.npz")
        let written = try zooSucceeds(
            [
                "metrics", "stats", whole, "--crop", "16", "--images", "5", "--pooled-only", "--output", statistics,
                "--json",
            ] + Self.digits
        ).json()
        #expect((written["network"] as? [String: Any])?["crop"] as? Int == 16)
        let archive = try NumpyArchive(path: statistics)
        #expect(archive.names == ["arr_0", "mu", "sigma"])
        #expect(archive.info("arr_0") == TensorInfo(shape: [5, 16, 16, 3], dtype: .uint8))
        #expect(try archive.uint8s(of: "arr_0") == pixels)
        func distance(_ arguments: String...) throws -> Double {
            try #require(results(["fid"] + arguments + Self.digits).values.first)
        }
        #expect(abs(try distance(statistics, cropped)) < 1e-6)
        #expect(abs(try distance(cropped, whole, "--crop", "16")) < 1e-6)
        #expect(try distance(cropped, whole) > 0.1, "squashed images are others")
        let found = try results(["prc", statistics, cropped] + Self.digits)
        #expect(found == ["precision": 1, "recall": 1, "f_score": 1])

        let output = ["--output", folder.path("none.npz")]
        let stats = ["metrics", "stats", whole] + output + Self.digits
        try zooFails(stats + ["--images", "5"], with: 65, mentioning: "\(whole)/b.png", "\(whole)/a.png", "--crop")
        for count in ["6", "0", "-1"] {
            try zooFails(
                stats + ["--crop", "16", "--images=\(count)"], with: 64, mentioning: "--images", "1...5", count)
        }
        for size in ["0", "-3", "999999999"] {
            #expect(try zoo(["metrics", "fid", whole, whole, "--crop=\(size)"] + Self.digits).status == 64)
        }
        try zooFails(
            ["metrics", "fid", whole, whole, "--resize", "clean"] + Self.digits, with: 64,
            mentioning: "--resize clean", "ravlt-nano")
        try zooFails(
            ["metrics", "stats", statistics, "--pooled-only", "--crop", "16"] + output, with: 64, mentioning: "--crop")
        let features = try features("a.safetensors", shift: 0, in: folder)
        try zooFails(
            ["metrics", "stats", features, "--pooled-only", "--images", "3"] + output, with: 65, mentioning: features,
            "no images")
        #expect(!FileManager.default.fileExists(atPath: folder.path("none.npz")))
    }

    @Test func rejectsWhatCannotBeCompared() throws {
        let folder = try TemporaryFolder()
        let features = try features("a.safetensors", shift: 0, in: folder)
        let truncated = folder.path("truncated.npz")
        let bytes = try Data(contentsOf: URL(filePath: Self.reference))
        try bytes.prefix(700).write(to: URL(filePath: truncated))
        let broken = folder.path("nan.npz")
        try NumpyWriter.write(to: broken) { try $0.add("features", shape: [2, 2], [1, Float.nan, 0, 2]) }
        let shaped = folder.path("shape.npz")
        try NumpyWriter.write(to: shaped) { writer in
            try writer.add("mu", shape: [3], [1.0, 2, 3])
            try writer.add("sigma", shape: [2, 2], [1.0, 0, 0, 1])
            try writer.add("arr_0", shape: [2, 2], [UInt8(1), 2, 3, 4])
        }
        let samples = Fixtures.path("metrics/mini-samples.npz")
        func fails(_ arguments: [String], with code: Int32, _ words: String...) throws {
            let result = try zoo(["metrics"] + arguments, environment: ["ZOO_HOME": folder.path])
            #expect(result.status == code, "\(arguments): \(result.errors)")
            for word in words { #expect(result.errors.contains(word), "\(word): \(result.errors)") }
        }
        try fails(["fid", truncated, features], with: 65, "truncated.npz")
        try fails(["fid", features, broken], with: 65, "nan.npz", "row 0, column 1", "nan")
        try fails(["fid", shaped, features], with: 65, "shape.npz", "sigma", "[3] and [2, 2]")
        try fails(["prc", shaped, features], with: 65, "shape.npz", "arr_0", "(N, H, W, 3)")
        try fails(["fid", features, Self.reference], with: 65, "4 dimensions", "9")
        try fails(["sfid", features, features], with: 65, "a.safetensors", "mu_s")
        try fails(["fid", features, folder.path("none.npz")], with: 66, "none.npz")
        try fails(["fid", features, samples], with: 66, "fid-inception", "pt_inception-2015-12-05-6726825d.pth")
        try fails(["fid", features, samples, "--weights", "seeded:1", "--resize", "nearest"], with: 64, "nearest")
        try fails(["sfid", "digits", "digits", "--features", "ravlt-nano"], with: 64, "spatial")
        try fails(["kid", features, features], with: 65, "at least 1000", "16")
        try fails(["is", features, "--shuffle"], with: 64, "--splits")
        try fails(["is", features, "--splits", "0"], with: 64, "--splits", "at least 1")
        try fails(["kid", features, features, "--subsets", "0"], with: 64, "--subsets")
        try fails(["kid", features, features, "--subset-size", "1"], with: 64, "--subset-size", "at least 2")
        try fails(["prc", features, features, "--neighbours", "0"], with: 64, "--neighbours")
        try fails(["fid", features, features, "--batch-size", "0"], with: 64, "--batch-size")
        try fails(["fid", features, features, "--output-file", folder.path("r.csv")], with: 64, "r.csv", "JSON")
        try fails(["fid", features, folder.path("none")], with: 66, "none: no dataset")
        try fails(["fid", features, Fixtures.inPackage("docs/lit-nano.png")], with: 65, "is one image")
        try fails(["stats", Self.reference, "--output", features + "/x.npz"], with: 73, "a.safetensors/x.npz")
    }

    @Test func latentsBecomePictures() throws {
        let folder = try TemporaryFolder()
        let arguments = [
            "generate", "dit-s-8", "--weights", "seeded:1", "--vae", "seeded:1", "--class", "3", "--steps", "2",
            "--quiet",
        ]
        try zooSucceeds(arguments + ["--output-dir", folder.path("drawn")])
        let picture = try ImageDecoder.decode(file: folder.path("drawn/000000.png"), limits: ResourceLimits())
        #expect(picture.image.height == 256 && picture.image.width == 256)
        #expect(Set(picture.image.pixels).count > 20, "noise has many levels")
        let record = try String(contentsOfFile: folder.path("drawn/generation.json"), encoding: .utf8)
        #expect(record.contains("autoencoder") && record.contains("seeded:1"))
    }

    @Test func evalComparesAGeneratorWithItsData() throws {
        let object = try zooSucceeds(["eval", "lit-nano", "--data", "digits", "--limit", "60", "--quiet", "--json"])
            .json()
        #expect(object["command"] as? String == "eval" && object["schema_version"] as? Int == 1)
        let results = try #require(object["results"] as? [String: Any])
        #expect(results["features"] as? String == "ravlt-nano" && results["samples"] as? Int == 60)
        #expect(try #require(results["recognised"] as? Int) >= 50)
        #expect(try #require(results["fd"] as? Double) > 0)
        #expect(try #require(results["precision"] as? Double) > 0.3)
        #expect(try #require(results["images_per_second"] as? Double) > 0)
        let text = try zooSucceeds(["eval", "dit-nano", "--limit", "20", "--quiet"]).output
        for name in ["FD-ravlt-nano", "KD-ravlt-nano", "IS-ravlt-nano", "recognised"] { #expect(text.contains(name)) }
        #expect(!text.contains("FID") && results["sfd"] == nil)
        let network = try #require(object["network"] as? [String: Any])
        #expect(network["name"] as? String == "ravlt-nano" && network["resizing"] as? String == "the network's own")
        let weights = try #require(network["weights"] as? [String: Any])
        #expect(weights["trained"] as? Bool == true && (weights["sha256"] as? String)?.count == 64)
        #expect(network["crop"] == nil, "pictures of digits are compared whole")
        let parameters = try #require(object["parameters"] as? [String: String])
        #expect(parameters["steps"] == "50" && parameters["sampler"] == "ddpm" && parameters["seed"] == "0")
    }

    /// The options mean what they mean to `zoo generate`: the same samples, and so the same distance.
    @Test func evalDrawsAsGenerateDoes() throws {
        let folder = try TemporaryFolder()
        let sampling = [
            "--count", "20", "--steps", "6", "--sampler", "ddim", "--eta", "0.5", "--guidance", "1.5",
            "--guidance-channels", "all", "--seed", "3", "--quiet",
        ]
        let object = try zooSucceeds(["eval", "lit-nano", "--json"] + sampling).json()
        let parameters = try #require(object["parameters"] as? [String: String])
        #expect(
            parameters == [
                "steps": "6", "sampler": "ddim, eta 0.5", "guidance": "1.5", "guided_channels": "1",
                "seed": "3", "precision": "fp32",
            ])
        let results = try #require(object["results"] as? [String: Any])
        #expect(results["samples"] as? Int == 20)
        let batch = folder.path("batch.npz")
        try zooSucceeds(["generate", "lit-nano", "--class", "all", "--npz", batch] + sampling)
        let distance = try self.results(["fid", "digits", batch] + Self.digits)
        #expect(results["fd"] as? Double == distance["FD-ravlt-nano"])
        let other = try zooSucceeds(["eval", "lit-nano", "--json"] + sampling.map { $0 == "3" ? "4" : $0 }).json()
        #expect((other["results"] as? [String: Any])?["fd"] as? Double != results["fd"] as? Double)
        #expect(try zooSucceeds(["eval", "lit-nano"] + sampling).output.contains("steps 6"))
    }

    @Test func evalOfAGeneratorTakesUpWhatAJournalHas() throws {
        let folder = try TemporaryFolder()
        let journal = folder.path("journal")
        let arguments = ["eval", "lit-nano", "--count", "30", "--steps", "5", "--json", "--journal", journal]
        func distance(_ run: Invocation) throws -> Double {
            try #require((run.json()["results"] as? [String: Any])?["fd"] as? Double)
        }
        let whole = try distance(zooSucceeds(arguments))
        let names = try FileManager.default.contentsOfDirectory(atPath: journal)
        #expect(names.count == 31 && names.contains("generation.json"))
        for number in 12..<30 { try FileManager.default.removeItem(atPath: "\(journal)/0000\(number).png") }
        let resumed = try zooSucceeds(arguments + ["--resume", "--batch-size", "5"])
        #expect(resumed.errors.contains("resuming with 12 of 30 samples"))
        #expect(try distance(resumed) == whole)
        try zooFails(arguments, with: 64, mentioning: journal, "--resume")
        let file = try folder.write("not a folder", to: "file")
        try zooFails(Array(arguments.dropLast()) + [file], with: 73, mentioning: file, "is a file")
        try zooFails(
            ["eval", "lit-nano", "--data", "imagenet-subset", "--count", "20"], with: 65,
            mentioning: "other classes", "digits", "imagenet")
        let complete = try zooSucceeds(arguments + ["--resume"])
        #expect(try (complete.json()["results"] as? [String: Any])?["images_per_second"] == nil)
        let text = try zooSucceeds(arguments.filter { $0 != "--json" } + ["--resume"]).output
        #expect(text.contains("nothing drawn in this run") && !text.contains("images a second"))
        try zooFails(arguments + ["--resume", "--seed", "1"], with: 64, mentioning: journal, "seed")
        try zooFails(arguments + ["--resume", "--guidance", "2"], with: 64, mentioning: journal, "guidance")
    }

    @Test func evalOfAGeneratorCanBeInterrupted() throws {
        let folder = try TemporaryFolder()
        let result = folder.path("result.json")
        let arguments = ["eval", "dit-nano", "--steps", "5", "--quiet", "--output-file", result, "--count"]
        let process = Process()
        process.executableURL = try program()
        process.arguments = arguments + ["100000"]
        process.environment = ProcessInfo.processInfo.environment.merging(["ZOO_HOME": folder.path("home")]) { $1 }
        let errors = Pipe()
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, errors)
        try process.run()
        /// The pictures that stand, beside the record of how they are made.
        func drawn() -> Int {
            ((try? FileManager.default.contentsOfDirectory(atPath: result + ".journal").count) ?? 0) - 1
        }
        while process.isRunning, drawn() < 8 { usleep(2000) }
        process.interrupt()
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        let message = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        #expect(message.contains("interrupted after") && message.contains("--resume"), "\(message)")
        let count = drawn()
        #expect(count > 0 && count.isMultiple(of: 8), "whole batches: \(count)")
        try zooFails(arguments + ["20", "--resume", "--seed", "1"], with: 64, mentioning: "seed")
        try zooSucceeds(arguments + ["20", "--resume"])
        #expect(!FileManager.default.fileExists(atPath: result + ".journal"), "nothing is left of a complete run")
        #expect(FileManager.default.fileExists(atPath: result))
    }

    @Test func evalRejectsOptionsOfTheOtherKind() throws {
        for arguments in [
            ["--csv"], ["--per-class"], ["--dataset-classes-only"],
            ["--expect", "top1=98"], ["--on-bad-image", "skip"], ["--decode-threads", "2"], ["--image-size", "16"],
            ["--crop-pct", "1"], ["--interpolation", "bicubic"], ["--output-file", "x.csv"],
        ] {
            try zooFails(
                ["eval", "lit-nano"] + arguments, with: 64, mentioning: "lit-nano is no classifier", arguments[0])
        }
        for arguments in [
            ["--count", "20"], ["--steps", "20"], ["--sampler", "ddim"], ["--eta", "0"], ["--guidance", "2"],
            ["--guidance-channels", "all"], ["--seed", "1"], ["--vae", "sd-vae"], ["--tile", "32"],
        ] {
            try zooFails(
                ["eval", "ravlt-nano"] + arguments, with: 64, mentioning: "ravlt-nano is no generator", arguments[0])
            try zooFails(["eval", "--all", "--data", "digits"] + arguments, with: 64, mentioning: arguments[0])
        }
        try zooFails(["eval", "lit-nano", "--limit", "2"], with: 64, mentioning: "--count")
        try zooFails(
            ["eval", "lit-nano", "--limit", "20", "--count", "20"], with: 64, mentioning: "--count", "--limit")
        for arguments in [["--count", "0"], ["--eta", "0.5"], ["--sampler", "euler"], ["--seed", "-1"]] {
            #expect(try zoo(["eval", "lit-nano"] + arguments).status == 64)
        }
        try zooFails(["eval", "lit-nano", "--steps", "0"], with: 64, mentioning: "steps")
        for arguments in [["--guidance", "nan"], ["--guidance-channels", "2"]] {
            try zooFails(["eval", "lit-nano"] + arguments, with: 64, mentioning: arguments[0])
        }
        try zooFails(["eval", "sd-vae"], with: 64, mentioning: "sd-vae")
    }

    @Test func evalTakesTheAutoencoderAsGenerateDoes() throws {
        let folder = try TemporaryFolder()
        for option in ["--vae=seeded:1", "--tile=32"] {
            try zooFails(
                ["eval", "lit-nano", option], with: 64, mentioning: "draws pictures", String(option.prefix(5)))
        }
        let none = folder.path("none.safetensors")
        try zooFails(
            ["eval", "dit-s-8", "--weights", "seeded:1", "--vae", none, "--tile", "32", "--quiet"], with: 66,
            mentioning: none)
    }

    /// Three digits of each class in a folder each, one of them cut short and, if wanted, one that is no image.
    private func damagedDigits(_ folder: TemporaryFolder, broken: Bool) throws -> String {
        let set = folder.path("set")
        try zooSucceeds([
            "data", "subset", "--from", "digits", "--classes", "all", "--per-class", "3", "--output", set,
        ])
        try FileManager.default.removeItem(atPath: set + "/subset.json")
        let names = try FileManager.default.contentsOfDirectory(atPath: set + "/4").sorted()
        let whole = try Data(contentsOf: URL(filePath: "\(set)/4/\(names[1])"))
        try whole.prefix(whole.count - 20).write(to: URL(filePath: set + "/4/cut.png"))
        if broken { try Data("no image".utf8).write(to: URL(filePath: set + "/7/broken.png")) }
        return set
    }

    @Test func imagesThatAreNotInOrderAreReported() throws {
        let folder = try TemporaryFolder()
        let set = try damagedDigits(folder, broken: false)
        let found = try zooSucceeds(["metrics", "prc", "digits", set, "--json"] + Self.digits)
        #expect(found.errors.contains("warning: 1 of 31 images are not in order, such as \(set)/4/cut.png: warned"))
        let sets = try #require(try found.json()["sets"] as? [[String: Any]])
        #expect((sets[0]["bad_images"] as? [Any])?.isEmpty == true)
        let bad = try #require(sets[1]["bad_images"] as? [[String: Any]])
        #expect(bad.count == 1 && bad[0]["id"] as? String == "4/cut.png" && bad[0]["status"] as? String == "warned")
        let strict = try zoo(["metrics", "prc", "digits", set, "--strict"] + Self.digits)
        #expect(strict.status == 65 && strict.errors.contains("\(set)/4/cut.png: 1 of 31 images are not in order"))
        _ = try folder.write("no image", to: "set/0/nameless")
        let noted = try zooSucceeds(["metrics", "prc", "digits", set, "--features", "ravlt-nano"])
        #expect(noted.errors.contains("1 entries are not part of the dataset, such as \(set)/0/nameless"))

        let eval = ["eval", "lit-nano", "--data", set, "--count", "20", "--steps", "4", "--quiet"]
        let compared = try zooSucceeds(eval + ["--json"])
        #expect(compared.errors.contains("1 of 31 images are not in order, such as 4/cut.png"))
        let results = try #require(try compared.json()["results"] as? [String: Any])
        #expect((results["bad_images"] as? [[String: Any]])?.compactMap { $0["id"] as? String } == ["4/cut.png"])
        let text = try zoo(eval + ["--strict"])
        #expect(text.status == 65 && text.output.contains("bad image") && text.output.contains("4/cut.png: warned"))
    }

    @Test func rejectsImagesThatCannotBeDecoded() throws {
        let folder = try TemporaryFolder()
        let set = try damagedDigits(folder, broken: true)
        try zooFails(["metrics", "prc", "digits", set] + Self.digits, with: 65, mentioning: "\(set)/7/broken.png")
        try zooFails(
            ["eval", "lit-nano", "--data", set, "--count", "20", "--steps", "4", "--quiet"], with: 65,
            mentioning: "\(set)/7/broken.png")
    }

    @Test func warnsOfFewImagesAndUntrainedWeights() throws {
        let samples = Fixtures.path("metrics/mini-samples.npz")
        let result = try zooSucceeds(["metrics", "fid", samples, samples, "--weights", "seeded:1", "--quiet", "--json"])
        #expect(result.errors.contains("untrained"))
        #expect(result.errors.contains("5 images for 2048 dimensions"))
        let object = try result.json()
        let network = try #require(object["network"] as? [String: Any])
        #expect(network["name"] as? String == "inception" && network["resizing"] as? String == "tensorflow")
        #expect((network["weights"] as? [String: Any])?["trained"] as? Bool == false)
        #expect((object["results"] as? [String: Double])?.keys.first == "FID")
    }
}
