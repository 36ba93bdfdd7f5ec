import ZooCore
import ZooNN

/// Swin, softmax attention in shifted windows, in timm's naming.
///
/// - Paper: Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo, "Swin Transformer: Hierarchical Vision Transformer using Shifted
///   Windows", ICCV 2021, arXiv 2103.14030.
/// - Code: github.com/microsoft/Swin-Transformer and timm's `SwinTransformer`. A checkpoint with the original names, where
///   a stage's merging stands at its end and the classifier is called `head`, is read as well.
/// - Image sides are multiples of the patch. Maps that are not made of whole windows are filled up with zeros behind the
///   norm, which take part as keys, as in timm. On a map smaller than a window's side the window shrinks to the map; where
///   the network was not built for that size, it then reads the middle of its table of relative positions (timm has such
///   tables resampled when it builds the network).
public enum Swin {
    static let family = ModelFamily(
        name: "swin", aliases: [], defaultVariant: "swin-tiny", cards: cards,
        build: { variant, hyperparameters, weights in
            try network(configuration(of: variant).replaced(by: hyperparameters), weights)
        },
        isBuffer: { $0.hasSuffix(".relative_position_index") || $0.hasSuffix(".attn_mask") })

    private static let cards: [ModelCard] = [
        card("tiny", parameters: 28_288_354, gmacs: 4.350, attentionGmacs: 0.140, top1: 81.388),
        card("small", parameters: 49_606_258, gmacs: 8.512, attentionGmacs: 0.229, top1: 83.228),
        card("base", parameters: 87_768_224, gmacs: 15.126, attentionGmacs: 0.305, top1: 83.604),
        card("base", window: 12, size: 384, parameters: 87_903_584, gmacs: 44.450, attentionGmacs: 2.633, top1: 84.478),
    ]

    private static func card(
        _ variant: String, window: Int = 7, size: Int = 224, parameters: Int, gmacs: Double, attentionGmacs: Double,
        top1: Double
    ) -> ModelCard {
        let official = "swin_\(variant)_patch4_window\(window)_\(size)"
        return ModelCard(
            name: "swin-\(variant)" + (size == 224 ? "" : "-\(size)"), aliases: [official, "\(official).ms_in1k"],
            family: "swin", parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs,
            preprocessing: .timm(size: size), classes: 1000, labels: "imagenet-1k",
            paper: "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, arXiv 2103.14030",
            code: "github.com/microsoft/Swin-Transformer", publishedTop1: top1,
            checkpoint: PublishedCheckpoint(
                page: "huggingface.co/timm/\(official).ms_in1k", file: "model.safetensors", licence: "MIT"))
    }

    /// The hyper-parameters, lists with one entry per stage.
    struct Configuration: Sendable {
        var inputChannels = 3
        /// The size of the images that decides the sizes of the tables of relative positions.
        var imageSize = (height: 224, width: 224)
        var patchSize = 4
        /// C of the first stage; it doubles from stage to stage.
        var embedDim = 96
        var depths = [2, 2, 6, 2]
        var heads = [3, 6, 12, 24]
        /// MLP width over C.
        var mlpRatio = 4.0
        var window = 7
        var normEpsilon: Float = 1e-5
        var classes = 1000
    }

    private static func configuration(of variant: String) -> Configuration {
        var configuration = Configuration()
        if variant != "swin-tiny" { configuration.depths[2] = 18 }
        if variant.hasPrefix("swin-base") { (configuration.embedDim, configuration.heads) = (128, [4, 8, 16, 32]) }
        if variant.hasSuffix("-384") { (configuration.imageSize, configuration.window) = ((384, 384), 12) }
        return configuration
    }

    private static func network(_ configuration: Configuration, _ w: Weights) -> PyramidClassifier<Stage> {
        let last = configuration.channels(of: configuration.depths.count - 1)
        let names = Names(w)
        return PyramidClassifier(
            inputChannels: configuration.inputChannels,
            stages: configuration.depths.indices.map { Stage(w, names, configuration, index: $0) },
            norm: LayerNorm(w["norm"], channels: last, epsilon: configuration.normEpsilon),
            head: Linear(names.head(w), in: last, out: configuration.classes, kernel: .linear))
    }

    /// Where timm's and the original names differ.
    enum Names {
        case timm, original

        /// Only the original code has a merging layer in its first stage.
        init(_ w: Weights) {
            self = w["layers"][0]["downsample"]["reduction"].contains("weight") ? .original : .timm
        }

        /// The merging before a stage.
        func merging(_ w: Weights, before stage: Int) -> Weights {
            w["layers"][self == .timm ? stage : stage - 1]["downsample"]
        }

        func head(_ w: Weights) -> Weights { self == .timm ? w["head"]["fc"] : w["head"] }
    }

    /// Patches with layer norm, or merged pixels of the stage before, and blocks.
    struct Stage: PyramidStage {
        let channels: Int
        private let embedding: MapEmbedding
        let blocks: [Block]

