import ZooCore
import ZooNN

/// InLine-PVT: the pyramid vision transformer with InLine attention at full resolution in every stage. See `InLine`.
///
/// - Code: `models/inline_pvt.py`. The configuration file `inline_pvt_b.yaml` is the model "inline_pvt_large".
/// - Layer norms have epsilon 1e-5 behind the patch embeddings and 1e-6 in the blocks; there is none before the head.
/// - Every image size works whose stages keep at least one token. The official code fails when a deeper stage has as
///   many tokens as the first one had at the trained size (448x448, 896x896, ...), and takes the position embedding
///   unresampled where the first stage has that many on another grid; here the grid decides.
public enum InLinePVT {
    static let family = ModelFamily(
        name: "inline-pvt", aliases: [], defaultVariant: "inline-pvt-tiny", cards: cards,
        build: { variant, hyperparameters, weights in
            try network(configuration(of: variant).replaced(by: hyperparameters), weights)
        },
        isBuffer: { _ in false })

    private static let cards: [ModelCard] = [
        card("tiny", file: "t", parameters: 12_032_232, gmacs: 1.925, attentionGmacs: 0.051, top1: 78.2),
        card("small", file: "s", parameters: 21_556_136, gmacs: 3.820, attentionGmacs: 0.095, top1: 82.0),
        card("medium", file: "m", parameters: 37_618_856, gmacs: 6.718, attentionGmacs: 0.144, top1: 83.2),
        card("large", file: "b", parameters: 51_154_280, gmacs: 9.923, attentionGmacs: 0.206, top1: 83.6),
    ]

    private static func card(
        _ variant: String, file: String, parameters: Int, gmacs: Double, attentionGmacs: Double, top1: Double
    ) -> ModelCard {
        InLine.card(
            "inline-pvt-\(variant)", family: "inline-pvt", file: "inline_pvt_\(file)", parameters: parameters,
            gmacs: gmacs, attentionGmacs: attentionGmacs, top1: top1)
    }

    /// The hyper-parameters, one entry per stage.
    struct Configuration: Sendable {
        var inputChannels = 3
        /// The side of the images that the position embeddings were trained for.
        var imageSize = 224
        /// C of each stage.
        var embedDims = [64, 128, 320, 512]
        var depths: [Int]
        var heads = [2, 4, 10, 16]
        /// MLP width over C.
        var mlpRatios = [8.0, 8, 4, 4]
        /// Side of the patches that softmax attention takes keys and values from.
        var reductions = [8, 4, 2, 1]
        var attention = "IIII"
        var classes = 1000
    }

    private static func configuration(of variant: String) -> Configuration {
        switch variant {
        case "inline-pvt-small": Configuration(depths: [3, 4, 6, 3])
        case "inline-pvt-medium": Configuration(depths: [3, 4, 18, 3])
        case "inline-pvt-large": Configuration(depths: [3, 8, 27, 3])
        default: Configuration(depths: [2, 2, 2, 2])
        }
    }

    private static func network(
        _ configuration: Configuration, _ w: Weights
    ) throws(ZooError) -> PyramidClassifier<Stage> {
        let dims = configuration.embedDims
        let pattern = try AttentionPattern(configuration.attention, depths: configuration.depths)
        return PyramidClassifier(
            inputChannels: configuration.inputChannels,
            stages: dims.indices.map { Stage(w, configuration, index: $0, isInLine: pattern.isInLine[$0]) }, norm: nil,
            head: Linear(w["head"], in: dims[dims.count - 1], out: configuration.classes, kernel: .linear))
    }

    /// A patch embedding with layer norm, a position embedding, and blocks.
    struct Stage: PyramidStage {
        let channels: Int
        private let proj: Conv2d
        private let norm: LayerNorm
        private let position: PositionEmbedding
        let blocks: [Block]

