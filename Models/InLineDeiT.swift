import ZooCore
import ZooNN

/// InLine-DeiT: a vision transformer with a class token, InLine attention in every block. See `InLine`.
///
/// - Code: `models/inline_deit.py`.
/// - The published sizes differ from DeiT's in width and resolution (288 and 448 for small and base).
/// - The official code takes square images of the size it was built for. Here every size works whose sides are multiples
///   of the patch: the position embedding is then resampled as the official code does it for a new size (bicubic without
///   antialiasing).
public enum InLineDeiT {
    static let family = ModelFamily(
        name: "inline-deit", aliases: [], defaultVariant: "inline-deit-tiny", cards: cards,
        build: { variant, hyperparameters, weights in
            try VisionTransformer(configuration(of: variant).replaced(by: hyperparameters), weights)
        },
        isBuffer: { _ in false })

    private static let cards: [ModelCard] = [
        card("tiny", file: "t", size: 224, parameters: 6_477_736, gmacs: 1.080, attentionGmacs: 0.030, top1: 74.5),
        card("small", file: "s", size: 288, parameters: 16_734_760, gmacs: 4.885, attentionGmacs: 0.081, top1: 80.2),
        card("base", file: "b", size: 448, parameters: 23_797_096, gmacs: 16.934, attentionGmacs: 0.235, top1: 82.3),
    ]

    private static func card(
        _ variant: String, file: String, size: Int, parameters: Int, gmacs: Double, attentionGmacs: Double,
        top1: Double
    ) -> ModelCard {
        InLine.card(
            "inline-deit-\(variant)", family: "inline-deit", file: "inline_deit_\(file)", size: size,
            parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs, top1: top1)
    }

    private static func configuration(of variant: String) -> VisionTransformer.Configuration {
        switch variant {
        case "inline-deit-small": VisionTransformer.Configuration(imageSize: 288, embedDim: 320, heads: 10)
        case "inline-deit-base": VisionTransformer.Configuration(imageSize: 448, embedDim: 384, heads: 12)
        default: VisionTransformer.Configuration(imageSize: 224, embedDim: 192, heads: 6)
        }
    }
}

/// A plain vision transformer: patches and a class token, one position embedding, blocks, and a classifier that reads
/// the class token.
struct VisionTransformer: ImageClassifier {
    struct Configuration: Sendable {
        var inputChannels = 3
        /// The side of the images that the position embedding was trained for.
        var imageSize: Int
        var patchSize = 16
        /// C
        var embedDim: Int
        var depth = 12
        var heads: Int
        /// MLP width over C.
        var mlpRatio = 4.0
        var normEpsilon: Float = 1e-6
        var classes = 1000
        var attention = Attention.inLine
        /// Of the position embedding, for images of another size.
        var resampling = PositionEmbedding.Resampling.bicubic

        enum Attention: Sendable {
            case inLine, softmax
        }
    }

    var inputChannels: Int { configuration.inputChannels }
    var classes: Int { configuration.classes }
    var preLogitsWidth: Int { configuration.embedDim }
    private let configuration: Configuration
    private let proj: Conv2d
    /// The class token with its position embedding, [C].
    private let classToken: PackedWeight
    private let position: PositionEmbedding
    private let blocks: [Block]
    private let norm: LayerNorm
    private let head: Linear

    init(_ configuration: Configuration, _ w: Weights) {
        self.configuration = configuration
        let (channels, patch) = (configuration.embedDim, configuration.patchSize)
        proj = Conv2d(
            w["patch_embed"]["proj"], in: configuration.inputChannels, out: channels, kernel: patch, stride: patch,
            padding: 0)
        let side = configuration.imageSize / patch
        position = PositionEmbedding(
            w, "pos_embed", grid: (side, side), channels: channels, leading: 1, resampling: configuration.resampling)
        classToken = PackedWeight(zip(w.tensor("cls_token", [1, 1, channels]), position.leading).map { $0 + $1 })
        blocks = (0..<configuration.depth).map { Block(w["blocks"][$0], configuration) }
        norm = LayerNorm(w["norm"], channels: channels, epsilon: configuration.normEpsilon)
        head = Linear(w["head"], in: channels, out: configuration.classes, kernel: .linear)
    }