        init(_ w: Weights, _ names: Names, _ configuration: Configuration, index: Int) {
            let (channels, epsilon) = (configuration.channels(of: index), configuration.normEpsilon)
            self.channels = channels
            if index == 0 {
                embedding = .patches(
                    w["patch_embed"], in: configuration.inputChannels, out: channels, size: configuration.patchSize,
                    epsilon: epsilon)
            } else {
                embedding = .merging(names.merging(w, before: index), channels: channels / 2, epsilon: epsilon)
            }
            let map = configuration.map(of: index)
            let window = (min(configuration.window, map.height), min(configuration.window, map.width))
            blocks = (0..<configuration.depths[index]).map { block in
                Block(
                    w["layers"][index]["blocks"][block], channels: channels, heads: configuration.heads[index],
                    hidden: Int(configuration.mlpRatio * Double(channels)), window: window,
                    shift: block.isMultiple(of: 2) ? 0 : configuration.window / 2, epsilon: epsilon)
            }
        }

        func checkEmbedding(height: Int, width: Int) throws(ZooError) {
            try embedding.check(height: height, width: width)
        }

        func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
            embedding.outputSize(height: height, width: width)
        }

        func embed(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime) {
            embedding(x, into: map, on: runtime)
        }

        func embeddingCost(pixels: Int) -> Cost { embedding.cost(pixels: pixels) }
    }

    /// `x + attn(norm1(x))` in windows, then `x + mlp(norm2(x))`.
    package struct Block: PyramidBlock {
        private let attention: WindowAttention
        private let shift: Int
        private let mlp: MLP

        /// - Parameters:
        ///   - window: that the table of relative positions is made for.
        ///   - shift: rows and columns that the map is rolled by on an axis with more than one window.
        package init(
            _ w: Weights, channels: Int, heads: Int, hidden: Int, window: (height: Int, width: Int), shift: Int,
            epsilon: Float
        ) {
            attention = WindowAttention(
                w["attn"], channels: channels, heads: heads, window: window,
                norm: LayerNorm(w["norm1"], channels: channels, epsilon: epsilon))
            self.shift = shift
            mlp = MLP(
                w["mlp"], channels: channels, hidden: hidden,
                norm: LayerNorm(w["norm2"], channels: channels, epsilon: epsilon))
        }

        /// In place.
        package func callAsFunction(_ x: FeatureMap, on runtime: Runtime) {
            attention(x, into: x, residual: x, shift: (shift, shift), on: runtime)
            mlp(addingTo: x, on: runtime)
        }

        package func cost(height: Int, width: Int) -> Cost {
            attention.cost(height: height, width: width) + mlp.cost(tokens: height * width)
        }
    }
}

extension Swin.Configuration {
    func channels(of stage: Int) -> Int { embedDim << stage }

    /// The map of a stage at the size the network is built for.
    fileprivate func map(of stage: Int) -> (height: Int, width: Int) {
        func side(_ size: Int) -> Int { (0..<stage).reduce(size / patchSize) { side, _ in (side + 1) / 2 } }
        return (side(imageSize.height), side(imageSize.width))
    }

    /// The hyper-parameters that a user's file replaces.
    ///
    /// - Throws: `ZooError` that names the hyper-parameter.
    fileprivate func replaced(by file: Hyperparameters?) throws -> Self {
        guard var file else { return self }
        file.ignoreDescription()
        file.ignore("drop_path_rate", "blocks")
        var result = self
        if let depths = try file.integers("depths", in: 0...256) { result.depths = depths }
        let count = result.depths.count
        result.inputChannels = try file.integer("in_chans", in: 1...64) ?? inputChannels
        if let size = try file.integersOrOne("img_size", in: 1...16384, count: 2) {
            result.imageSize = (size[0], size[1])
        }
        result.patchSize = try file.integer("patch_size", in: 1...1024) ?? patchSize
        result.embedDim = try file.integer("embed_dim", in: 1...8192) ?? embedDim
        result.heads = try file.integers("num_heads", in: 1...1024, count: count) ?? heads
        result.mlpRatio = try file.number("mlp_ratio", in: 0.01...64) ?? mlpRatio
        result.window = try file.integer("window_size", in: 1...256) ?? window
        result.normEpsilon = try file.number("norm_eps", in: 1e-12...1).map { Float($0) } ?? normEpsilon
        result.classes = try file.integer("num_classes", in: 1...1_000_000) ?? classes
        try file.finish()
        try result.validate()
        return result
    }

    private func validate() throws(ZooError) {
        try Hyperparameters.require(depths.count <= 8, "depths", "at most 8 stages")
        try Hyperparameters.require(heads.count == depths.count, "num_heads", "one entry per stage")
        try Hyperparameters.require(
            min(imageSize.height, imageSize.width) >= patchSize, "img_size", "at least one patch")
        for (stage, heads) in heads.enumerated() {
            try InLine.checkHeads(heads, channels: channels(of: stage))
            try InLine.checkWidth(mlpRatio, channels: channels(of: stage))
        }
    }
}