        init(_ w: Weights, _ configuration: Configuration, index: Int, isInLine: [Bool]) {
            channels = configuration.embedDims[index]
            let patch = index == 0 ? 4 : 2
            let scope = w["patch_embed\(index + 1)"]
            proj = Conv2d(
                scope["proj"], in: index == 0 ? configuration.inputChannels : configuration.embedDims[index - 1],
                out: channels, kernel: patch, stride: patch, padding: 0)
            norm = LayerNorm(scope["norm"], channels: channels, epsilon: 1e-5)
            let side = configuration.imageSize >> (index + 2)
            position = PositionEmbedding(
                w, "pos_embed\(index + 1)", grid: (side, side), channels: channels, resampling: .bilinear)
            blocks = isInLine.enumerated().map { block, isInLine in
                Block(w["block\(index + 1)"][block], configuration, stage: index, isInLine: isInLine)
            }
        }

        func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
            (proj.outputSize(height), proj.outputSize(width))
        }

        func embed(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime) {
            proj(x, into: map, on: runtime)
            let position = position.map(height: map.height, width: map.width, on: runtime)
            for image in 0..<map.batch {
                let own = map.images(image..<image + 1)
                norm(own, into: own, residual: position, on: runtime)
            }
        }

        func embeddingCost(pixels: Int) -> Cost { proj.cost(pixels: pixels) }
    }

    /// `x + attn(norm1(x))`, then `x + mlp(norm2(x))`.
    struct Block: PyramidBlock {
        private enum Attention: Sendable {
            case inLine(InLineAttention)
            case reduced(SpatialReductionAttention)
        }

        private let attention: Attention
        private let mlp: MLP

        init(_ w: Weights, _ configuration: InLinePVT.Configuration, stage: Int, isInLine: Bool) {
            let (channels, heads) = (configuration.embedDims[stage], configuration.heads[stage])
            let norm = LayerNorm(w["norm1"], channels: channels, epsilon: 1e-6)
            if isInLine {
                attention = .inLine(
                    InLineAttention(w["attn"], channels: channels, heads: heads, projection: .split, norm: norm))
            } else {
                attention = .reduced(
                    SpatialReductionAttention(
                        w["attn"], channels: channels, heads: heads, reduction: configuration.reductions[stage],
                        norm: norm))
            }
            mlp = MLP(
                w["mlp"], channels: channels, hidden: Int(configuration.mlpRatios[stage] * Double(channels)),
                norm: LayerNorm(w["norm2"], channels: channels, epsilon: 1e-6))
        }

        func check(height: Int, width: Int) throws(ZooError) {
            if case .reduced(let attention) = attention { try attention.check(height: height, width: width) }
        }

        func callAsFunction(_ x: FeatureMap, on runtime: Runtime) {
            switch attention {
            case .inLine(let attention): attention(x, into: x, residual: x, on: runtime)
            case .reduced(let attention): attention(x, into: x, residual: x, on: runtime)
            }
            mlp(addingTo: x, on: runtime)
        }

        func cost(height: Int, width: Int) -> Cost {
            let tokens = height * width
            return switch attention {
            case .inLine(let attention): attention.cost(tokens: tokens, pixels: tokens) + mlp.cost(tokens: tokens)
            case .reduced(let attention): attention.cost(height: height, width: width) + mlp.cost(tokens: tokens)
            }
        }
    }
}

