import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// The four InLine backbones against the official implementation: our distance from its float64 run may be at most 4x
/// its own float32 run's. Weights and inputs follow the seeded rule.
@Suite struct InLineTests {
    /// A golden case: what was computed, its noise, and the results.
    private struct Case {
        let json: [String: Any]
        let tensors: SafetensorsFile

        init(_ name: String) throws {
            json = try Fixtures.json(Fixtures.path("inline/\(name).json"))
            tensors = try SafetensorsFile(path: Fixtures.path("inline/\(name).case.safetensors"))
        }

        /// The stored float64 results are rounded to float32.
        func bound() throws -> Double {
            try 4 * #require(json.number("noise_fp32_vs_fp64", "rms_diff_over_rms")) + 0x1p-24
        }

        func shape(of tensor: String) throws -> [Int] {
            try #require((json["tensors"] as? [String: Any])?[tensor] as? [Int])
        }
    }

    private static var weights: Weights { WeightReader(SeededSource(seed: 1)).root }

    /// Runs a layer over [batch, height, width, channels].
    private func run(
        _ x: [Float], _ batch: Int, _ height: Int, _ width: Int, outputs: Int? = nil,
        _ layer: (FeatureMap, FeatureMap) -> Void
    ) throws -> [Float] {
        let rows = batch * height * width
        let channels = outputs ?? x.count / rows
        var (x, output) = (x, [Float](repeating: .nan, count: rows * channels))
        try x.withUnsafeMutableBufferPointer { source in
            try output.withUnsafeMutableBufferPointer { destination in
                layer(
                    FeatureMap(
                        batch: batch, height: height, width: width, channels: source.count / rows,
                        base: try #require(source.baseAddress)),
                    FeatureMap(
                        batch: batch, height: height, width: width, channels: channels,
                        base: try #require(destination.baseAddress)))
            }
        }
        return output
    }

    /// A module over the seeded input `x` of a golden case.
    private func check(
        _ name: String, _ height: Int, _ width: Int, _ layer: (FeatureMap, FeatureMap) -> Void
    ) throws {
        let golden = try Case(name)
        let x = SeededSource.uniform("x", shape: try golden.shape(of: "x")).values
        let batch = try golden.shape(of: "x").reduce(1, *) / (height * width * golden.shape(of: "x")[2])
        let output = try run(x, batch, height, width, layer)
        let error = relativeL2(output, try golden.tensors.float64s(of: "out_f64"))
        #expect(try error <= golden.bound(), "\(name): \(error)")
    }

    // MARK: Parts

    @Test(arguments: InstructionSet.available)
    func fidelityOfTheFilterPredictor(isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let golden = try Case("op_residual_predictor_c36_h3")
        let local = LocalResidual(Self.weights["attn"]["residual"], channels: 36, heads: 3)
        var filters: [Float] = []
        _ = try run(SeededSource.uniform("x_mean", shape: [2, 36]).values, 2, 1, 1) { mean, _ in
            runtime.workspace.scope {
                let map = local.filters(of: mean, on: runtime)
                // [batch, taps, channels] to [batch, channels, taps]
                filters = (0..<2 * 36 * 9).map { map.base[$0 / 324 * 324 + $0 % 9 * 36 + $0 % 324 / 9] }
            }
        }
        let error = relativeL2(filters, try golden.tensors.float64s(of: "out_f64"))
        #expect(try error <= golden.bound(), "\(isa): \(error)")
    }

    @Test(arguments: ["4x7", "1x1"], InstructionSet.available)
    func fidelityOfAFilterPerImage(size: String, isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let golden = try Case("op_dynamic_dwconv_\(size)")
        let values = channelsLast(try golden.tensors.tensor("v"))
        let taps = try golden.tensors.tensor("kernels").values
        let expected = channelsLast(try golden.tensors.tensor("out_f64"))
        let local = LocalResidual(WeightReader(nil).root, channels: 5, heads: 1)
        let (height, width) = (values.shape[1], values.shape[2])
        var filters = (0..<90).map { (index: Int) -> Float in
            let (image, tap, channel) = (index / 45, index % 45 / 5, index % 5)
            return taps[image * 45 + channel * 9 + tap]
        }
        let output = try filters.withUnsafeMutableBufferPointer { filters in
            let filters = FeatureMap(
                batch: 2, height: 3, width: 3, channels: 5, base: try #require(filters.baseAddress))
            return try run(values.values, 2, height, width) { values, output in
                local.apply(filters, to: values, grid: (height, width), into: output, on: runtime)
            }
        }
        let error = relativeL2(output, expected.values.map(Double.init))
        #expect(try error <= golden.bound(), "\(isa): \(error)")
    }

    @Test(arguments: InstructionSet.available)
    func fidelityOfAttentionModules(isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        for kernel in InLineKernel.allCases {
            let module = InLineAttention(Self.weights["attn"], channels: 36, heads: 3, kernel: kernel, norm: nil)
            try check("op_swin_inline_attn_\(kernel)", 7, 7) { module($0, into: $1, on: runtime) }
        }
        let split = InLineAttention(
            Self.weights["attn"], channels: 40, heads: 5, projection: .split, norm: nil)
        try check("op_pvt_inline_attn_5x9", 5, 9) { split($0, into: $1, on: runtime) }
        let token = InLineAttention(Self.weights["attn"], channels: 36, heads: 3, norm: nil)
        try check("op_deit_inline_attn_6x6", 1, 37) { token($0, into: $1, grid: (6, 6), on: runtime) }
        try check("op_deit_inline_attn_1x1", 1, 2) { token($0, into: $1, grid: (1, 1), on: runtime) }
        let reduced = SpatialReductionAttention(
            Self.weights["attn"], channels: 24, heads: 3, reduction: 2, norm: nil)
        try check("op_pvt_softmax_sr2_6x8", 6, 8) { reduced($0, into: $1, on: runtime) }
    }

    @Test(arguments: InstructionSet.available)
    func fidelityOfShiftedBlocks(isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let kinds: [(String, InLineSwin.Block.Attention)] = [
            ("inline", .inLine(.identity, window: 7)), ("softmax", .softmax(window: 7)),
        ]
        for (kind, attention) in kinds {
            let block = InLineSwin.Block(
                Self.weights, channels: 24, heads: 3, hidden: 96, attention: attention, shift: 3, epsilon: 1e-5)
            try check("op_swin_\(kind)_block_shift3", 14, 14) { x, output in
                output.base.update(from: x.base, count: x.rows * x.channels)
                block(output, on: runtime)
            }
        }
    }

    /// Queries, keys and values of a CSwin branch, [3, 2, 36, C], as columns of a packed map with `total` channels each,
    /// of which the branch begins at `first`; NaN in the columns of the other branch.
    private func packed(_ channels: Int, total: Int, first: Int) -> [Float] {
        let qkv = SeededSource.uniform("qkv", shape: [3, 2, 36, channels]).values
        var packed = [Float](repeating: .nan, count: 72 * 3 * total)
        for part in 0..<3 {
            for row in 0..<72 {
                for c in 0..<channels {
                    packed[row * 3 * total + part * total + first + c] = qkv[(part * 72 + row) * channels + c]
                }
            }
        }
        return packed
    }

    @Test(arguments: InstructionSet.available)
    func fidelityOfCSwinBranches(isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let branch = Self.weights["attns"][0]
        let golden = try Case("op_cswin_inline_attn_6x6")
        let mixing = InLineMixing(
            channels: 24, heads: 4,
            local: LocalResidual(branch["residual"], channels: 24, heads: 4, adding: branch["get_v"]))
        var mean = SeededSource.uniform("x_mean", shape: [2, 24]).values
        let output = try mean.withUnsafeMutableBufferPointer { mean in
            let mean = FeatureMap(batch: 2, height: 1, width: 1, channels: 24, base: try #require(mean.baseAddress))
            return try run(packed(24, total: 24, first: 0), 2, 6, 6, outputs: 24) { packed, output in
                mixing(packed, filtersFrom: mean, grid: (6, 6), into: output, on: runtime)
            }
        }
        let error = relativeL2(output, try golden.tensors.float64s(of: "out_f64"))
        #expect(try error <= golden.bound(), "\(isa): \(error)")

        let shapes: [(String, Stripes, branch: Int)] = [
            ("vertical", .vertical(2), 0), ("horizontal", .horizontal(2), 1), ("full", .whole, 0),
        ]
        for (name, stripes, index) in shapes {
            let golden = try Case("op_cswin_lepe_attn_\(name)")
            let parts = stripes == .whole ? 1 : 2
            let module = StripeAttention(
                Self.weights["attns"][0], channels: parts * 24, heads: parts * 3, branch: index, stripes: stripes)
            let whole = try run(
                packed(24, total: parts * 24, first: index * 24), 2, 6, 6, outputs: parts * 24
            ) { packed, output in module(packed, into: output, on: runtime) }
            let output = (0..<72 * 24).map { whole[$0 / 24 * parts * 24 + index * 24 + $0 % 24] }
            let error = relativeL2(output, try golden.tensors.float64s(of: "out_f64"))
            #expect(try error <= golden.bound(), "\(name) \(isa): \(error)")
        }
    }

    // MARK: Networks

    static let tiny: [(name: String, model: String, maps: [String?])] = [
        ("tiny_inline_deit", "inline-deit-tiny", ["blocks.1"]),
        ("tiny_inline_pvt", "inline-pvt-tiny", ["block1.0", "block2.0", "block3.1", "block4.0"]),
        ("tiny_inline_pvt_48x80", "inline-pvt-tiny", ["block1.0", nil, nil, "block4.0"]),
        ("tiny_inline_pvt_siss", "inline-pvt-tiny", ["block1.0", "block2.0", "block3.1", "block4.0"]),
        ("tiny_inline_swin_ims1", "inline-swin-tiny", [nil, nil, nil]),
        ("tiny_inline_swin_w7", "inline-swin-tiny", ["layers.0.blocks.1", nil, nil]),
        ("tiny_inline_cswin_iiss", "inline-cswin-tiny", ["stage1.0", "stage2.0", "stage3.1", "stage4.0"]),
        ("tiny_cswin_ssss", "inline-cswin-tiny", ["stage1.0", "stage2.0", "stage3.0", "stage4.0"]),
    ]

    @Test(arguments: tiny, InstructionSet.available)
    func fidelityOfTinyNetworks(
        network: (name: String, model: String, maps: [String?]), isa: InstructionSet
    ) throws {
        let golden = try Case(network.name)
        let model = try Registry.load(
            Registry.card(named: network.model), from: SeededSource(seed: 1),
            hyperparameters: hyperparameters(golden.json))
        let pass = try ZooModelsTests.run(
            model, seededImages(try golden.shape(of: "input")), on: Runtime(threads: 2, instructionSet: isa))
        let error = relativeL2(pass.logits, try golden.tensors.float64s(of: "output_f64"))
        #expect(try error <= golden.bound(), "\(network.name) \(isa): \(error)")
        #expect(pass.intermediates.count == network.maps.count)
        for (map, name) in zip(pass.intermediates, network.maps) {
            guard let name else { continue }
            // The stored maps are float32: their own noise comes on top.
            let error = relativeL2(map, try golden.tensors.float64s(of: "out:\(name)"))
            #expect(try error <= 1.25 * golden.bound(), "\(network.name) \(name) \(isa): \(error)")
        }
    }

    static let full = [
        ("inline_deit_tiny", "inline-deit-tiny"), ("inline_deit_small", "inline-deit-small"),
        ("inline_deit_small_224", "inline-deit-small"), ("inline_pvt_tiny", "inline-pvt-tiny"),
        ("inline_swin_tiny", "inline-swin-tiny"), ("inline_cswin_tiny", "inline-cswin-tiny"),
    ]

    /// The reference leaves out the larger input of the two that InLine-DeiT-S has.
    @Test(arguments: full, InstructionSet.available)
    func fidelityAtFullSize(network: (name: String, model: String), isa: InstructionSet) throws {
        guard isa != .ref || network.name != "inline_deit_small" else { return }
        let golden = try Case(network.name)
        let shape = try #require((golden.json["input"] as? [String: Any])?["shape"] as? [Int])
        let model = try Registry.load(
            Registry.card(named: network.model), from: SeededSource(seed: 1),
            hyperparameters: Hyperparameters(["img_size": .number(Double(shape[2]))]))
        let pass = try ZooModelsTests.run(
            model, seededImages(shape), on: Runtime(threads: 2, instructionSet: isa))
        let error = relativeL2(pass.logits, try golden.tensors.float64s(of: "output_f64"))
        #expect(try error <= golden.bound(), "\(network.name) \(isa): \(error)")
        let preLogits = relativeL2(pass.preLogits, try golden.tensors.float64s(of: "pre_logits"))
        #expect(try preLogits <= 1.25 * golden.bound(), "\(network.name) \(isa): \(preLogits)")
    }

    @Test(arguments: full.filter { $0.0 != "inline_deit_small_224" })
    func tensorNamesEqualTheManifest(network: (name: String, model: String)) throws {
        let expected = try Fixtures.json(Fixtures.path("inline/\(network.name).manifest.json"))
        let tensors = try Registry.tensors(of: Registry.card(named: network.model))
        #expect(Set(tensors.map(\.name)) == Set(expected.keys))
        for tensor in tensors { #expect(expected[tensor.name] as? [Int] == tensor.shape, "\(tensor.name)") }
    }

    /// The numbers of learned tensors of the official state dictionaries.
    @Test(arguments: [
        ("inline-deit-base", 200), ("inline-pvt-small", 310), ("inline-pvt-medium", 526), ("inline-pvt-large", 760),
        ("inline-swin-small", 341), ("inline-swin-base", 347), ("inline-swin-base-384", 347),
        ("inline-cswin-small", 674), ("inline-cswin-base", 674), ("inline-cswin-base-384", 674),
    ])
    func stateDictionariesHaveTheOfficialSize(name: String, count: Int) throws {
        #expect(try Registry.tensors(of: Registry.card(named: name)).count == count)
    }

    @Test(arguments: [(224, 1.109), (384, 3.247), (640, 9.009), (1024, 23.052)])
    func costOfInLineDeiTGrowsAsPublished(size: Int, gmacs: Double) throws {
        let cost = try Registry.skeleton(of: Registry.card(named: "inline-deit-tiny")).cost(height: size, width: size)
        #expect(abs(Double(cost.convolutions + cost.attention) / 1e9 - gmacs) <= 0.0006)
    }

    // MARK: Checkpoints and sizes

    /// The checkpoints of the golden data carry the buffers that official ones do.
    @Test(.enabled(if: Fixtures.hasShared))
    func acceptsTheBuffersOfOfficialFiles() throws {
        for network in Self.tiny where network.name != "tiny_inline_pvt_48x80" {
            let path = try #require(Fixtures.shared("golden/inline/\(network.name).weights.safetensors"))
            _ = try Registry.load(
                Registry.card(named: network.model), from: SafetensorsFile(path: path),
                hyperparameters: hyperparameters(try Case(network.name).json))
        }
    }

    private func network(_ name: String) throws -> any ImageClassifier {
        let network = try #require(Self.tiny.first { $0.name == name })
        return try Registry.load(
            Registry.card(named: network.model), from: SeededSource(seed: 1),
            hyperparameters: hyperparameters(try Case(name).json))
    }

    @Test(arguments: [
        ("tiny_inline_deit", 72, 64, "multiples of 16"), ("tiny_inline_pvt", 31, 64, "at least 1x1"),
        ("tiny_inline_pvt_siss", 28, 64, nil), ("tiny_inline_swin_ims1", 100, 112, "even sides"),
        ("tiny_inline_swin_ims1", 144, 144, "multiples of 28x28"), ("tiny_inline_swin_w7", 64, 64, "multiples of 7x7"),
        ("tiny_cswin_ssss", 40, 64, "multiples of 2x8"),
    ])
    func rejectsSizesThatItCannotTake(name: String, height: Int, width: Int, expected: String?) throws {
        let model = try network(name)
        let images = seededImages([1, 3, height, width])
        let error = #expect(throws: ZooError.self) {
            try model.logits(images, on: Runtime(threads: 1))
        }
        #expect(error?.kind == .usage)
        #expect(error?.problem.isEmpty == false)
        if let expected { #expect(error?.expected?.contains(expected) == true, "\(error?.description ?? "")") }
    }

    /// Sizes that the official code refuses or stumbles over: where a deeper stage of the pyramid has as many tokens as the
    /// first one had in training, other grids than the trained one, and maps larger than the windows.
    @Test(arguments: [
        ("tiny_inline_pvt", 128, 128), ("tiny_inline_pvt", 32, 128), ("tiny_inline_deit", 48, 80),
        ("tiny_inline_swin_ims1", 224, 224), ("tiny_inline_cswin_iiss", 64, 96),
    ])
    func takesSizesThatTheOfficialCodeDoesNot(name: String, height: Int, width: Int) throws {
        let logits = try network(name).logits(seededImages([2, 3, height, width]), on: Runtime(threads: 2))
        #expect(logits.values.allSatisfy { $0.isFinite })
    }

    @Test(arguments: [
        ("tiny_inline_deit", 64, 48), ("tiny_inline_pvt", 70, 50), ("tiny_inline_swin_w7", 112, 112),
        ("tiny_inline_cswin_iiss", 64, 64),
    ])
    func featuresAndHeadMakeTheWhole(name: String, height: Int, width: Int) throws {
        let model = try network(name)
        let runtime = try Runtime(threads: 2)
        let images = seededImages([2, 3, height, width])
        let whole = try ZooModelsTests.run(model, images, on: runtime)
        let shape = try #require(model.intermediateShapes(height: height, width: width).last)
        var features = [Float](repeating: .nan, count: 2 * shape.count)
        var logits = [Float](repeating: .nan, count: 2 * model.classes)
        try images.withUnsafeValues { pixels in
            let batch = ImageBatch(
                batch: 2, height: height, width: width, values: try #require(pixels.baseAddress))
            try model.forwardFeatures(batch, into: &features, on: runtime)
        }
        try features.withUnsafeBufferPointer { features in
            try logits.withUnsafeMutableBufferPointer { logits in
                let batch = ImageBatch(
                    batch: 2, height: shape.height, width: shape.width, channels: shape.channels,
                    values: try #require(features.baseAddress))
                try model.forwardHead(batch, into: ClassifierOutput(logits: logits.baseAddress), on: runtime)
            }
        }
        #expect(features == whole.intermediates.last)
        #expect(logits == whole.logits)
    }

    @Test(arguments: [
        ("inline-pvt-tiny", "attn_type", Hyperparameters.Value.text("IIX")),
        ("inline-pvt-tiny", "attn_type", .text("IIMI")), ("inline-swin-tiny", "attn_type", .text("IIII3")),
        ("inline-pvt-tiny", "embed_dims", .list([.number(64)])), ("inline-deit-tiny", "num_heads", .number(7)),
        ("inline-deit-tiny", "qkv_bias", .bool(false)), ("inline-deit-tiny", "img_size", .number(8)),
        ("inline-swin-tiny", "kernel_function", .text("elu")), ("inline-swin-tiny", "embed_dim", .number(4096.5)),
        ("inline-cswin-tiny", "split_size", .list([.number(1), .number(2)])),
        ("inline-cswin-tiny", "num_heads", .list([.number(1), .number(4), .number(1), .number(4)])),
        ("inline-cswin-tiny", "window_size", .number(7)), ("inline-deit-tiny", "norm_eps", .number(-1)),
    ])
    func rejectsUnusableHyperparameters(model: String, name: String, value: Hyperparameters.Value) throws {
        let error = #expect(throws: ZooError.self) {
            try Registry.skeleton(of: Registry.card(named: model), hyperparameters: Hyperparameters([name: value]))
        }
        #expect(error?.kind == .badData)
        #expect(error?.location != nil)
    }
}
