import ZooCore
import ZooNN

/// LiT, the linear diffusion transformer: DiT with linear attention of few heads and a depthwise convolution of the
/// values.
///
/// - Paper: Wang et al., "LiT: Delving into a Simple Linear Diffusion Transformer for Image Generation", ICCV 2025, arXiv
///   2501.12976.
/// - Code: github.com/techmonsterwang/LiT.
public enum LiT {
    static let family = ModelFamily(
        name: "lit", aliases: [], defaultVariant: "lit-xl-2", cards: cards,
        build: { variant, hyperparameters, weights in
            if variant == textToImage {
                return try TextToImageTransformer(
                    TextToImageTransformer.Configuration().replaced(by: hyperparameters), weights)
            }
            return try DiffusionTransformer(
                configuration(of: variant).replaced(by: hyperparameters), attention: .fewHead, weights)
        },
        isBuffer: DiffusionTransformer.isBuffer)

    private static let textToImage = "lit-t2i-xl-2"

    private static func configuration(of variant: String) -> DiffusionTransformer.Configuration {
        if variant == "lit-nano" { return .nano(heads: 2) }
        let parts = variant.split(separator: "-")
        return .released(size: parts[1], patch: 2, side: parts.count > 3 ? 64 : 32, fewHeads: true)
    }

    private static let cards: [ModelCard] =
        [
            DiffusionTransformer.nanoCard(
                name: "lit-nano", family: "lit", parameters: 580_130, gmacs: 0.020, attentionGmacs: 0.002,
                paper: paper, code: code)
        ]
        + [
            card("s", parameters: 32_924_960, gmacs: [5.481, 21.891], attention: [0.453, 1.812]),
            card("b", parameters: 130_395_680, gmacs: [21.856, 87.291], attention: [1.208, 4.832]),
            card("l", parameters: 458_000_416, gmacs: [77.634, 310.072], attention: [3.221, 12.885]),
            card("xl", parameters: 675_044_384, gmacs: [114.600, 457.718], attention: [4.756, 19.025]),
        ].flatMap(\.self)
        + [
            DiffusionTransformer.card(
                name: textToImage, family: "lit", pixels: 512, parameters: 611_065_760, gmacs: 557.711,
                attentionGmacs: 38.843, paper: paper, code: code, checkpoint: nil)
        ]

    private static let paper = "LiT: Delving into a Simple Linear Diffusion Transformer, arXiv 2501.12976"
    private static let code = "github.com/techmonsterwang/LiT"

    /// The variants for 256 and 512 pixels, whose costs are the two numbers.
    private static func card(
        _ size: String, parameters: Int, gmacs: [Double], attention: [Double]
    ) -> [ModelCard] {
        zip([256, 512], zip(gmacs, attention)).map { pixels, cost in
            DiffusionTransformer.card(
                name: "lit-\(size)-2" + (pixels == 512 ? "-512" : ""), family: "lit", pixels: pixels,
                parameters: parameters, gmacs: cost.0, attentionGmacs: cost.1, paper: paper, code: code,
                checkpoint: nil)
        }
    }
}

/// The text-to-image LiT, in the layout of PixArt-Sigma: one modulation for all blocks (adaLN-single), cross-attention
/// to a caption's features, any aspect ratio.
///
/// The text encoder is not part of it: captions come as features.
struct TextToImageTransformer: Denoiser {
    /// The hyper-parameters.
    struct Configuration: Sendable {
        /// Rows and columns of the latents that the position table was made for.
        var baseInputSize = 64
        var patchSize = 2
        var inChannels = 4
        var hiddenSize = 1152
        var depth = 28
        var linearHeads = 4
        var crossHeads = 16
        var captionChannels = 4096
        var maxTokens = 300
        /// 1 for the 512-pixel model, 2 for the 1024-pixel one.
        var positionInterpolation = 1.0
        var kernelSize = 5

