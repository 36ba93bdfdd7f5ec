import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// DeiT, ViT and Swin against timm: our distance from its float64 run may be at most 4x its own float32 run's.
@Suite struct BaselineTests {
    private struct Golden {
        let json: [String: Any]
        let tensors: SafetensorsFile

        init(_ name: String) throws {
            json = try Fixtures.json(Fixtures.path("baselines/\(name).json"))
            tensors = try SafetensorsFile(path: Fixtures.path("baselines/\(name).case.safetensors"))
        }

        /// Relative to the result, root mean square.
        func noise() throws -> Double { try #require(json.number("noise_fp32_vs_fp64", "rms_diff_over_rms")) }

        func values(_ name: String) throws -> [Double] { try tensors.tensor(name).values.map(Double.init) }
    }

    @Test(
        arguments: [
            ("tiny_deit", "deit-tiny", [2, 3, 64, 64]), ("tiny_deit_dynamic_96x48", "deit-tiny", [1, 3, 96, 48]),
            ("tiny_swin", "swin-tiny", [1, 3, 112, 112]), ("tiny_swin_80x48", "swin-tiny", [2, 3, 80, 48]),
        ], InstructionSet.available)
    func fidelityOfTinyClassifiers(network: (case: String, model: String, input: [Int]), isa: InstructionSet) throws {
        let golden = try Golden(network.case)
        let model = try Registry.load(
            Registry.card(named: network.model), from: SeededSource(seed: 1),
            hyperparameters: hyperparameters(golden.json))
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let pass = try run(model, seededImages(network.input), on: runtime)
        let error = relativeL2(pass.logits, try golden.values("output_f64"))
        #expect(try error <= 4 * golden.noise(), "\(network.case) \(isa)")
        #expect(try run(model, seededImages(network.input), on: runtime) == pass)
    }

    @Test(
        arguments: [("deit_tiny_patch16_224", "deit-tiny"), ("swin_tiny_patch4_window7_224", "swin-tiny")],
        InstructionSet.available)
    func fidelityAtFullSize(network: (name: String, model: String), isa: InstructionSet) throws {
        let golden = try Golden(network.name)
        let model = try Registry.load(Registry.card(named: network.name), from: SeededSource(seed: 1))
        let pass = try run(model, seededImages([1, 3, 224, 224]), on: Runtime(threads: 2, instructionSet: isa))
        #expect(try relativeL2(pass.logits, golden.values("output_f64")) <= 4 * golden.noise(), "\(isa)")
        // Recorded in float32 only: its own noise comes on top.
        #expect(try relativeL2(pass.preLogits, golden.values("pre_logits")) <= 5 * golden.noise(), "\(isa)")
        #expect(try Registry.card(named: network.name).name == network.model)
    }