    func forward(_ images: ImageBatch, into output: ClassifierOutput, on runtime: Runtime) throws(ZooError) {
        try check(images)
        runtime.workspace.scope {
            let tokens = features(images, on: runtime)
            output.intermediates?[0].update(from: tokens.base, count: tokens.rows * tokens.channels)
            classify(tokens, into: output, on: runtime)
        }
    }

    func forwardFeatures(
        _ images: ImageBatch, into features: UnsafeMutablePointer<Float>, on runtime: Runtime
    ) throws(ZooError) {
        try check(images)
        runtime.workspace.scope {
            let tokens = self.features(images, on: runtime)
            features.update(from: tokens.base, count: tokens.rows * tokens.channels)
        }
    }

    func forwardHead(
        _ features: ImageBatch, into output: ClassifierOutput, on runtime: Runtime
    ) throws(ZooError) {
        guard features.channels == head.inputs, features.batch > 0, features.height > 0, features.width > 0 else {
            throw ZooError(
                .usage, "feature map does not fit the head", expected: "\(head.inputs) channels",
                found: "\(features.channels)")
        }
        runtime.workspace.scope { classify(FeatureMap(features), into: output, on: runtime) }
    }

    /// One map: the tokens after the last block in a row, the class token first.
    func intermediateShapes(height: Int, width: Int) -> [MapShape] {
        let grid = grid(height: height, width: width)
        return [MapShape(channels: configuration.embedDim, height: 1, width: 1 + grid.height * grid.width)]
    }

    func cost(height: Int, width: Int) -> Cost {
        let grid = grid(height: height, width: width)
        let pixels = grid.height * grid.width
        return blocks.reduce(proj.cost(pixels: pixels) + head.cost(pixels: 1)) { $0 + $1.cost(pixels: pixels) }
    }

    private func grid(height: Int, width: Int) -> (height: Int, width: Int) {
        (height / configuration.patchSize, width / configuration.patchSize)
    }

    private func check(_ images: ImageBatch) throws(ZooError) {
        let patch = configuration.patchSize
        guard images.channels == inputChannels, images.batch > 0, images.height > 0, images.width > 0,
            images.height.isMultiple(of: patch), images.width.isMultiple(of: patch)
        else {
            throw ZooError(
                .usage, "images have the wrong shape",
                expected: "[batch, height, width, \(inputChannels)] with sides that are multiples of \(patch)",
                found: "[\(images.batch), \(images.height), \(images.width), \(images.channels)]")
        }
    }

    /// About the tokens whose packed projection fills a second-level cache.
    private static let groupRows = 1024

    /// [batch, 1, 1 + patches, C] after the last block. The batch goes through in groups of images, so that activations
    /// stay in the caches.
    private func features(_ images: ImageBatch, on runtime: Runtime) -> FeatureMap {
        let workspace = runtime.workspace
        let grid = grid(height: images.height, width: images.width)
        let tokens = FeatureMap(
            workspace, batch: images.batch, height: 1, width: 1 + grid.height * grid.width,
            channels: configuration.embedDim)
        for group in tokens.groups(rows: Self.groupRows) {
            for image in group { embed(FeatureMap(images), image, grid: grid, into: tokens, on: runtime) }
            for block in blocks { block(tokens.images(group), grid: grid, on: runtime) }
        }
        return tokens
    }

    /// The class token and the patches of one image, with their position embedding.
    private func embed(
        _ images: FeatureMap, _ image: Int, grid: (height: Int, width: Int), into tokens: FeatureMap,
        on runtime: Runtime
    ) {
        let first = tokens.images(image..<image + 1).base
        first.update(from: classToken.pointer, count: tokens.channels)
        let patches = FeatureMap(
            batch: 1, height: grid.height, width: grid.width, channels: tokens.channels, base: first + tokens.channels)
        let position = position.map(height: grid.height, width: grid.width, on: runtime)
        proj(images.images(image..<image + 1), into: patches, residual: position, on: runtime)
    }

