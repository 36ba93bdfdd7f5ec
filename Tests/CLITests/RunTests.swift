import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// `zoo run` against the official implementations and against itself.
@Suite struct RunTests {
    static let families = [("rala", "ravlt-t"), ("mala", "mavit-t")]

    /// Writes the tensor `input` and returns the file's path.
    private func input(_ tensor: Tensor, in folder: TemporaryFolder, name: String = "input") throws -> String {
        var writer = SafetensorsWriter()
        writer.add(name, tensor)
        try writer.write(to: folder.path("in.safetensors"))
        return folder.path("in.safetensors")
    }

    /// The golden input of a case.
    private func seededInput(_ shape: [Int], in folder: TemporaryFolder) throws -> String {
        try input(SeededSource.uniform("input", shape: shape), in: folder)
    }

    private struct GoldenCase {
        let shape: [Int]
        let noise: [Double]
    }

    private func goldenCases(_ json: [String: Any]) throws -> [String: GoldenCase] {
        try #require(json["cases"] as? [String: [String: Any]]).mapValues { entry in
            let noise = entry["noise_fp32_vs_fp64"]
            let entries = noise as? [[String: Any]] ?? [noise as? [String: Any] ?? [:]]
            return GoldenCase(
                shape: try #require(entry["input_shape"] as? [Int]),
                noise: try entries.map { try #require($0["rel_l2"] as? Double) })
        }
    }

    /// An image and noise to moments and the latents drawn from them.
    @Test func fidelityOfDrawnLatents() throws {
        let folder = try TemporaryFolder()
        let golden = try SafetensorsFile(path: Fixtures.path("vae/tiny.case.safetensors"))
        let noise = SeededSource.uniform("noise", shape: [1, 4, 3, 4])
        func run(_ noise: Tensor, _ output: String) throws -> [String] {
            var writer = SafetensorsWriter()
            writer.add("image", try golden.tensor("input"))
            writer.add("noise", noise)
            try writer.write(to: folder.path("in.safetensors"))
            return [
                "run", "sd-vae", "--weights", "seeded:1", "--config", Fixtures.path("vae/tiny.json"), "--input",
                folder.path("in.safetensors"), "--output", output,
            ]
        }
        try zooSucceeds(run(noise, folder.path("out.safetensors")))
        let file = try SafetensorsFile(path: folder.path("out.safetensors"))
        #expect(Set(file.names) == ["moments", "sample"])
        let (mean, deviation) = (try golden.float64s(of: "mean"), try golden.float64s(of: "std"))
        let expected = mean.indices.map { mean[$0] + deviation[$0] * Double(noise.values[$0]) }
        #expect(relativeL2(try file.tensor("sample").values, expected) < 1e-6)
        try zooFails(
            run(Tensor(zeros: [1, 4, 3, 3]), folder.path("none.safetensors")), with: 65, mentioning: "noise",
            "[1, 4, 3, 4]")
    }

    @Test(arguments: families, ["tiny", "tiny_linear"])
    func fidelityOfClassifiers(family: (String, String), network: String) throws {
        let folder = try TemporaryFolder()
        let config = Fixtures.path("models/\(family.0)_\(network).json")
        let golden = try SafetensorsFile(path: Fixtures.path("models/\(family.0)_\(network).case.safetensors"))
        for (name, entry) in try goldenCases(try Fixtures.json(config)) {
            let output = folder.path("out.safetensors")
            try zooSucceeds([
                "run", family.1, "--weights", "seeded:1", "--config", config, "--input",
                try seededInput(entry.shape, in: folder), "--output", output,
            ])
            let file = try SafetensorsFile(path: output)
            #expect(file.names == ["logits", "pre_logits"])
            let logits = try file.tensor("logits")
            #expect(logits.shape == [entry.shape[0], 10])
            let error = relativeL2(logits.values, try golden.float64s(of: "\(name).logits_fp64"))
            #expect(error <= 4 * entry.noise[0], "\(family.0) \(network) \(name): \(error) against \(entry.noise[0])")
        }
    }

    @Test(arguments: families)
    func fidelityOfBackboneMaps(family: (String, String)) throws {
        let folder = try TemporaryFolder()
        let config = Fixtures.path("models/\(family.0)_tiny_backbone.json")
        let golden = try SafetensorsFile(path: Fixtures.path("models/\(family.0)_tiny_backbone.case.safetensors"))
        for (name, entry) in try goldenCases(try Fixtures.json(config)) {
            let output = folder.path("out.safetensors")
            try zooSucceeds([
                "run", family.1, "--weights", "seeded:1", "--config", config, "--input",
                try seededInput(entry.shape, in: folder), "--output", output,
            ])
            let file = try SafetensorsFile(path: output)
            #expect(file.names == ["out0", "out1", "out2", "out3"])
            for index in 0..<4 {
                let expected = try golden.tensor("\(name).out\(index)")
                let map = try file.tensor("out\(index)")
                #expect(map.shape == expected.shape)
                // The stored outputs are float32: their own noise comes on top.
                let error = relativeL2(map.values, expected.values.map(Double.init))
                #expect(error <= 5 * entry.noise[index], "\(family.0) \(name) out\(index): \(error)")
            }
        }
    }

    @Test(.enabled(if: Fixtures.hasShared), arguments: families)
    func fidelityWithStoredWeights(family: (String, String)) throws {
        let folder = try TemporaryFolder()
        let golden = try #require(Fixtures.shared("golden/\(family.0)"))
        let config = "\(golden)/tiny.json"
        let cases = try SafetensorsFile(path: "\(golden)/tiny.case.safetensors")
        for (name, entry) in try goldenCases(try Fixtures.json(config)) {
            let output = folder.path("out.safetensors")
            try zooSucceeds([
                "run", family.1, "--weights", "\(golden)/tiny.weights.safetensors", "--config", config, "--input",
                try input(try cases.tensor("\(name).input"), in: folder), "--output", output, "--intermediates",
            ])
            let file = try SafetensorsFile(path: output)
            let logits = try file.tensor("logits")
            let noise = 4 * entry.noise[0]
            #expect(relativeL2(logits.values, try cases.float64s(of: "\(name).logits_fp64")) <= noise)
            let pooled = try cases.tensor("\(name).avgpool.out").values.map(Double.init)
            #expect(relativeL2(try file.tensor("pre_logits").values, pooled) <= noise + 1e-6)
            // The last stage has no downsampling, so its output is the official module's.
            let last = try cases.tensor("\(name).layers.3.out").values.map(Double.init)
            #expect(relativeL2(try file.tensor("out3").values, last) <= noise + 1e-6)
        }
    }

    @Test(.enabled(if: Fixtures.hasShared), arguments: [("rala", "RAVLT_T"), ("mala", "MALA_T")])
    func fidelityOfFullSize(family: String, variant: String) throws {
        let folder = try TemporaryFolder()
        let golden = try #require(Fixtures.shared("golden/\(family)/\(variant).case.safetensors"))
        let json = try Fixtures.json(try #require(Fixtures.shared("golden/\(family)/\(variant).json")))
        let results = try #require(json["results"] as? [String: [String: Any]])
        let noise = try #require((results["damped"]?["noise_fp32_vs_fp64"] as? [String: Any])?["rel_l2"] as? Double)
        let output = folder.path("out.safetensors")
        try zooSucceeds([
            "run", variant, "--weights", "seeded:1,.pos.weight=0.25", "--input",
            try seededInput([1, 3, 224, 224], in: folder), "--output", output,
        ])
        let logits = try SafetensorsFile(path: output).tensor("logits")
        let expected = try SafetensorsFile(path: golden).float64s(of: "damped.logits_fp64")
        #expect(relativeL2(logits.values, expected) <= 4 * noise)
    }

    @Test func independenceOfBatchSizeAndThreads() throws {
        let folder = try TemporaryFolder()
        let images = try seededInput([5, 3, 40, 32], in: folder)
        let variations = [
            [], ["--batch-size", "1"], ["--batch-size", "3"], ["--threads", "1"], ["--threads", "3"],
        ]
        let outputs = try variations.enumerated().map { index, options in
            let output = folder.path("out\(index).safetensors")
            try zooSucceeds(
                ["run", "ravlt-nano", "--input", images, "--output", output, "--intermediates"] + options)
            return try Data(contentsOf: URL(filePath: output))
        }
        for output in outputs { #expect(output == outputs[0]) }
    }

    /// Tensors of a model as a checkpoint file with a prefix before every name.
    private func checkpoint(
        of card: ModelCard, hyperparameters: Hyperparameters?, prefix: String, to path: String
    ) throws {
        let source = SeededSource(seed: 1)
        var writer = SafetensorsWriter()
        for (name, shape) in try Registry.tensors(of: card, hyperparameters: hyperparameters) {
            var tensor = Tensor(zeros: shape)
            try tensor.withUnsafeMutableValues { try source.read(name, shape: shape, into: $0) }
            writer.add(prefix + name, tensor)
        }
        if !prefix.isEmpty { writer.add("neck.convs.0.weight", Tensor(zeros: [2, 2])) }
        try writer.write(to: path)
    }

    @Test func fidelityOfDetectorCheckpoints() throws {
        let folder = try TemporaryFolder()
        let card = try Registry.card(named: "ravlt-nano")
        let weights = folder.path("detector.safetensors")
        try checkpoint(of: card, hyperparameters: Hyperparameters([:]), prefix: "backbone.", to: weights)
        let images = try seededInput([1, 3, 32, 48], in: folder)
        let output = folder.path("out.safetensors")
        let arguments = ["run", "ravlt-nano", "--weights", weights, "--input", images, "--output", output]
        try zooFails(arguments, with: 65, mentioning: weights, "--intermediates")

        let result = try zooSucceeds(arguments + ["--intermediates"])
        #expect(result.errors.hasPrefix("zoo: note: ") && result.errors.contains("backbone"))
        let file = try SafetensorsFile(path: output)
        #expect(file.names == ["out0", "out1", "out2", "out3"])
        #expect(try file.tensor("out3").shape == [1, 64, 1, 2])

        // The same network through a configuration without a head.
        let config = try folder.write("{}", to: "backbone.json")
        let again = folder.path("again.safetensors")
        try zooSucceeds([
            "run", "ravlt-nano", "--weights", "seeded:1", "--config", config, "--input", images, "--output", again,
        ])
        let other = try SafetensorsFile(path: again)
        for name in file.names { #expect(try file.tensor(name) == other.tensor(name)) }
    }

    @Test func fidelityOfWeightsFiles() throws {
        let folder = try TemporaryFolder()
        let weights = folder.path("weights.safetensors")
        try checkpoint(of: try Registry.card(named: "mavit-nano"), hyperparameters: nil, prefix: "", to: weights)
        let images = try seededInput([2, 3, 32, 32], in: folder)
        let logits = try [weights, "seeded:1"].map { source in
            let output = folder.path("out.safetensors")
            try zooSucceeds(["run", "mavit-nano", "--weights", source, "--input", images, "--output", output])
            return try SafetensorsFile(path: output).tensor("logits")
        }
        #expect(logits[0] == logits[1])
    }

    @Test func acceptsOtherFloatingPointTypes() throws {
        let folder = try TemporaryFolder()
        let tensor = SeededSource.uniform("input", shape: [1, 3, 32, 32])
        var writer = SafetensorsWriter()
        writer.add("input", shape: tensor.shape, tensor.values.map(Double.init))
        try writer.write(to: folder.path("double.safetensors"))
        let logits = try [input(tensor, in: folder), folder.path("double.safetensors")].map { path in
            let output = folder.path("out.safetensors")
            try zooSucceeds(["run", "ravlt-nano", "--input", path, "--output", output])
            return try SafetensorsFile(path: output).tensor("logits")
        }
        #expect(logits[0] == logits[1])
    }

    @Test func rejectsUnusableInputs() throws {
        let folder = try TemporaryFolder()
        let output = folder.path("out.safetensors")
        func run(_ input: String) -> [String] { ["run", "ravlt-nano", "--input", input, "--output", output] }

        try zooFails(run(folder.path("none.safetensors")), with: 66, mentioning: "none.safetensors")
        let good = try seededInput([1, 3, 32, 32], in: folder)
        let bytes = try Data(contentsOf: URL(filePath: good))
        for length in [0, 7, 40, bytes.count - 1] {
            let path = folder.path("truncated.safetensors")
            try bytes.prefix(length).write(to: URL(filePath: path))
            try zooFails(run(path), with: 65, mentioning: "truncated.safetensors")
        }
        try zooFails(
            run(try input(Tensor(zeros: [1, 3, 8, 8]), in: folder, name: "image")), with: 65, mentioning: "input")
        try zooFails(run(try input(Tensor(zeros: [3, 8, 8]), in: folder)), with: 65, mentioning: "(B, 3, H, W)")
        try zooFails(run(try input(Tensor(zeros: [1, 3, 0, 8]), in: folder)), with: 65, mentioning: "input")
        try zooFails(
            run(try input(Tensor(zeros: [1, 4, 8, 8]), in: folder)), with: 65, mentioning: "(B, 3, H, W)",
            "[1, 4, 8, 8]")
        var writer = SafetensorsWriter()
        writer.add("input", shape: [1, 3, 1, 1], [Int64](repeating: 1, count: 3))
        try writer.write(to: folder.path("integer.safetensors"))
        try zooFails(run(folder.path("integer.safetensors")), with: 65, mentioning: "input", "I64")
        try zooFails(run(good) + ["--tile", "32"], with: 64, mentioning: "--tile", "no autoencoder")
        // What a network can't take is wrong with the file.
        try zooFails(
            [
                "run", "deit-tiny", "--weights", "seeded:1", "--input",
                try input(Tensor(zeros: [1, 3, 1, 1]), in: folder),
                "--output", output,
            ], with: 65, mentioning: "in.safetensors: input: ")
        #expect(!FileManager.default.fileExists(atPath: output))
    }

    @Test func rejectsUnwritableOutputs() throws {
        let folder = try TemporaryFolder()
        let images = try seededInput([1, 3, 32, 32], in: folder)
        for output in [folder.path("no/such/folder/out.safetensors"), folder.path] {
            try zooFails(
                ["run", "ravlt-nano", "--input", images, "--output", output], with: 73, mentioning: folder.path)
        }
    }

    @Test(arguments: [
        ("{", 65, "config.json"), ("[1]", 65, "config.json"), ("{\"config\": 3}", 65, "config"),
        ("{\"embed_dims\": [8, 8, 8, 8], \"nonsense\": 1}", 65, "nonsense"),
        ("{\"embed_dims\": \"big\"}", 65, "embed_dims"), ("{\"embed_dims\": [3, 8, 8, 8]}", 65, "embed_dims"),
        ("{\"num_heads\": [1e300, 1, 1, 1]}", 65, "num_heads"), ("{\"projection\": 8}", 65, "projection"),
        (String(repeating: "[", count: 100_000), 65, "config.json"),
        ("{\"a\":" + String(repeating: "[", count: 40) + String(repeating: "]", count: 40) + "}", 65, "config.json"),
        (String(repeating: " ", count: 2 << 20), 65, "1 MiB"),
    ])
    func rejectsConfigurations(text: String, status: Int, mention: String) throws {
        let folder = try TemporaryFolder()
        let config = try folder.write(text, to: "config.json")
        try zooFails(
            [
                "run", "ravlt-nano", "--weights", "seeded:1", "--config", config, "--input",
                try seededInput([1, 3, 32, 32], in: folder), "--output", folder.path("out.safetensors"),
            ], with: Int32(status), mentioning: config, mention)
    }

    @Test func rejectsWeights() throws {
        let folder = try TemporaryFolder()
        let images = try seededInput([1, 3, 32, 32], in: folder)
        func run(_ model: String, _ options: String...) -> [String] {
            ["run", model, "--input", images, "--output", folder.path("out.safetensors")] + options
        }
        try zooFails(
            run("ravlt-t"), with: 66, mentioning: "RAVLT_T.pth", "/home/weights",
            environment: ["ZOO_HOME": folder.path("home")])
        try zooFails(run("ravlt-nano", "--weights", folder.path("none.pth")), with: 66, mentioning: "none.pth")
        try zooFails(run("ravlt-nano", "--weights", "seeded:x"), with: 64, mentioning: "seeded:x")
        try zooFails(run("ravlt-nano", "--weights", "seeded:1,a"), with: 64, mentioning: "SUFFIX=NUMBER")
        // A checkpoint of another model: the error names tensors with both shapes.
        let nano = Fixtures.inPackage("Models/Checkpoints/ravlt-nano.safetensors")
        try zooFails(run("ravlt-t", "--weights", nano), with: 65, mentioning: nano, "problems", "expected [")
        let text = try folder.write("not a checkpoint", to: "text.pth")
        try zooFails(run("ravlt-nano", "--weights", text), with: 65, mentioning: "text.pth")
    }
}