        func replaced(by file: Hyperparameters?) throws -> Self {
            guard var file else { return self }
            var result = self
            result.baseInputSize = try file.integer("base_input_size", in: 2...4096) ?? baseInputSize
            result.hiddenSize = try file.integer("hidden_size", in: 4...8192) ?? hiddenSize
            result.depth = try file.integer("depth", in: 0...256) ?? depth
            result.linearHeads = try file.integer("linear_heads", in: 1...1024) ?? linearHeads
            result.crossHeads = try file.integer("cross_heads", in: 1...1024) ?? crossHeads
            result.captionChannels = try file.integer("caption_channels", in: 1...65536) ?? captionChannels
            result.maxTokens = try file.integer("max_tokens", in: 1...65536) ?? maxTokens
            result.positionInterpolation = try file.number("pe_interpolation", in: 0.01...100) ?? positionInterpolation
            try file.finish()
            try Hyperparameters.require(result.hiddenSize.isMultiple(of: 4), "hidden_size", "a multiple of 4")
            for (name, heads) in [("linear_heads", result.linearHeads), ("cross_heads", result.crossHeads)] {
                try Hyperparameters.require(result.hiddenSize.isMultiple(of: heads), name, "a divisor of hidden_size")
            }
            return result
        }
    }

    var channels: Int { configuration.inChannels }
    var outputChannels: Int { 2 * configuration.inChannels }
    var sampleSize: Int { configuration.baseInputSize }
    var conditioning: Conditioning {
        .captions(tokens: configuration.maxTokens, channels: configuration.captionChannels)
    }
    private let configuration: Configuration
    private let patches: PatchProjection
    private let timestepEmbedder: TimestepEmbedder
    private let modulation: Linear
    private let captionEmbedder: CaptionEmbedder
    private let blocks: [TextToImageBlock]
    /// (2, D): shift, 1 + scale
    private let finalTable: PackedWeight
    private let finalLinear: Linear

    init(_ configuration: Configuration, _ w: Weights) throws {
        self.configuration = configuration
        let width = configuration.hiddenSize
        patches = PatchProjection(
            w["x_embedder"]["proj"], channels: configuration.inChannels, patch: configuration.patchSize, width: width)
        timestepEmbedder = TimestepEmbedder(w["t_embedder"]["mlp"][0], w["t_embedder"]["mlp"][2], width: width)
        modulation = .modulation(w["t_block"][1], width: width, parts: 6, scales: [1, 4])
        captionEmbedder = CaptionEmbedder(
            w["y_embedder"], tokens: configuration.maxTokens, channels: configuration.captionChannels, width: width)
        blocks = (0..<configuration.depth).map { TextToImageBlock(w["blocks"][$0], configuration) }
        let head = w["final_layer"]
        finalLinear = Linear(
            head["linear"], in: width,
            out: configuration.patchSize * configuration.patchSize * 2 * configuration.inChannels, kernel: .linear)
        var table = head.tensor("scale_shift_table", [2, width])
        for index in table.indices where index >= width { table[index] += 1 }
        finalTable = PackedWeight(table)
    }

    func unconditional(for condition: Condition) -> Condition? {
        guard case .captions(let captions) = condition else { return nil }
        // The official code keeps the mask of the caption.
        return .captions(
            Captions(features: captionEmbedder.unconditional(count: condition.count), isPresent: captions.isPresent))
    }

    func cost(height: Int, width: Int) -> Cost {
        let tokens = height / configuration.patchSize * (width / configuration.patchSize)
        var cost =
            patches.cost(tokens: tokens) + timestepEmbedder.cost + modulation.cost(pixels: 1)
            + captionEmbedder.cost + finalLinear.cost(pixels: tokens)
        for block in blocks { cost += block.cost(tokens: tokens, captionTokens: configuration.maxTokens) }
        return cost
    }

    func forward(
        _ samples: SampleBatch, timesteps: [Float], condition: Condition, into output: UnsafeMutablePointer<Float>,
        on runtime: Runtime
    ) throws(ZooError) {
        let captions = try captions(of: condition)
        let (rows, columns) = try patches.grid(of: samples)
        let (workspace, width) = (runtime.workspace, configuration.hiddenSize)
        let positions = positions(rows: rows, columns: columns, on: runtime)
        workspace.scope {
            let embedded = timestepEmbedder(timesteps, on: runtime)
            let vectors = modulation.vectors(of: activated(embedded, on: runtime), on: runtime)
            let x = patches(samples, positions: positions, on: runtime)
            let tokens = captionEmbedder(captions, on: runtime)
            for block in blocks { block(x, modulation: vectors, captions: tokens, on: runtime) }
            // The last vectors come from the timestep embedding before SiLU.
            let last = embedded.like(channels: 2 * width, workspace)
            for row in 0..<last.rows {
                let (own, from) = (last.base + row * last.stride, embedded.base + row * embedded.stride)
                for index in 0..<last.channels { own[index] = finalTable.pointer[index] + from[index % width] }
            }
            let pixels = x.like(channels: finalLinear.outputs, workspace)
            Modulation(last, width: width).apply(finalLinear, to: x, into: pixels, on: runtime)
            unpatchify(pixels, patch: configuration.patchSize, into: output)
        }
    }