    private func classify(_ tokens: FeatureMap, into output: ClassifierOutput, on runtime: Runtime) {
        guard output.logits != nil || output.preLogits != nil else { return }
        let channels = tokens.channels
        let classTokens = FeatureMap(
            batch: tokens.batch, height: 1, width: 1, channels: channels, stride: tokens.tokens * channels,
            base: tokens.base)
        let normed = FeatureMap(
            batch: tokens.batch, height: 1, width: 1, channels: channels,
            base: output.preLogits ?? runtime.workspace.floats(tokens.batch * channels))
        norm(classTokens, into: normed, on: runtime)
        guard let logits = output.logits else { return }
        let scores = FeatureMap(batch: tokens.batch, height: 1, width: 1, channels: classes, base: logits)
        head(normed, into: scores, on: runtime)
    }

    /// `x + attn(norm1(x))`, then `x + mlp(norm2(x))`, on the class token and the patches.
    struct Block: Sendable {
        private enum Attention: Sendable {
            case inLine(InLineAttention)
            case softmax(SelfAttention)
        }

        private let attention: Attention
        private let mlp: MLP

        init(_ w: Weights, _ configuration: VisionTransformer.Configuration) {
            let (channels, epsilon) = (configuration.embedDim, configuration.normEpsilon)
            let (scope, heads) = (w["attn"], configuration.heads)
            let norm = LayerNorm(w["norm1"], channels: channels, epsilon: epsilon)
            switch configuration.attention {
            case .inLine: attention = .inLine(InLineAttention(scope, channels: channels, heads: heads, norm: norm))
            case .softmax: attention = .softmax(SelfAttention(scope, channels: channels, heads: heads, norm: norm))
            }
            mlp = MLP(
                w["mlp"], channels: channels, hidden: Int(configuration.mlpRatio * Double(channels)),
                norm: LayerNorm(w["norm2"], channels: channels, epsilon: epsilon))
        }

        func callAsFunction(_ x: FeatureMap, grid: (height: Int, width: Int), on runtime: Runtime) {
            switch attention {
            case .inLine(let attention): attention(x, into: x, residual: x, grid: grid, on: runtime)
            case .softmax(let attention): attention(x, into: x, residual: x, on: runtime)
            }
            mlp(addingTo: x, on: runtime)
        }

        func cost(pixels: Int) -> Cost {
            let tokens = 1 + pixels
            let mixing =
                switch attention {
                case .inLine(let attention): attention.cost(tokens: tokens, pixels: pixels)
                case .softmax(let attention): attention.cost(tokens: tokens)
                }
            return mixing + mlp.cost(tokens: tokens)
        }
    }
}

extension VisionTransformer.Configuration {
    /// The hyper-parameters that a user's file replaces.
    ///
    /// - Throws: `ZooError` that names the hyper-parameter.
    func replaced(by file: Hyperparameters?) throws -> Self {
        guard var file else { return self }
        file.ignoreDescription()
        file.ignore("drop_path_rate")
        let result = Self(
            inputChannels: try file.integer("in_chans", in: 1...64) ?? inputChannels,
            imageSize: try file.integer("img_size", in: 1...16384) ?? imageSize,
            patchSize: try file.integer("patch_size", in: 1...1024) ?? patchSize,
            embedDim: try file.integer("embed_dim", in: 1...8192) ?? embedDim,
            depth: try file.integer("depth", in: 0...256) ?? depth,
            heads: try file.integer("num_heads", in: 1...1024) ?? heads,
            mlpRatio: try file.number("mlp_ratio", in: 0.01...64) ?? mlpRatio,
            normEpsilon: try file.number("norm_eps", in: 1e-12...1).map { Float($0) } ?? normEpsilon,
            classes: try file.integer("num_classes", in: 1...1_000_000) ?? classes, attention: attention,
            resampling: resampling)
        try Hyperparameters.require(try file.bool("qkv_bias") ?? true, "qkv_bias", "true")
        try file.finish()
        try Hyperparameters.require(
            result.imageSize >= result.patchSize, "img_size", "at least one patch")
        try InLine.checkHeads(result.heads, channels: result.embedDim)
        try InLine.checkWidth(result.mlpRatio, channels: result.embedDim)
        return result
    }
}
