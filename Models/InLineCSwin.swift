import ZooCore
import ZooNN

/// InLine-CSwin: the cross-shaped window transformer with InLine attention in the first stages. See `InLine`.
///
/// - Code: `models/inline_cswin.py`.
/// - InLine blocks see the whole map. Softmax blocks attend within stripes as wide as the split: half of the heads in
///   vertical ones, the other half in horizontal ones. A block whose split is the map's side has one branch for all heads.
/// - No tensor depends on the image size. The official code wants square images of the size it was built for; here every
///   size works whose stages with stripes have sides that the split divides.
public enum InLineCSwin {
    static let family = ModelFamily(
        name: "inline-cswin", aliases: [], defaultVariant: "inline-cswin-tiny", cards: cards,
        build: { variant, hyperparameters, weights in
            try network(configuration(of: variant).replaced(by: hyperparameters), weights)
        },
        isBuffer: { _ in false })

    private static let cards: [ModelCard] = [
        card("tiny", file: "t", parameters: 20_604_520, gmacs: 4.080, attentionGmacs: 0.232, top1: 83.2),
        card("small", file: "s", parameters: 33_032_872, gmacs: 6.405, attentionGmacs: 0.368, top1: 83.8),
        card("base", file: "b", parameters: 73_413_640, gmacs: 14.361, attentionGmacs: 0.524, top1: 84.5),
        card(
            "base-384", file: "b_384", size: 384, parameters: 73_413_640, gmacs: 42.202, attentionGmacs: 4.018,
            top1: 85.7),
    ]

    private static func card(
        _ variant: String, file: String, size: Int = 224, parameters: Int, gmacs: Double, attentionGmacs: Double,
        top1: Double
    ) -> ModelCard {
        InLine.card(
            "inline-cswin-\(variant)", family: "inline-cswin", file: "inline_cswin_\(file)", size: size,
            parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs, top1: top1)
    }

    /// The hyper-parameters, lists with one entry per stage.
    struct Configuration: Sendable {
        var inputChannels = 3
        /// The side of the images that decides which softmax blocks have one branch.
        var imageSize = 224
        /// C of the first stage; it doubles from stage to stage.
        var embedDim: Int
        var depths: [Int]
        var heads: [Int]
        var mlpRatio = 4.0
        /// Width of the softmax blocks' stripes.
        var splits = [1, 2, 7, 7]
        var normEpsilon: Float = 1e-5
        var attention = "IISS"
        var classes = 1000
    }

    private static func configuration(of variant: String) -> Configuration {
        switch variant {
        case "inline-cswin-small": Configuration(embedDim: 64, depths: [3, 6, 29, 2], heads: [2, 4, 8, 16])
        case "inline-cswin-base": Configuration(embedDim: 96, depths: [3, 6, 29, 2], heads: [4, 8, 16, 32])
        case "inline-cswin-base-384":
            Configuration(
                imageSize: 384, embedDim: 96, depths: [3, 6, 29, 2], heads: [4, 8, 16, 32], splits: [1, 2, 12, 12])
        default: Configuration(embedDim: 64, depths: [2, 4, 18, 1], heads: [2, 4, 8, 16])
        }
    }

    private static func network(
        _ configuration: Configuration, _ w: Weights
    ) throws(ZooError) -> PyramidClassifier<Stage> {
        let last = configuration.channels(of: configuration.depths.count - 1)
        let pattern = try AttentionPattern(configuration.attention, depths: configuration.depths)
        return PyramidClassifier(
            inputChannels: configuration.inputChannels,
            stages: configuration.depths.indices.map {
                Stage(w, configuration, index: $0, isInLine: pattern.isInLine[$0])
            },
            norm: LayerNorm(w["norm"], channels: last, epsilon: configuration.normEpsilon),
            head: Linear(w["head"], in: last, out: configuration.classes, kernel: .linear))
    }

    /// A strided convolution with layer norm, and blocks.
    struct Stage: PyramidStage {
        let channels: Int
        private let conv: Conv2d
        private let norm: LayerNorm
        let blocks: [Block]

        init(_ w: Weights, _ configuration: Configuration, index: Int, isInLine: [Bool]) {
            channels = configuration.channels(of: index)
            let normScope: Weights
            if index == 0 {
                conv = Conv2d(
                    w["stage1_conv_embed"][0], in: configuration.inputChannels, out: channels, kernel: 7, stride: 4,
                    padding: 2)
                normScope = w["stage1_conv_embed"][2]
            } else {
                conv = Conv2d(
                    w["merge\(index)"]["conv"], in: configuration.channels(of: index - 1), out: channels, kernel: 3,
                    stride: 2, padding: 1)
                normScope = w["merge\(index)"]["norm"]
            }
            norm = LayerNorm(normScope, channels: channels, epsilon: configuration.normEpsilon)
            blocks = isInLine.enumerated().map { block, isInLine in
                Block(w["stage\(index + 1)"][block], configuration, stage: index, isInLine: isInLine)
            }
        }