    /// SiLU of every value, from the workspace.
    private func activated(_ x: FeatureMap, on runtime: Runtime) -> FeatureMap {
        let result = x.like(channels: x.channels, runtime.workspace)
        for index in 0..<x.rows * x.channels { result.base[index] = silu(x.base[index]) }
        return result
    }

    private func captions(of condition: Condition) throws(ZooError) -> Captions {
        guard case .captions(let captions) = condition else {
            throw ZooError(.usage, "the network draws captions", expected: "caption features", found: "labels")
        }
        let shape = captions.features.shape
        guard shape[1] == configuration.maxTokens, shape[2] == configuration.captionChannels else {
            throw ZooError(
                .usage, "caption features have the wrong shape",
                expected: "(batch, \(configuration.maxTokens), \(configuration.captionChannels))", found: "\(shape)")
        }
        for image in 0..<shape[0] {
            guard captions.isPresent[image * shape[1]..<(image + 1) * shape[1]].contains(true) else {
                throw ZooError(.usage, "a caption has no tokens", expected: "at least one", found: "caption \(image)")
            }
        }
        return captions
    }

    /// The base grid's table, stretched over the grid of these latents.
    private func positions(rows: Int, columns: Int, on runtime: Runtime) -> UnsafePointer<Float> {
        let (base, width) = (Double(configuration.baseInputSize / configuration.patchSize), configuration.hiddenSize)
        return runtime.table(of: finalTable, height: rows, width: columns, count: rows * columns * width) {
            PositionTable.fill(
                $0, rows: rows, columns: columns, width: width,
                rowStep: base / Double(rows) / configuration.positionInterpolation,
                columnStep: base / Double(columns) / configuration.positionInterpolation)
        }
    }
}

/// Caption features to the width of the network: two linear layers with GELU (tanh form) between.
private struct CaptionEmbedder: Sendable {
    private let tokens: Int
    private let fc1: Linear
    private let fc2: Linear
    /// The features that stand for no caption.
    private let empty: [Float]

    init(_ w: Weights, tokens: Int, channels: Int, width: Int) {
        self.tokens = tokens
        let proj = w["y_proj"]
        fc1 = Linear(proj["fc1"], in: channels, out: width, kernel: .linear, activation: .geluTanh)
        fc2 = Linear(proj["fc2"], in: width, out: width, kernel: .linear)
        empty = w.tensor("y_embedding", [tokens, channels])
    }

    func unconditional(count: Int) -> Tensor {
        Tensor(
            shape: [count, tokens, fc1.inputs], values: (0..<count).flatMap { _ in empty })
    }

    /// The embedded tokens that belong to each caption, from the workspace.
    func callAsFunction(_ captions: Captions, on runtime: Runtime) -> [FeatureMap] {
        let workspace = runtime.workspace
        return (0..<captions.features.shape[0]).map { image in
            let present = (0..<tokens).filter { captions.isPresent[image * tokens + $0] }
            func rows(_ channels: Int) -> FeatureMap {
                FeatureMap(workspace, batch: 1, height: 1, width: present.count, channels: channels)
            }
            let embedded = rows(fc2.outputs)
            workspace.scope {
                let features = rows(fc1.inputs)
                let hidden = rows(fc1.outputs)
                captions.features.withUnsafeValues { values in
                    guard let base = values.baseAddress else { return }
                    for (row, token) in present.enumerated() {
                        (features.base + row * features.stride).update(
                            from: base + (image * tokens + token) * fc1.inputs, count: fc1.inputs)
                    }
                }
                fc1(features, into: hidden, on: runtime)
                fc2(hidden, into: embedded, on: runtime)
            }
            return embedded
        }
    }

