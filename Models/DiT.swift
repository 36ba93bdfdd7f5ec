import ZooCore
import ZooNN

/// DiT, the diffusion transformer, and the network it shares with LiT.
///
/// - Paper: Peebles, Xie, "Scalable Diffusion Models with Transformers", ICCV 2023, arXiv 2212.09748.
/// - Code: github.com/facebookresearch/DiT, `models.py`; tensor names are those of its checkpoints, or those of diffusers.
public enum DiT {
    static let family = ModelFamily(
        name: "dit", aliases: [], defaultVariant: "dit-xl-2", cards: cards,
        build: { variant, hyperparameters, weights in
            try DiffusionTransformer(
                configuration(of: variant).replaced(by: hyperparameters), attention: .softmax, weights)
        },
        isBuffer: DiffusionTransformer.isBuffer)

    private static func configuration(of variant: String) -> DiffusionTransformer.Configuration {
        if variant == "dit-nano" { return .nano(heads: 4) }
        let parts = variant.split(separator: "-")
        return .released(size: parts[1], patch: Int(parts[2]) ?? 2, side: parts.count > 3 ? 64 : 32)
    }

    private static let cards: [ModelCard] =
        [
            DiffusionTransformer.nanoCard(
                name: "dit-nano", family: "dit", parameters: 575_138, gmacs: 0.019, attentionGmacs: 0.003,
                paper: paper, code: code)
        ]
        + [
            card("s", 8, parameters: 33_142_016, gmacs: [0.356, 1.389], attention: [0.002, 0.038]),
            card("s", 4, parameters: 32_920_448, gmacs: [1.375, 5.466], attention: [0.038, 0.604]),
            card("s", 2, parameters: 32_865_056, gmacs: [5.452, 21.773], attention: [0.604, 9.664]),
            card("b", 8, parameters: 130_869_248, gmacs: [1.413, 5.518], attention: [0.005, 0.075]),
            card("b", 4, parameters: 130_426_496, gmacs: [5.490, 21.825], attention: [0.075, 1.208]),
            card("b", 2, parameters: 130_315_808, gmacs: [21.797, 87.055], attention: [1.208, 19.327]),
            card("l", 8, parameters: 458_578_432, gmacs: [4.999, 19.532], attention: [0.013, 0.201]),
            card("l", 4, parameters: 457_988_224, gmacs: [19.494, 77.514], attention: [0.201, 3.221]),
            card("l", 2, parameters: 457_840_672, gmacs: [77.476, 309.442], attention: [3.221, 51.540]),
            card("xl", 8, parameters: 675_664_640, gmacs: [7.376, 28.822], attention: [0.017, 0.264]),
            card("xl", 4, parameters: 675_000_704, gmacs: [28.779, 114.436], attention: [0.264, 4.228]),
            card(
                "xl", 2, parameters: 674_834_720, gmacs: [114.394, 456.893], attention: [4.228, 67.646],
                isPublished: true),
        ].flatMap(\.self)

    private static let paper = "Scalable Diffusion Models with Transformers, arXiv 2212.09748"
    private static let code = "github.com/facebookresearch/DiT"

    /// The variants for 256 and 512 pixels, whose costs are the two numbers.
    private static func card(
        _ size: String, _ patch: Int, parameters: Int, gmacs: [Double], attention: [Double], isPublished: Bool = false
    ) -> [ModelCard] {
        zip([256, 512], zip(gmacs, attention)).map { pixels, cost in
            DiffusionTransformer.card(
                name: "dit-\(size)-\(patch)" + (pixels == 512 ? "-512" : ""), family: "dit", pixels: pixels,
                parameters: parameters, gmacs: cost.0, attentionGmacs: cost.1, paper: paper, code: code,
                checkpoint: !isPublished
                    ? nil
                    : PublishedCheckpoint(
                        page: code, file: "DiT-XL-2-\(pixels)x\(pixels).pt", licence: "CC-BY-NC-4.0"))
        }
    }
}

/// The transformer of DiT and LiT: patches with a fixed position table, blocks modulated by timestep and class
/// (adaLN-Zero), and a linear layer back to pixels.
public struct DiffusionTransformer: Denoiser {
    /// What mixes the tokens of a block.
    enum Attention: Sendable {
        /// Multi-head softmax attention.
        case softmax
        /// LiT's linear attention with a depthwise convolution of the values.
        case fewHead
    }