        func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
            (conv.outputSize(height), conv.outputSize(width))
        }

        func embed(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime) {
            conv(x, into: map, on: runtime)
            norm(map, into: map, on: runtime)
        }

        func embeddingCost(pixels: Int) -> Cost { conv.cost(pixels: pixels) }
    }

    /// `x + proj(attention(qkv(norm1(x))))`, then `x + mlp(norm2(x))`.
    struct Block: PyramidBlock {
        private enum Attention: Sendable {
            case inLine(InLineMixing)
            case stripes([StripeAttention])
        }

        private let qkv: Linear
        private let attention: Attention
        private let proj: Linear
        private let mlp: MLP

        init(_ w: Weights, _ configuration: InLineCSwin.Configuration, stage: Int, isInLine: Bool) {
            let (channels, heads) = (configuration.channels(of: stage), configuration.heads[stage])
            let epsilon = configuration.normEpsilon
            qkv = Linear(
                w["qkv"], in: channels, out: 3 * channels, kernel: .linear,
                norm: LayerNorm(w["norm1"], channels: channels, epsilon: epsilon))
            let scope = w["attns"]
            if isInLine {
                // The filters are predicted from the block's input before its norm.
                attention = .inLine(
                    InLineMixing(
                        channels: channels, heads: heads,
                        local: LocalResidual(
                            scope[0]["residual"], channels: channels, heads: heads, adding: scope[0]["get_v"])))
            } else {
                attention = .stripes(
                    configuration.stripes(of: stage).enumerated().map { branch, stripes in
                        StripeAttention(
                            scope[branch], channels: channels, heads: heads, branch: branch, stripes: stripes)
                    })
            }
            proj = Linear(w["proj"], in: channels, out: channels, kernel: .linear)
            mlp = MLP(
                w["mlp"], channels: channels, hidden: Int(configuration.mlpRatio * Double(channels)),
                norm: LayerNorm(w["norm2"], channels: channels, epsilon: epsilon))
        }

        func check(height: Int, width: Int) throws(ZooError) {
            guard case .stripes(let branches) = attention else { return }
            for branch in branches { try branch.stripes.check(height: height, width: width) }
        }

        func callAsFunction(_ x: FeatureMap, on runtime: Runtime) {
            let workspace = runtime.workspace
            workspace.scope {
                let mixed = x.like(channels: x.channels, workspace)
                workspace.scope {
                    let packed = x.packed(channels: qkv.outputs, workspace)
                    qkv(x, into: packed, on: runtime)
                    switch attention {
                    case .inLine(let mixing):
                        mixing(packed, filtersFrom: x, grid: (x.height, x.width), into: mixed, on: runtime)
                    case .stripes(let branches):
                        for branch in branches { branch(packed, into: mixed, on: runtime) }
                    }
                }
                proj(mixed, into: x, residual: x, on: runtime)
            }
            mlp(addingTo: x, on: runtime)
        }

        func cost(height: Int, width: Int) -> Cost {
            let tokens = height * width
            let cost = qkv.cost(pixels: tokens) + proj.cost(pixels: tokens) + mlp.cost(tokens: tokens)
            return switch attention {
            case .inLine(let mixing): cost + mixing.cost(tokens: tokens, pixels: tokens)
            case .stripes(let branches): branches.reduce(cost) { $0 + $1.cost(height: height, width: width) }
            }
        }
    }
}

/// How a map is cut for softmax attention.
package enum Stripes: Sendable, Equatable {
    case whole
    /// Full height, so many pixels wide.
    case vertical(Int)
    /// So many pixels high, full width.
    case horizontal(Int)

    func size(height: Int, width: Int) -> (height: Int, width: Int) {
        switch self {
        case .whole: (height, width)
        case .vertical(let split): (height, split)
        case .horizontal(let split): (split, width)
        }
    }

    func check(height: Int, width: Int) throws(ZooError) {
        let stripe = size(height: height, width: width)
        guard height.isMultiple(of: stripe.height), width.isMultiple(of: stripe.width) else {
            throw ZooError(
                .usage, "the map is not made of whole stripes",
                expected: "multiples of \(stripe.height)x\(stripe.width)", found: "\(height)x\(width)")
        }
    }
}

