import ZooCore
import ZooNN

/// InLine-Swin: Swin with InLine attention, in windows as large as the map, in the first stages. See `InLine`.
///
/// - Code: `models/inline_swin.py`. Patch merging stands at the end of a stage there and in the names of the checkpoint.
/// - InLine blocks ignore the mask of shifted windows; every window predicts its own filters. In the published models
///   their windows cover the map. Smaller ones, as no published model has, are the exception to windows by index
///   arithmetic: they are copied out of the map and back.
/// - The official code takes images of the size it was built for. Here every size works whose maps are even where they
///   are merged and made of whole windows; a window is never larger than the map, on each axis.
public enum InLineSwin {
    static let family = ModelFamily(
        name: "inline-swin", aliases: [], defaultVariant: "inline-swin-tiny", cards: cards,
        build: { variant, hyperparameters, weights in
            try network(configuration(of: variant).replaced(by: hyperparameters), weights)
        },
        isBuffer: { $0.hasSuffix(".relative_position_index") || $0.hasSuffix(".attn_mask") })

    private static let cards: [ModelCard] = [
        card("tiny", file: "t", parameters: 29_223_544, gmacs: 4.364, attentionGmacs: 0.095, top1: 82.4),
        card("small", file: "s", parameters: 49_793_296, gmacs: 8.521, attentionGmacs: 0.199, top1: 83.6),
        card("base", file: "b", parameters: 88_350_120, gmacs: 15.139, attentionGmacs: 0.259, top1: 84.1),
        card(
            "base-384", file: "b_384", size: 384, parameters: 88_465_320, gmacs: 44.488, attentionGmacs: 1.712,
            top1: nil),
    ]

    private static func card(
        _ variant: String, file: String, size: Int = 224, parameters: Int, gmacs: Double, attentionGmacs: Double,
        top1: Double?
    ) -> ModelCard {
        InLine.card(
            "inline-swin-\(variant)", family: "inline-swin", file: "inline_swin_\(file)", size: size,
            crops: size == 224, parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs, top1: top1)
    }

    /// The hyper-parameters, lists with one entry per stage.
    struct Configuration: Sendable {
        var inputChannels = 3
        /// The side of the images that decides the softmax blocks' windows.
        var imageSize = 224
        var patchSize = 4
        /// C of the first stage; it doubles from stage to stage.
        var embedDim: Int
        var depths: [Int]
        var heads: [Int]
        var mlpRatio = 4.0
        /// Side of the InLine blocks' windows; the softmax blocks' have an eighth of it, at least 7.
        var windowSize = 56
        var kernel = InLineKernel.identity
        var normEpsilon: Float = 1e-5
        var attention: String
        var classes = 1000
    }