    /// The hyper-parameters, under the names of the official code.
    struct Configuration: Sendable {
        /// S: rows and columns of a sample.
        var inputSize = 32
        /// p
        var patchSize: Int
        var inChannels = 4
        /// D
        var hiddenSize: Int
        var depth: Int
        var numHeads: Int
        var mlpRatio = 4.0
        var numClasses = 1000
        /// Whether the label table has a row for no class.
        var hasNullLabel = true
        var learnSigma = true
        /// K of LiT's depthwise convolution.
        var kernelSize = 5

        var outputChannels: Int { inChannels * (learnSigma ? 2 : 1) }
        var hidden: Int { Int(mlpRatio * Double(hiddenSize)) }

        /// - Parameter side: of a latent.
        static func released(size: Substring, patch: Int, side: Int, fewHeads: Bool = false) -> Configuration {
            let (depth, hiddenSize, heads, few) =
                switch size {
                case "s": (12, 384, 6, 2)
                case "b": (12, 768, 12, 3)
                case "l": (24, 1024, 16, 4)
                default: (28, 1152, 16, 4)
                }
            return Configuration(
                inputSize: side, patchSize: patch, hiddenSize: hiddenSize, depth: depth,
                numHeads: fewHeads ? few : heads)
        }

        /// The small variants that ship with the package, trained on 8x8 digits without an autoencoder.
        static func nano(heads: Int) -> Configuration {
            Configuration(
                inputSize: 8, patchSize: 1, inChannels: 1, hiddenSize: 96, depth: 4, numHeads: heads, mlpRatio: 2,
                numClasses: 10)
        }
    }

    public var channels: Int { configuration.inChannels }
    public var outputChannels: Int { configuration.outputChannels }
    public var sampleSize: Int { configuration.inputSize }
    public var conditioning: Conditioning { .labels(count: configuration.numClasses) }
    private let configuration: Configuration
    private let patches: PatchProjection
    private let timestepEmbedder: TimestepEmbedder
    /// [classes + 1, D]
    private let labelTable: PackedWeight
    private let blocks: [DiffusionBlock]
    private let finalModulation: Linear
    private let finalLinear: Linear

    init(_ configuration: Configuration, attention: Attention, _ w: Weights) throws {
        self.configuration = configuration
        let names = CheckpointNames(w)
        let width = configuration.hiddenSize
        patches = PatchProjection(
            names.patches, channels: configuration.inChannels, patch: configuration.patchSize, width: width)
        timestepEmbedder = TimestepEmbedder(names.timestep.first, names.timestep.second, width: width)
        labelTable = PackedWeight(
            names.labels.tensor(
                "weight", [configuration.numClasses + (configuration.hasNullLabel ? 1 : 0), width]))
        blocks = (0..<configuration.depth).map {
            DiffusionBlock(names.block($0), configuration: configuration, attention: attention)
        }
        finalModulation = .modulation(names.head.modulation, width: width, parts: 2, scales: [1])
        finalLinear = Linear(
            names.head.linear, in: width,
            out: configuration.patchSize * configuration.patchSize * configuration.outputChannels, kernel: .linear)
    }

    /// The position table, which is computed, and the copies of the embedders that diffusers keeps in every block.
    static func isBuffer(_ tensor: String) -> Bool {
        tensor == "pos_embed" || tensor.hasPrefix("transformer_blocks.") && tensor.contains(".norm1.emb.")
    }

    public func cost(height: Int, width: Int) -> Cost {
        let (rows, columns) = (height / configuration.patchSize, width / configuration.patchSize)
        var cost = patches.cost(tokens: rows * columns) + timestepEmbedder.cost + finalModulation.cost(pixels: 1)
        for block in blocks { cost += block.cost(tokens: rows * columns) }
        return cost + finalLinear.cost(pixels: rows * columns)
    }

    public func unconditional(for condition: Condition) -> Condition? {
        guard configuration.hasNullLabel else { return nil }
        return .labels([Int](repeating: configuration.numClasses, count: condition.count))
    }

    public func forward(
        _ samples: SampleBatch, timesteps: [Float], condition: Condition, into output: UnsafeMutablePointer<Float>,
        on runtime: Runtime
    ) throws(ZooError) {
        let labels = try labels(of: condition)
        let (rows, columns) = try patches.grid(of: samples)
        let (workspace, width) = (runtime.workspace, configuration.hiddenSize)
        let positions = runtime.table(of: labelTable, height: rows, width: columns, count: rows * columns * width) {
            PositionTable.fill($0, rows: rows, columns: columns, width: width)
        }
        workspace.scope {
            let condition = self.condition(timesteps, labels, on: runtime)
            let x = patches(samples, positions: positions, on: runtime)
            for block in blocks { block(x, condition: condition, on: runtime) }
            let modulation = Modulation(finalModulation.vectors(of: condition, on: runtime), width: width)
            let pixels = x.like(channels: finalLinear.outputs, workspace)
            modulation.apply(finalLinear, to: x, into: pixels, on: runtime)
            unpatchify(pixels, patch: configuration.patchSize, into: output)
        }
    }