/// One branch of a softmax block: attention within stripes, plus a depthwise convolution of the values that does not look
/// beyond the stripe either (LePE).
package struct StripeAttention: Sendable {
    package let stripes: Stripes
    private let heads: Int
    /// Of all queries; keys and values begin `total` and 2 `total` channels later.
    private let columns: Range<Int>
    private let total: Int
    private let core = AttentionCore.softmax
    private let lepe: DepthwiseConv2d

    /// - Parameters:
    ///   - channels, heads: of the block. A branch with stripes takes half of both.
    ///   - branch: which half.
    package init(_ w: Weights, channels: Int, heads: Int, branch: Int, stripes: Stripes) {
        let parts = stripes == .whole ? 1 : 2
        let own = channels / parts
        self.stripes = stripes
        self.heads = heads / parts
        columns = branch * own..<(branch + 1) * own
        total = channels
        lepe = DepthwiseConv2d(w["get_v"], channels: own, kernel: 3, residual: false)
    }

    /// - Parameters:
    ///   - packed: queries, keys and values of the block, [batch, height, width, 3 C].
    ///   - output: of the block, [batch, height, width, C]; the branch writes its columns.
    package func callAsFunction(_ packed: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        func part(_ index: Int) -> FeatureMap {
            packed.columns(index * total + columns.lowerBound..<index * total + columns.upperBound)
        }
        let (values, own) = (part(2), output.columns(columns))
        let stripe = stripes.size(height: packed.height, width: packed.width)
        lepe(values, into: own, window: stripe, on: runtime)
        core(
            queries: part(0), keys: part(1), values: values, heads: heads, rope: false,
            windows: AttentionWindows(height: stripe.height, width: stripe.width), local: own, into: own, on: runtime)
    }

    func cost(height: Int, width: Int) -> Cost {
        let stripe = stripes.size(height: height, width: width)
        let (tokens, own) = (stripe.height * stripe.width, columns.count)
        let count = tokens > 0 ? height * width / tokens : 0
        return lepe.cost(pixels: height * width)
            + core.cost(tokens: tokens, heads: count * heads, headDim: own / heads)
    }
}

extension InLineCSwin.Configuration {
    func channels(of stage: Int) -> Int { embedDim << stage }

    /// The branches of a stage's softmax blocks.
    func stripes(of stage: Int) -> [Stripes] {
        let split = splits[stage]
        if stage == depths.count - 1 || split == imageSize >> (stage + 2) { return [.whole] }
        return [.vertical(split), .horizontal(split)]
    }

    /// The hyper-parameters that a user's file replaces.
    ///
    /// - Throws: `ZooError` that names the hyper-parameter.
    fileprivate func replaced(by file: Hyperparameters?) throws -> Self {
        guard var file else { return self }
        file.ignoreDescription()
        // InLine blocks are global whatever their split says: with a smaller one the official code does not run.
        file.ignore("la_split_size", "drop_path_rate")
        var result = self
        if let depths = try file.integers("depth", "depths", in: 0...256) { result.depths = depths }
        let count = result.depths.count
        result.inputChannels = try file.integer("in_chans", in: 1...64) ?? inputChannels
        result.imageSize = try file.integer("img_size", in: 1...16384) ?? imageSize
        result.embedDim = try file.integer("embed_dim", in: 1...8192) ?? embedDim
        result.heads = try file.integers("num_heads", in: 1...1024, count: count) ?? heads
        result.mlpRatio = try file.number("mlp_ratio", in: 0.01...64) ?? mlpRatio
        result.splits = try file.integers("split_size", in: 1...4096, count: count) ?? splits
        result.normEpsilon = try file.number("norm_eps", in: 1e-12...1).map { Float($0) } ?? normEpsilon
        result.attention = try file.text("attn_type") ?? attention
        result.classes = try file.integer("num_classes", in: 1...1_000_000) ?? classes
        try file.finish()
        try result.validate()
        return result
    }

    private func validate() throws(ZooError) {
        try Hyperparameters.require(depths.count <= 6, "depth", "at most 6 stages")
        try Hyperparameters.require(
            heads.count == depths.count && splits.count == depths.count, "num_heads",
            "as many entries as in the other lists")
        for stage in depths.indices {
            try InLine.checkHeads(heads[stage], channels: channels(of: stage))
            try InLine.checkWidth(mlpRatio, channels: channels(of: stage))
            try Hyperparameters.require(
                stripes(of: stage) == [.whole] || heads[stage].isMultiple(of: 2), "num_heads",
                "an even number where blocks have two branches")
        }
    }
}