    private static func configuration(of variant: String) -> Configuration {
        switch variant {
        case "inline-swin-small":
            Configuration(embedDim: 96, depths: [2, 2, 18, 2], heads: [3, 6, 12, 24], attention: "IISS")
        case "inline-swin-base":
            Configuration(embedDim: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32], attention: "IIMS2")
        case "inline-swin-base-384":
            Configuration(
                imageSize: 384, embedDim: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32], windowSize: 96,
                attention: "IIMS2")
        default: Configuration(embedDim: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24], attention: "IIIS")
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

    /// Patches with layer norm or merged patches of the stage before, and blocks.
    struct Stage: PyramidStage {
        let channels: Int
        private let embedding: MapEmbedding
        let blocks: [Block]

        init(_ w: Weights, _ configuration: Configuration, index: Int, isInLine: [Bool]) {
            let (channels, epsilon) = (configuration.channels(of: index), configuration.normEpsilon)
            self.channels = channels
            if index == 0 {
                embedding = .patches(
                    w["patch_embed"], in: configuration.inputChannels, out: channels, size: configuration.patchSize,
                    epsilon: epsilon)
            } else {
                embedding = .merging(
                    w["layers"][index - 1]["downsample"], channels: configuration.channels(of: index - 1),
                    epsilon: epsilon)
            }
            blocks = isInLine.enumerated().map { block, isInLine in
                let asked = isInLine ? configuration.windowSize : configuration.softmaxWindow
                let attention: Block.Attention =
                    isInLine
                    ? .inLine(configuration.kernel, window: asked)
                    : .softmax(window: min(asked, configuration.side(of: index)))
                return Block(
                    w["layers"][index]["blocks"][block], channels: channels, heads: configuration.heads[index],
                    hidden: Int(configuration.mlpRatio * Double(channels)), attention: attention,
                    shift: block.isMultiple(of: 2) ? 0 : asked / 2, epsilon: epsilon)
            }
        }

        func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
            embedding.outputSize(height: height, width: width)
        }

        func checkEmbedding(height: Int, width: Int) throws(ZooError) {
            if case .merging = embedding, !height.isMultiple(of: 2) || !width.isMultiple(of: 2) {
                throw ZooError(
                    .usage, "only maps with even sides can be merged", expected: "even sides",
                    found: "\(height)x\(width)")
            }
        }

        func embed(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime) {
            embedding(x, into: map, on: runtime)
        }

        func embeddingCost(pixels: Int) -> Cost { embedding.cost(pixels: pixels) }
    }

    /// `x + attn(norm1(x))` in windows, then `x + mlp(norm2(x))`.
    package struct Block: PyramidBlock {
        /// What the windows do. InLine ones are as large as asked or as the map, whichever is smaller on each axis.
        package enum Attention: Sendable {
            case inLine(InLineKernel, window: Int)
            case softmax(window: Int)
        }

        private enum Module: Sendable {
            case inLine(InLineAttention)
            case softmax(WindowAttention)
        }

        private let module: Module
        private let window: Int
        private let shift: Int
        private let mlp: MLP

        /// - Parameter shift: rows and columns by which windows are moved where the map is larger than they.
        package init(
            _ w: Weights, channels: Int, heads: Int, hidden: Int, attention: Attention, shift: Int, epsilon: Float
        ) {
            let norm = LayerNorm(w["norm1"], channels: channels, epsilon: epsilon)
            switch attention {
            case .inLine(let kernel, let window):
                self.window = window
                module = .inLine(
                    InLineAttention(w["attn"], channels: channels, heads: heads, kernel: kernel, norm: norm))
            case .softmax(let window):
                self.window = window
                module = .softmax(
                    WindowAttention(
                        w["attn"], channels: channels, heads: heads, window: (window, window), norm: norm))
            }
            self.shift = shift
            mlp = MLP(
                w["mlp"], channels: channels, hidden: hidden,
                norm: LayerNorm(w["norm2"], channels: channels, epsilon: epsilon))
        }

        private func windows(height: Int, width: Int) -> ShiftedWindows {
            ShiftedWindows(
                height: min(window, height), width: min(window, width), shiftY: height > window ? shift : 0,
                shiftX: width > window ? shift : 0)
        }

        package func check(height: Int, width: Int) throws(ZooError) {
            let own = windows(height: height, width: width)
            var fits = height.isMultiple(of: own.height) && width.isMultiple(of: own.width)
            // The table of relative positions belongs to one size of window.
            if case .softmax = module { fits = fits && own.height == window && own.width == window }
            guard fits else {
                throw ZooError(
                    .usage, "the map is not made of whole windows", expected: "multiples of \(window)x\(window)",
                    found: "\(height)x\(width)")
            }
        }

        /// In place.
        package func callAsFunction(_ x: FeatureMap, on runtime: Runtime) {
            let windows = windows(height: x.height, width: x.width)
            switch module {
            case .inLine(let attention) where windows.height == x.height && windows.width == x.width:
                attention(x, into: x, residual: x, on: runtime)
            case .inLine(let attention):
                runtime.workspace.scope {
                    let cut = FeatureMap(
                        runtime.workspace, batch: x.rows / (windows.height * windows.width), height: windows.height,
                        width: windows.width, channels: x.channels)
                    windows.forEachRun(of: x) { map, window, pixels in
                        (cut.base + window * cut.stride).update(
                            from: x.base + map * x.stride, count: pixels * x.channels)
                    }
                    attention(cut, into: cut, residual: cut, on: runtime)
                    windows.forEachRun(of: x) { map, window, pixels in
                        (x.base + map * x.stride).update(
                            from: cut.base + window * cut.stride, count: pixels * x.channels)
                    }
                }
            case .softmax(let attention):
                attention(
                    x, into: x, residual: x, shift: (windows.shiftY, windows.shiftX), on: runtime)
            }
            mlp(addingTo: x, on: runtime)
        }

        package func cost(height: Int, width: Int) -> Cost {
            let windows = windows(height: height, width: width)
            let tokens = windows.height * windows.width
            let count = tokens > 0 ? height * width / tokens : 0
            return switch module {
            case .inLine(let attention):
                attention.cost(tokens: tokens, pixels: tokens, windows: count) + mlp.cost(tokens: height * width)
            case .softmax(let attention):
                attention.cost(height: height, width: width) + mlp.cost(tokens: height * width)
            }
        }
    }
}