    private func labels(of condition: Condition) throws(ZooError) -> [Int] {
        guard case .labels(let labels) = condition else {
            throw ZooError(.usage, "the network draws classes", expected: "labels", found: "captions")
        }
        let last = configuration.numClasses - (configuration.hasNullLabel ? 0 : 1)
        for label in labels where !(0...last).contains(label) {
            throw ZooError(.usage, "label is out of range", expected: "0...\(last)", found: "\(label)")
        }
        return labels
    }

    /// silu(timestep embedding + label embedding), (batch, D): what every modulation is computed from.
    private func condition(_ timesteps: [Float], _ labels: [Int], on runtime: Runtime) -> FeatureMap {
        let condition = timestepEmbedder(timesteps, on: runtime)
        for row in labels.indices {
            let own = condition.base + row * condition.stride
            let vector = labelTable.pointer + labels[row] * condition.channels
            for channel in 0..<condition.channels { own[channel] = silu(own[channel] + vector[channel]) }
        }
        return condition
    }
}

/// A block: `x += gate * attention(modulated norm(x))`, `x += gate * mlp(modulated norm(x))`.
private struct DiffusionBlock: Sendable {
    private let modulation: Linear
    private let attention: ModulatedAttention
    private let mlp: ModulatedMLP

    init(
        _ names: CheckpointNames.Block, configuration: DiffusionTransformer.Configuration,
        attention: DiffusionTransformer.Attention
    ) {
        let (width, heads) = (configuration.hiddenSize, configuration.numHeads)
        // shift, scale and gate of the attention, then of the MLP
        modulation = .modulation(names.modulation, width: width, parts: 6, scales: [1, 4])
        let core: ModulatedAttention.Core =
            switch attention {
            case .softmax: .softmax(heads: heads)
            case .fewHead:
                .fewHead(
                    FewHeadAttention(
                        names.attention, heads: heads, headDim: width / heads, kernel: configuration.kernelSize))
            }
        self.attention = ModulatedAttention(
            qkv: Linear(joining: names.projections(width: width, attention), in: width), core: core,
            proj: Linear(names.proj, in: width, out: width, kernel: .linear))
        mlp = ModulatedMLP(fc1: names.fc1, fc2: names.fc2, width: width, hidden: configuration.hidden)
    }

    func callAsFunction(_ x: FeatureMap, condition: FeatureMap, on runtime: Runtime) {
        runtime.workspace.scope {
            let vectors = modulation.vectors(of: condition, on: runtime)
            attention(x, modulation: Modulation(vectors, width: x.channels), on: runtime)
            mlp(x, modulation: Modulation(vectors, first: 3, width: x.channels), on: runtime)
        }
    }

    func cost(tokens: Int) -> Cost {
        modulation.cost(pixels: 1) + attention.cost(tokens: tokens) + mlp.cost(tokens: tokens)
    }
}

/// Where a checkpoint keeps what the network needs: the official code and diffusers name it differently.
private struct CheckpointNames {
    private let w: Weights
    private let isDiffusers: Bool

    init(_ w: Weights) {
        self.w = w
        isDiffusers = w["transformer_blocks"][0]["norm1"]["linear"].contains("weight")
    }

    var patches: Weights { isDiffusers ? w["pos_embed"]["proj"] : w["x_embedder"]["proj"] }

    var timestep: (first: Weights, second: Weights) {
        guard isDiffusers else { return (w["t_embedder"]["mlp"][0], w["t_embedder"]["mlp"][2]) }
        return (embedder["timestep_embedder"]["linear_1"], embedder["timestep_embedder"]["linear_2"])
    }

    var labels: Weights {
        isDiffusers ? embedder["class_embedder"]["embedding_table"] : w["y_embedder"]["embedding_table"]
    }

    var head: (modulation: Weights, linear: Weights) {
        guard isDiffusers else { return (w["final_layer"]["adaLN_modulation"][1], w["final_layer"]["linear"]) }
        return (w["proj_out_1"], w["proj_out_2"])
    }

    /// Every block of diffusers has a copy of both embedders; all are equal.
    private var embedder: Weights { w["transformer_blocks"][0]["norm1"]["emb"] }