/// Softmax attention whose keys and values come from a map reduced by a strided convolution, the original PVT's.
package struct SpatialReductionAttention: Sendable {
    private let channels: Int
    private let heads: Int
    private let core = AttentionCore.softmax
    private let q: Linear
    private let kv: Linear
    private let proj: Linear
    /// The norm before the module, and the convolution behind it; `nil` where nothing is reduced.
    private let reduction: (norm: LayerNorm?, sr: Conv2d)?

    package init(_ w: Weights, channels: Int, heads: Int, reduction: Int, norm: LayerNorm?) {
        self.channels = channels
        self.heads = heads
        q = Linear(w["q"], in: channels, out: channels, kernel: .linear, norm: norm)
        proj = Linear(w["proj"], in: channels, out: channels, kernel: .linear)
        var keyNorm = norm
        if reduction > 1 {
            self.reduction = (
                norm,
                Conv2d(w["sr"], in: channels, out: channels, kernel: reduction, stride: reduction, padding: 0)
            )
            keyNorm = LayerNorm(w["norm"], channels: channels, epsilon: 1e-5)
        } else {
            self.reduction = nil
        }
        kv = Linear(w["kv"], in: channels, out: 2 * channels, kernel: .linear, norm: keyNorm)
    }

    /// - Throws: `ZooError` where the reduced map has no pixels.
    package func check(height: Int, width: Int) throws(ZooError) {
        let (rows, columns) = reducedSize(height: height, width: width)
        guard rows > 0, columns > 0 else {
            throw ZooError(
                .usage, "the map is smaller than the patches that keys and values come from",
                found: "\(height)x\(width)")
        }
    }

    private func reducedSize(height: Int, width: Int) -> (height: Int, width: Int) {
        guard let sr = reduction?.sr else { return (height, width) }
        return (sr.outputSize(height), sr.outputSize(width))
    }

    /// Writes `residual + attention(norm(x))` to `output`, which may be `residual`, and `x` too.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil, on runtime: Runtime
    ) {
        let workspace = runtime.workspace
        workspace.scope {
            let mixed = x.like(channels: channels, workspace)
            let queries = x.like(channels: channels, workspace)
            q(x, into: queries, on: runtime)
            let source = reduced(x, on: runtime)
            let packed = source.packed(channels: 2 * channels, workspace)
            kv(source, into: packed, on: runtime)
            core(
                queries: queries, keys: packed.columns(0..<channels), values: packed.columns(channels..<2 * channels),
                heads: heads, rope: false, into: mixed, on: runtime)
            proj(mixed, into: output, residual: residual, on: runtime)
        }
    }

    /// What keys and values are projected from.
    private func reduced(_ x: FeatureMap, on runtime: Runtime) -> FeatureMap {
        guard let (norm, sr) = reduction else { return x }
        let reduced = sr.output(for: x, runtime.workspace)
        runtime.workspace.scope {
            var normed = x
            if let norm {
                normed = x.like(channels: channels, runtime.workspace)
                norm(x, into: normed, on: runtime)
            }
            sr(normed, into: reduced, on: runtime)
        }
        return reduced
    }

    func cost(height: Int, width: Int) -> Cost {
        let (rows, columns) = reducedSize(height: height, width: width)
        let (tokens, keys) = (height * width, rows * columns)
        return q.cost(pixels: tokens) + kv.cost(pixels: keys) + proj.cost(pixels: tokens)
            + (reduction?.sr.cost(pixels: keys) ?? Cost())
            + core.cost(tokens: tokens, keys: keys, heads: heads, headDim: channels / heads)
    }
}

extension InLinePVT.Configuration {
    /// The hyper-parameters that a user's file replaces.
    ///
    /// - Throws: `ZooError` that names the hyper-parameter.
    fileprivate func replaced(by file: Hyperparameters?) throws -> Self {
        guard var file else { return self }
        file.ignoreDescription()
        file.ignore("norm_eps", "drop_path_rate")
        var result = self
        if let dims = try file.integers("embed_dims", in: 1...8192) { result.embedDims = dims }
        let count = result.embedDims.count
        result.inputChannels = try file.integer("in_chans", in: 1...64) ?? inputChannels
        result.imageSize = try file.integer("img_size", in: 1...16384) ?? imageSize
        result.depths = try file.integers("depths", in: 0...256, count: count) ?? depths
        result.heads = try file.integers("num_heads", in: 1...1024, count: count) ?? heads
        result.mlpRatios = try file.numbers("mlp_ratios", in: 0.01...64, count: count) ?? mlpRatios
        result.reductions = try file.integers("sr_ratios", in: 1...64, count: count) ?? reductions
        result.attention = try file.text("attn_type") ?? attention
        result.classes = try file.integer("num_classes", in: 1...1_000_000) ?? classes
        try file.finish()
        try result.validate()
        return result
    }

    private func validate() throws(ZooError) {
        let counts = [depths.count, heads.count, mlpRatios.count, reductions.count]
        try Hyperparameters.require(
            counts.allSatisfy { $0 == embedDims.count }, "embed_dims", "as many entries as in the other lists")
        try Hyperparameters.require(
            embedDims.count < 8 && imageSize >> (embedDims.count + 1) > 0, "img_size",
            "at least one token in the last stage")
        for (dim, heads) in zip(embedDims, heads) { try InLine.checkHeads(heads, channels: dim) }
        for (dim, ratio) in zip(embedDims, mlpRatios) { try InLine.checkWidth(ratio, channels: dim) }
    }
}