/// Windows of a map that is rolled up and to the left first.
private struct ShiftedWindows {
    let height: Int
    let width: Int
    let shiftY: Int
    let shiftX: Int

    /// Calls `body` with the first pixel on the map, the first pixel in the windows one after the other, and the length of
    /// every run of pixels that lie in a row in both.
    func forEachRun(of map: FeatureMap, _ body: (_ map: Int, _ window: Int, _ pixels: Int) -> Void) {
        var window = 0
        for image in 0..<map.batch {
            for top in stride(from: 0, to: map.height, by: height) {
                for left in stride(from: 0, to: map.width, by: width) {
                    for y in top..<top + height {
                        let row = (image * map.height + (y + shiftY) % map.height) * map.width
                        let column = (left + shiftX) % map.width
                        let before = min(width, map.width - column)
                        body(row + column, window, before)
                        if before < width { body(row, window + before, width - before) }
                        window += width
                    }
                }
            }
        }
    }
}

extension InLineSwin.Configuration {
    func channels(of stage: Int) -> Int { embedDim << stage }

    /// The side of a stage's map at the size the network is built for.
    func side(of stage: Int) -> Int { (imageSize / patchSize) >> stage }

    var softmaxWindow: Int { max(7, windowSize / 8) }

    /// The hyper-parameters that a user's file replaces.
    ///
    /// - Throws: `ZooError` that names the hyper-parameter.
    fileprivate func replaced(by file: Hyperparameters?) throws -> Self {
        guard var file else { return self }
        file.ignoreDescription()
        file.ignore("drop_path_rate")
        var result = self
        if let depths = try file.integers("depths", in: 0...256) { result.depths = depths }
        let count = result.depths.count
        result.inputChannels = try file.integer("in_chans", in: 1...64) ?? inputChannels
        result.imageSize = try file.integer("img_size", in: 1...16384) ?? imageSize
        result.patchSize = try file.integer("patch_size", in: 1...1024) ?? patchSize
        result.embedDim = try file.integer("embed_dim", in: 1...8192) ?? embedDim
        result.heads = try file.integers("num_heads", in: 1...1024, count: count) ?? heads
        result.mlpRatio = try file.number("mlp_ratio", in: 0.01...64) ?? mlpRatio
        result.windowSize = try file.integer("window_size", in: 1...4096) ?? windowSize
        result.normEpsilon = try file.number("norm_eps", in: 1e-12...1).map { Float($0) } ?? normEpsilon
        result.attention = try file.text("attn_type") ?? attention
        result.classes = try file.integer("num_classes", in: 1...1_000_000) ?? classes
        if let name = try file.text("kernel_function") {
            guard let kernel = InLineKernel(rawValue: name) else {
                throw ZooError(
                    .badData, "hyper-parameter has an unusable value", at: "kernel_function",
                    expected: InLineKernel.allCases.map(\.rawValue).joined(separator: ", "), found: name)
            }
            result.kernel = kernel
        }
        try file.finish()
        try result.validate()
        return result
    }

    private func validate() throws(ZooError) {
        try Hyperparameters.require(depths.count <= 6, "depths", "at most 6 stages")
        try Hyperparameters.require(heads.count == depths.count, "num_heads", "as many entries as in depths")
        try Hyperparameters.require(side(of: depths.count - 1) > 0, "img_size", "at least one token in the last stage")
        for stage in depths.indices {
            try InLine.checkHeads(heads[stage], channels: channels(of: stage))
            try InLine.checkWidth(mlpRatio, channels: channels(of: stage))
        }
    }
}