    func block(_ index: Int) -> Block {
        Block(w: w[isDiffusers ? "transformer_blocks" : "blocks"][index], isDiffusers: isDiffusers)
    }

    /// The names within a block.
    struct Block {
        fileprivate let w: Weights
        fileprivate let isDiffusers: Bool

        var modulation: Weights { isDiffusers ? w["norm1"]["linear"] : w["adaLN_modulation"][1] }
        var attention: Weights { w[isDiffusers ? "attn1" : "attn"] }
        /// Queries, keys and values, in one tensor or several.
        func projections(
            width: Int, _ kind: DiffusionTransformer.Attention
        ) -> [(w: Weights, outputs: Int)] {
            if isDiffusers { return ["to_q", "to_k", "to_v"].map { (attention[$0], width) } }
            let isFused = kind == .softmax || attention["qkv"].contains("weight")
            return isFused
                ? [(attention["qkv"], 3 * width)] : [(attention["q"], width), (attention["kv"], 2 * width)]
        }

        var proj: Weights { isDiffusers ? attention["to_out"][0] : attention["proj"] }
        var fc1: Weights { isDiffusers ? w["ff"]["net"][0]["proj"] : w["mlp"]["fc1"] }
        var fc2: Weights { isDiffusers ? w["ff"]["net"][2] : w["mlp"]["fc2"] }
    }
}

extension DiffusionTransformer.Configuration {
    /// The hyper-parameters that a user's file replaces.
    ///
    /// - Throws: `ZooError` that names the hyper-parameter.
    func replaced(by file: Hyperparameters?) throws -> Self {
        guard var file else { return self }
        var result = self
        result.inputSize = try file.integer("input_size", in: 1...4096) ?? inputSize
        result.patchSize = try file.integer("patch_size", in: 1...64) ?? patchSize
        result.inChannels = try file.integer("in_channels", in: 1...64) ?? inChannels
        result.hiddenSize = try file.integer("hidden_size", in: 4...8192) ?? hiddenSize
        result.depth = try file.integer("depth", in: 0...256) ?? depth
        result.numHeads = try file.integer("num_heads", in: 1...1024) ?? numHeads
        result.mlpRatio = try file.number("mlp_ratio", in: 0.01...64) ?? mlpRatio
        result.numClasses = try file.integer("num_classes", in: 1...1_000_000) ?? numClasses
        result.hasNullLabel = try file.number("class_dropout_prob", in: 0...1).map { $0 > 0 } ?? hasNullLabel
        result.learnSigma = try file.bool("learn_sigma") ?? learnSigma
        result.kernelSize = try file.integer("kernel_size", "dwc_kernel", in: 1...31) ?? kernelSize
        try file.finish()
        try Hyperparameters.require(
            result.inputSize.isMultiple(of: result.patchSize), "input_size", "a multiple of patch_size")
        try Hyperparameters.require(result.hiddenSize.isMultiple(of: 4), "hidden_size", "a multiple of 4")
        try Hyperparameters.require(
            result.hiddenSize.isMultiple(of: result.numHeads), "num_heads", "a divisor of hidden_size")
        try Hyperparameters.require(result.hidden > 0, "mlp_ratio", "an MLP width of at least 1")
        try Hyperparameters.require([3, 5, 7].contains(result.kernelSize), "kernel_size", "3, 5 or 7")
        return result
    }
}

extension DiffusionTransformer {
    static func card(
        name: String, family: String, pixels: Int, parameters: Int, gmacs: Double, attentionGmacs: Double,
        paper: String, code: String, checkpoint: PublishedCheckpoint?
    ) -> ModelCard {
        ModelCard(
            name: name, family: family, task: .generate, parameters: parameters, gmacs: gmacs,
            attentionGmacs: attentionGmacs,
            preprocessing: Preprocessing(
                inputHeight: pixels, inputWidth: pixels, cropPct: 1, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]),
            classes: 1000, labels: "imagenet-1k", paper: paper, code: code, checkpoint: checkpoint)
    }

    /// The card of an embedded variant trained on the UCI digits, 8x8 pixels, no autoencoder.
    static func nanoCard(
        name: String, family: String, parameters: Int, gmacs: Double, attentionGmacs: Double, paper: String,
        code: String
    ) -> ModelCard {
        ModelCard(
            name: name, family: family, task: .generate, parameters: parameters, gmacs: gmacs,
            attentionGmacs: attentionGmacs,
            preprocessing: Preprocessing(
                inputHeight: 8, inputWidth: 8, cropPct: 1, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]),
            classes: 10, labels: "digits", paper: paper, code: code)
    }
}