    @Test(arguments: ["deit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
    func tensorNamesEqualTheManifest(name: String) throws {
        let expected = try Fixtures.json(Fixtures.path("baselines/\(name).manifest.json"))
        let tensors = try Registry.tensors(of: Registry.card(named: name))
        #expect(Set(tensors.map(\.name)) == Set(expected.keys))
        for tensor in tensors { #expect(expected[tensor.name] as? [Int] == tensor.shape, "\(tensor.name)") }
    }

    @Test(arguments: InstructionSet.available)
    func fidelityOfGlobalAttention(isa: InstructionSet) throws {
        let golden = try Golden("op_vit_attention")
        let attention = SelfAttention(Self.seeded["attn"], channels: 36, heads: 3, norm: nil)
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let x = SeededSource.uniform("x", shape: [2, 50, 36])
        let output = try apply(Tensor(shape: [2, 1, 50, 36], values: x.values)) { x, y in
            attention(x, into: y, on: runtime)
        }
        #expect(try relativeL2(output, golden.values("out_f64")) <= 4 * golden.noise())
    }

    /// The recorded module takes windows one after the other; here they are parts of a map.
    @Test(arguments: InstructionSet.available)
    func fidelityOfWindowAttention(isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let plain = try Golden("op_swin_window_attn_2x3")
        let small = WindowAttention(Self.seeded["attn"], channels: 20, heads: 2, window: (2, 3), norm: nil)
        let x = SeededSource.uniform("x", shape: [3, 6, 20])
        let output = try apply(Tensor(shape: [3, 2, 3, 20], values: x.values)) { x, y in
            small(x, into: y, shift: (1, 1), on: runtime)
        }
        #expect(try relativeL2(output, plain.values("out_f64")) <= 4 * plain.noise())

        let masked = try Golden("op_swin_window_attn_masked")
        let shifted = WindowAttention(Self.seeded["attn"], channels: 24, heads: 3, window: (7, 7), norm: nil)
        let windows = SeededSource.uniform("x", shape: [4, 49, 24]).values
        // Where token t of window w lies in a 14x14 map that is rolled by 3.
        let pixels = (0..<196).map { index in
            let (window, token) = (index / 49, index % 49)
            let (y, x) = (window / 2 * 7 + token / 7, window % 2 * 7 + token % 7)
            return (y + 3) % 14 * 14 + (x + 3) % 14
        }
        var map = Tensor(zeros: [1, 14, 14, 24])
        map.withUnsafeMutableValues { map in
            for (index, pixel) in pixels.enumerated() {
                for channel in 0..<24 { map[pixel * 24 + channel] = windows[index * 24 + channel] }
            }
        }
        let mixed = try apply(map) { x, y in shifted(x, into: y, shift: (3, 3), on: runtime) }
        let gathered = pixels.flatMap { mixed[$0 * 24..<$0 * 24 + 24] }
        #expect(try relativeL2(gathered, masked.values("out_f64")) <= 4 * masked.noise())
    }

    @Test(arguments: ["shift", "pad", "pad_shift", "oneaxis"], InstructionSet.available)
    func fidelityOfSwinBlocks(name: String, isa: InstructionSet) throws {
        let golden = try Golden("op_swin_block_\(name)")
        let map = try #require(golden.json["map"] as? [Int])
        let used = try #require(golden.json["window_used"] as? [Int])
        let block = Swin.Block(
            Self.seeded, channels: 24, heads: 3, hidden: 48, window: (used[0], used[1]),
            shift: try #require(golden.json["shift_asked"] as? Int), epsilon: 1e-5)
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let x = SeededSource.uniform("x", shape: [2, map[0], map[1], 24])
        let output = try apply(x) { x, y in
            y.base.update(from: x.base, count: x.rows * x.channels)
            block(y, on: runtime)
        }
        #expect(try relativeL2(output, golden.values("out_f64")) <= 4 * golden.noise(), "\(name) \(isa)")
    }

    @Test(arguments: [(6, 8), (5, 7)], InstructionSet.available)
    func fidelityOfPatchMerging(size: (height: Int, width: Int), isa: InstructionSet) throws {
        let golden = try Golden("op_patch_merging_\(size.height)x\(size.width)")
        let merging = PatchMerging(Self.seeded["downsample"], channels: 10)
        let x = SeededSource.uniform("x", shape: [2, size.height, size.width, 10])
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let shape = try golden.tensors.tensor("out_f64").shape
        let output = try apply(x, to: shape) { x, y in merging(x, into: y, on: runtime) }
        #expect(try relativeL2(output, golden.values("out_f64")) <= 4 * golden.noise())
    }

    @Test(arguments: [((14, 14), (12, 16)), ((14, 14), (24, 24)), ((14, 14), (7, 5)), ((4, 4), (6, 3))])
    func fidelityOfPositionEmbeddings(old: (Int, Int), new: (Int, Int)) throws {
        let golden = try Golden("op_pos_embed_\(old.0)x\(old.1)_to_\(new.0)x\(new.1)")
        // The recorded embedding holds the raw values, which the rule for weights makes smaller.
        let count = Float((1 + old.0 * old.1) * 4)
        let source = SeededSource(seed: 1, factors: [(suffix: "pos_embed", factor: (count / 3).squareRoot())])
        let embedding = PositionEmbedding(
            WeightReader(source).root, "pos_embed", grid: old, channels: 4, leading: 1, resampling: .antialiasedBicubic)
        let runtime = try Runtime(threads: 1)
        let map = embedding.map(height: new.0, width: new.1, on: runtime)
        let values = embedding.leading + Array(UnsafeBufferPointer(start: map.base, count: new.0 * new.1 * 4))
        #expect(try relativeL2(values, golden.values("out_f64")) <= 4 * golden.noise())
    }

    /// The original files of Swin: merging at the end of a stage, another name for the classifier, buffers besides.
    @Test func originalSwinNamesGiveTheSameNetwork() throws {
        let config = hyperparameters(try Golden("tiny_swin").json)
        let card = try Registry.card(named: "swin-tiny")
        let names = try Registry.tensors(of: card, hyperparameters: config)
        let source = OriginalSwinNames(timm: Dictionary(uniqueKeysWithValues: names.map { ($0.name, $0.shape) }))
        let images = seededImages([1, 3, 112, 112])
        let runtime = try Runtime(threads: 1)
        let renamed = try run(Registry.load(card, from: source, hyperparameters: config), images, on: runtime)
        let own = try run(
            Registry.load(card, from: SeededSource(seed: 1), hyperparameters: config), images, on: runtime)
        #expect(renamed == own)
    }

    @Test func rejectsImagesThatAreNotMadeOfPatches() throws {
        let runtime = try Runtime(threads: 1)
        for (name, height, width) in [("tiny_deit", 64, 72), ("tiny_deit", 8, 64), ("tiny_swin", 112, 110)] {
            let model = try Registry.load(
                Registry.card(named: name == "tiny_deit" ? "deit-tiny" : "swin-tiny"), from: SeededSource(seed: 1),
                hyperparameters: hyperparameters(Golden(name).json))
            let error = #expect(throws: ZooError.self) {
                try run(model, seededImages([1, 3, height, width]), on: runtime)
            }
            #expect(error?.kind == .usage)
            #expect(error?.expected?.contains("multiples of") == true)
        }
    }

    /// Maps smaller than the window, with odd sides, with padding: every size of whole patches is computed, and the
    /// same on every instruction set.
    @Test(arguments: [(4, 4), (16, 60), (72, 20), (148, 100)])
    func anyImageOfWholePatchesIsComputed(height: Int, width: Int) throws {
        let model = try Registry.load(
            Registry.card(named: "swin-tiny"), from: SeededSource(seed: 1),
            hyperparameters: hyperparameters(Golden("tiny_swin").json))
        let images = seededImages([2, 3, height, width])
        let reference = try run(model, images, on: Runtime(threads: 1, instructionSet: .ref))
        #expect(reference.logits.allSatisfy { $0.isFinite })
        for isa in InstructionSet.available where isa != .ref {
            let pass = try run(model, images, on: Runtime(threads: 2, instructionSet: isa))
            #expect(relativeL2(pass.logits, reference.logits.map(Double.init)) < 5e-6, "\(isa)")
        }
    }

    private static var seeded: Weights { WeightReader(SeededSource(seed: 1)).root }

    /// Runs a layer on a channels-last tensor.
    private func apply(
        _ x: Tensor, to shape: [Int]? = nil, _ layer: (FeatureMap, FeatureMap) -> Void
    ) throws -> [Float] {
        var x = x
        let (from, to) = (x.shape, shape ?? x.shape)
        var output = [Float](repeating: .nan, count: to.reduce(1, *))
        x.withUnsafeMutableValues { source in
            output.withUnsafeMutableBufferPointer { destination in
                func map(_ buffer: UnsafeMutableBufferPointer<Float>, _ shape: [Int]) -> FeatureMap {
                    FeatureMap(
                        batch: shape[0], height: shape[1], width: shape[2], channels: shape[3],
                        base: buffer.baseAddress!)
                }
                layer(map(source, from), map(destination, to))
            }
        }
        return output
    }
}

/// Seeded weights of a Swin under the names of the original code.
private struct OriginalSwinNames: TensorSource {
    /// Names and shapes in timm's naming.
    let timm: [String: [Int]]
    let name = "original.pth"

    private static func original(_ name: String) -> String {
        if name.hasPrefix("head.fc.") { return name.replacingOccurrences(of: "head.fc.", with: "head.") }
        var parts = name.split(separator: ".").map(String.init)
        if parts.count > 2, parts[2] == "downsample", let stage = Int(parts[1]) { parts[1] = "\(stage - 1)" }
        return parts.joined(separator: ".")
    }

    private var byOriginalName: [String: String] {
        Dictionary(uniqueKeysWithValues: timm.keys.map { (Self.original($0), $0) })
    }

    var tensorNames: [String]? {
        (byOriginalName.keys
            + ["layers.0.blocks.1.attn_mask", "layers.0.blocks.0.attn.relative_position_index"]).sorted()
    }

    func info(_ tensor: String) -> TensorInfo? {
        byOriginalName[tensor].flatMap { timm[$0] }.map { TensorInfo(shape: $0, dtype: .float32) }
    }

    func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
        guard let name = byOriginalName[tensor] else { throw ZooError(.badData, "tensor is missing", at: tensor) }
        try SeededSource(seed: 1).read(name, shape: shape, into: destination)
    }
}