    var cost: Cost { fc1.cost(pixels: tokens) + fc2.cost(pixels: tokens) }
}

/// Linear attention, cross-attention to the caption without norm or gate, MLP.
private struct TextToImageBlock: Sendable {
    /// (6, D), scales with their 1 in the shared modulation.
    private let table: PackedWeight
    private let attention: ModulatedAttention
    private let crossAttention: CrossAttention
    private let mlp: ModulatedMLP

    init(_ w: Weights, _ configuration: TextToImageTransformer.Configuration) {
        let (width, heads) = (configuration.hiddenSize, configuration.linearHeads)
        table = PackedWeight(w.tensor("scale_shift_table", [6, width]))
        let own = w["attn"]
        attention = ModulatedAttention(
            qkv: Linear(joining: [(own["q"], width), (own["kv"], 2 * width)], in: width),
            core: .fewHead(
                FewHeadAttention(own, heads: heads, headDim: width / heads, kernel: configuration.kernelSize)),
            proj: Linear(own["proj"], in: width, out: width, kernel: .linear))
        crossAttention = CrossAttention(w["cross_attn"], width: width, heads: configuration.crossHeads)
        mlp = ModulatedMLP(fc1: w["mlp"]["fc1"], fc2: w["mlp"]["fc2"], width: width, hidden: 4 * width)
    }

    func callAsFunction(
        _ x: FeatureMap, modulation: FeatureMap, captions: [FeatureMap], on runtime: Runtime
    ) {
        runtime.workspace.scope {
            let vectors = modulation.like(channels: modulation.channels, runtime.workspace)
            for row in 0..<vectors.rows {
                let (own, from) = (vectors.base + row * vectors.stride, modulation.base + row * modulation.stride)
                for index in 0..<vectors.channels { own[index] = table.pointer[index] + from[index] }
            }
            attention(x, modulation: Modulation(vectors, width: x.channels), on: runtime)
            crossAttention(x, captions: captions, on: runtime)
            mlp(x, modulation: Modulation(vectors, first: 3, width: x.channels), on: runtime)
        }
    }

    func cost(tokens: Int, captionTokens: Int) -> Cost {
        attention.cost(tokens: tokens) + crossAttention.cost(tokens: tokens, captionTokens: captionTokens)
            + mlp.cost(tokens: tokens)
    }
}

/// `x += proj(softmax attention of the image's tokens to the caption's)`
private struct CrossAttention: Sendable {
    private let heads: Int
    private let queries: Linear
    private let pairs: Linear
    private let proj: Linear

    init(_ w: Weights, width: Int, heads: Int) {
        self.heads = heads
        queries = Linear(w["q_linear"], in: width, out: width, kernel: .linear)
        pairs = Linear(w["kv_linear"], in: width, out: 2 * width, kernel: .linear)
        proj = Linear(w["proj"], in: width, out: width, kernel: .linear)
    }

    /// - Parameter captions: the tokens of each image's caption.
    func callAsFunction(_ x: FeatureMap, captions: [FeatureMap], on runtime: Runtime) {
        let (workspace, width) = (runtime.workspace, x.channels)
        workspace.scope {
            let own = x.like(channels: width, workspace)
            let answer = x.like(channels: width, workspace)
            queries(x, into: own, on: runtime)
            for (image, caption) in captions.enumerated() {
                workspace.scope {
                    let packed = caption.like(channels: 2 * width, workspace)
                    pairs(caption, into: packed, on: runtime)
                    AttentionCore.softmax(
                        queries: own.images(image..<image + 1), keys: packed.columns(0..<width),
                        values: packed.columns(width..<2 * width), heads: heads, rope: false,
                        into: answer.images(image..<image + 1), on: runtime)
                }
            }
            proj(answer, into: x, residual: x, on: runtime)
        }
    }

    func cost(tokens: Int, captionTokens: Int) -> Cost {
        queries.cost(pixels: tokens) + pairs.cost(pixels: captionTokens) + proj.cost(pixels: tokens)
            + AttentionCore.softmax.cost(
                tokens: tokens, keys: captionTokens, heads: heads, headDim: proj.inputs / heads)
    }
}
