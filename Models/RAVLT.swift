import ZooCore
import ZooNN

/// RAVLT, the rank-augmented vision linear transformer, and the network it shares with MAViT.
///
/// - Paper: Fan, Huang, He, "Breaking the Low-Rank Dilemma of Linear Attention", CVPR 2025, arXiv 2411.07635.
/// - Code: github.com/qhfan/RALA, `classfication/RALA.py`; tensor names are those of its checkpoints.
/// - The first two stages of the released models use linear attention, the last two ordinary softmax attention.
public enum RAVLT {
    static let family = ModelFamily(
        name: "ravlt", aliases: ["rala"], defaultVariant: "ravlt-t", cards: cards,
        build: { variant, hyperparameters, weights in
            try PyramidNetwork(
                configuration(of: variant).replaced(by: hyperparameters), linearAttention: .rala, weights)
        },
        isBuffer: PyramidNetwork.isBuffer)

    private static func configuration(of variant: String) -> PyramidNetwork.Configuration {
        variant == "ravlt-nano" ? .nano : .released(size: variant.suffix(1), projection: 1024)
    }

    private static let cards: [ModelCard] = [
        card("t", parameters: 14_897_768, gmacs: 2.412, attentionGmacs: 0.201, top1: 82.8),
        card("s", parameters: 25_591_208, gmacs: 4.506, attentionGmacs: 0.372, top1: 84.4),
        card("b", parameters: 48_241_288, gmacs: 9.802, attentionGmacs: 0.778, top1: 85.5),
        card("l", parameters: 95_242_440, gmacs: 16.092, attentionGmacs: 1.117, top1: 85.8),
        PyramidNetwork.nanoCard(
            name: "ravlt-nano", family: "ravlt", parameters: 169_762, gmacs: 0.001925, attentionGmacs: 0.000114,
            paper: paper,
            code: code),
    ]

    private static let paper = "Breaking the Low-Rank Dilemma of Linear Attention, arXiv 2411.07635"
    private static let code = "github.com/qhfan/RALA"

    private static func card(
        _ size: String, parameters: Int, gmacs: Double, attentionGmacs: Double, top1: Double
    ) -> ModelCard {
        ModelCard(
            name: "ravlt-\(size)", aliases: ["ravlt_\(size)", "rala-\(size)"], family: "ravlt",
            parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs, preprocessing: .ravlt(size: 224),
            classes: 1000, labels: "imagenet-1k", paper: paper, code: code, publishedTop1: top1,
            checkpoint: PublishedCheckpoint(
                page: "huggingface.co/aldjalkdf/RAVLT", file: "RAVLT_\(size.uppercased()).pth", licence: "MIT"))
    }
}

/// The convolutional-stem pyramid of RAVLT and MAViT: a stem of stride 4, stages of blocks with a stride-2
/// convolution between them, and a classifier that projects before it pools.
public struct PyramidNetwork: ImageClassifier {
    /// The hyper-parameters, one entry per stage.
    struct Configuration: Sendable {
        var inputChannels = 3
        /// C of each stage.
        var embedDims: [Int]
        /// Blocks of each stage.
        var depths: [Int]
        var heads: [Int]
        /// FFN width over C.
        var mlpRatios: [Double]
        /// Whether the blocks of a stage scale their branches per channel.
        var layerScale: [Bool]
        /// For each block of each stage, whether its attention is linear (the family's core) or softmax.
        var isLinear: [[Bool]]
        /// Width before the classifier; `nil` for a dense-prediction backbone, which ends in one norm per stage.
        var projection: Int?
        var classes: Int

        /// The four released sizes; both families share everything but the projection.
        static func released(size: Substring, projection: Int) -> Configuration {
            switch size {
            case "s": released([64, 128, 320, 512], [3, 5, 9, 3], [1, 2, 5, 8], projection)
            case "b": released([96, 192, 384, 512], [4, 6, 12, 6], [1, 2, 6, 8], projection)
            case "l": released([96, 192, 448, 640], [4, 7, 19, 8], [1, 2, 7, 10], projection)
            default: released([64, 128, 256, 512], [2, 2, 6, 2], [1, 2, 4, 8], projection)
            }
        }

        private static func released(
            _ embedDims: [Int], _ depths: [Int], _ heads: [Int], _ projection: Int
        ) -> Configuration {
            Configuration(
                embedDims: embedDims, depths: depths, heads: heads, mlpRatios: [3.5, 3.5, 3.5, 3.5],
                layerScale: [true, true, true, true], isLinear: releasedPattern(depths), projection: projection,
                classes: 1000)
        }

        /// The small variant that ships with the package, trained on 8x8 digits.
        static let nano = Configuration(
            embedDims: [24, 32, 48, 64], depths: [1, 1, 2, 1], heads: [1, 1, 2, 2], mlpRatios: [2, 2, 2, 2],
            layerScale: [true, true, true, true], isLinear: releasedPattern([1, 1, 2, 1]), projection: 96,
            classes: 10)

        /// Linear attention in the first two stages, softmax attention after them.
        static func releasedPattern(_ depths: [Int]) -> [[Bool]] {
            depths.enumerated().map { stage, depth in [Bool](repeating: stage < 2, count: depth) }
        }
    }

    public var inputChannels: Int { configuration.inputChannels }
    public let classes: Int
    public let preLogitsWidth: Int
    private let configuration: Configuration
    private let patchEmbed: PatchEmbed
    private let stages: [Stage]
    private let head: Head?
    /// `extra_norms`, the layer norms on the outputs of a dense-prediction backbone.
    private let outputNorms: [LayerNorm]

    init(_ configuration: Configuration, linearAttention: AttentionCore, _ w: Weights) throws {
        self.configuration = configuration
        let dims = configuration.embedDims
        patchEmbed = PatchEmbed(w["patch_embed"]["proj"], in: configuration.inputChannels, out: dims[0])
        stages = dims.indices.map { index in
            Stage(
                w["layers"][index], configuration, index: index, linearAttention: linearAttention,
                next: index + 1 < dims.count ? dims[index + 1] : nil)
        }
        let last = dims[dims.count - 1]
        if let projection = configuration.projection {
            head = Head(w, channels: last, projection: projection, classes: configuration.classes)
            outputNorms = []
        } else {
            head = nil
            outputNorms = dims.indices.map {
                LayerNorm(w["extra_norms"][$0]["norm"], channels: dims[$0], epsilon: 1e-6)
            }
        }
        classes = configuration.projection == nil ? 0 : configuration.classes
        preLogitsWidth = configuration.projection ?? 0
    }

    /// `layers.s.RoPE.angle` and the batch norms' counters: recomputed or unused.
    static func isBuffer(_ tensor: String) -> Bool {
        tensor.hasSuffix(".num_batches_tracked") || tensor.hasSuffix(".RoPE.angle")
    }

    public func forward(_ images: ImageBatch, into output: ClassifierOutput, on runtime: Runtime) throws(ZooError) {
        try check(images)
        if output.logits != nil || output.preLogits != nil, head == nil {
            throw ZooError(.usage, "a dense-prediction backbone has no logits, only intermediates")
        }
        let workspace = runtime.workspace
        workspace.scope {
            let features = features(images, intermediates: output.intermediates, on: runtime)
            head?(features, into: output, on: runtime)
        }
    }

    public func forwardFeatures(
        _ images: ImageBatch, into features: UnsafeMutablePointer<Float>, on runtime: Runtime
    ) throws(ZooError) {
        try check(images)
        runtime.workspace.scope {
            let map = self.features(images, intermediates: nil, on: runtime)
            features.update(from: map.base, count: map.rows * map.channels)
        }
    }

    public func forwardHead(
        _ features: ImageBatch, into output: ClassifierOutput, on runtime: Runtime
    ) throws(ZooError) {
        guard let head else { throw ZooError(.usage, "a dense-prediction backbone has no head") }
        guard features.channels == head.channels, features.batch > 0, features.height > 0, features.width > 0 else {
            throw ZooError(
                .usage, "feature map does not fit the head", expected: "\(head.channels) channels",
                found: "\(features.channels)")
        }
        runtime.workspace.scope { head(FeatureMap(features), into: output, on: runtime) }
    }

    private func check(_ images: ImageBatch) throws(ZooError) {
        guard images.channels == configuration.inputChannels, images.batch > 0, images.height > 0, images.width > 0
        else {
            throw ZooError(
                .usage, "images have the wrong shape",
                expected: "[batch, height, width, \(configuration.inputChannels)]",
                found: "[\(images.batch), \(images.height), \(images.width), \(images.channels)]")
        }
    }

    /// The map after the last stage; copies every stage's map, before its downsampling, to `intermediates`.
    ///
    /// Every stage takes the batch in groups of images, so that its activations stay in the caches: one image at a
    /// time where tokens are many, several where weights are large.
    private func features(
        _ images: ImageBatch, intermediates: [UnsafeMutablePointer<Float>]?, on runtime: Runtime
    ) -> FeatureMap {
        let workspace = runtime.workspace
        var x = patchEmbed(FeatureMap(images), on: runtime)
        for (index, stage) in stages.enumerated() {
            let next = stage.downsample?.output(for: x, workspace) ?? x.like(channels: x.channels, workspace)
            for group in x.groups(rows: Self.groupRows) {
                workspace.scope {
                    let result = stage.blocks(x.images(group), on: runtime)
                    if let intermediates { export(result, stage: index, group, to: intermediates[index], on: runtime) }
                    if let downsample = stage.downsample {
                        downsample(result, into: next.images(group), on: runtime)
                    } else {
                        next.images(group).base.update(from: result.base, count: result.rows * result.channels)
                    }
                }
            }
            x = next
        }
        return x
    }

    /// About the tokens whose packed projection fills a second-level cache.
    private static let groupRows = 1024

    /// Copies a group's stage map, through the stage's norm where the network is a backbone.
    private func export(
        _ x: FeatureMap, stage: Int, _ group: Range<Int>, to base: UnsafeMutablePointer<Float>, on runtime: Runtime
    ) {
        let image = x.tokens * x.channels
        let copy = FeatureMap(
            batch: x.batch, height: x.height, width: x.width, channels: x.channels,
            base: base + group.lowerBound * image)
        if outputNorms.isEmpty {
            copy.base.update(from: x.base, count: x.batch * image)
        } else {
            outputNorms[stage](x, into: copy, on: runtime)
        }
    }

    public func intermediateShapes(height: Int, width: Int) -> [MapShape] {
        var (height, width) = patchEmbed.outputSize(height: height, width: width)
        return stages.enumerated().map { index, stage in
            defer {
                height = stage.downsample?.outputSize(height) ?? height
                width = stage.downsample?.outputSize(width) ?? width
            }
            return MapShape(channels: configuration.embedDims[index], height: height, width: width)
        }
    }

    public func cost(height: Int, width: Int) -> Cost {
        let shapes = intermediateShapes(height: height, width: width)
        var cost = patchEmbed.cost(height: height, width: width)
        for (index, stage) in stages.enumerated() {
            cost += stage.cost(tokens: shapes[index].height * shapes[index].width)
            if let downsample = stage.downsample, index + 1 < shapes.count {
                cost += downsample.cost(pixels: shapes[index + 1].height * shapes[index + 1].width)
            }
        }
        guard let head, let last = shapes.last else { return cost }
        return cost + head.cost(tokens: last.height * last.width)
    }
}

/// The stem: four 3x3 convolutions with batch norm, GELU after all but the last; stride 4 in all.
private struct PatchEmbed: Sendable {
    private let convolutions: [Conv2d]

    init(_ w: Weights, in inputs: Int, out outputs: Int) {
        let half = outputs / 2
        let layers: [(index: Int, in: Int, out: Int, stride: Int)] = [
            (0, inputs, half, 2), (3, half, half, 1), (6, half, half, 1), (9, half, outputs, 2),
        ]
        convolutions = layers.map { layer in
            Conv2d(
                w[layer.index], in: layer.in, out: layer.out, kernel: 3, stride: layer.stride, padding: 1,
                batchNorm: BatchNorm(w[layer.index + 1], channels: layer.out),
                activation: layer.index == 9 ? .none : .gelu)
        }
    }

    func callAsFunction(_ images: FeatureMap, on runtime: Runtime) -> FeatureMap {
        let workspace = runtime.workspace
        let (height, width) = outputSize(height: images.height, width: images.width)
        let embedded = FeatureMap(
            workspace, batch: images.batch, height: height, width: width,
            channels: convolutions[convolutions.count - 1].outputs)
        for image in images.groups(rows: 1) {
            workspace.scope {
                var x = images.images(image)
                for (index, convolution) in convolutions.enumerated() {
                    let isLast = index == convolutions.count - 1
                    let y = isLast ? embedded.images(image) : convolution.output(for: x, workspace)
                    convolution(x, into: y, on: runtime)
                    x = y
                }
            }
        }
        return embedded
    }

    func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
        convolutions.reduce((height, width)) { ($1.outputSize($0.0), $1.outputSize($0.1)) }
    }

    func cost(height: Int, width: Int) -> Cost {
        var (height, width) = (height, width)
        return convolutions.reduce(Cost()) { sum, convolution in
            (height, width) = (convolution.outputSize(height), convolution.outputSize(width))
            return sum + convolution.cost(pixels: height * width)
        }
    }
}

/// Blocks on one grid, and the stride-2 convolution to the next one.
private struct Stage: Sendable {
    private let blockList: [Block]
    let downsample: Conv2d?

    init(
        _ w: Weights, _ configuration: PyramidNetwork.Configuration, index: Int, linearAttention: AttentionCore,
        next: Int?
    ) {
        let channels = configuration.embedDims[index]
        blockList = configuration.isLinear[index].enumerated().map { block, isLinear in
            Block(
                w["blocks"][block], channels: channels, heads: configuration.heads[index],
                hidden: Int(configuration.mlpRatios[index] * Double(channels)),
                core: isLinear ? linearAttention : .softmax, layerScale: configuration.layerScale[index])
        }
        downsample = next.map { next in
            Conv2d(
                w["downsample"]["reduction"], in: channels, out: next, kernel: 3, stride: 2, padding: 1,
                batchNorm: BatchNorm(w["downsample"]["norm"], channels: next))
        }
    }

    /// Runs the blocks; the result lies in `x` or in memory taken from the workspace.
    func blocks(_ x: FeatureMap, on runtime: Runtime) -> FeatureMap {
        var (x, y) = (x, x.like(channels: x.channels, runtime.workspace))
        for block in blockList {
            block(x, into: y, on: runtime)
            swap(&x, &y)
        }
        return x
    }

    func cost(tokens: Int) -> Cost { blockList.reduce(Cost()) { $0 + $1.cost(tokens: tokens) } }
}

/// `x + pos(x)`, then `x + gamma_1 * attn(norm1(x))`, then `x + gamma_2 * ffn(norm2(x))`.
package struct Block: Sendable {
    private let pos: DepthwiseConv2d
    private let attn: GatedAttention
    private let ffn: ConvolutionalFFN

    package init(_ w: Weights, channels: Int, heads: Int, hidden: Int, core: AttentionCore, layerScale: Bool) {
        pos = DepthwiseConv2d(w["pos"], channels: channels, kernel: 3, residual: true)
        attn = GatedAttention(
            w["attn"], channels: channels, heads: heads, core: core,
            norm: LayerNorm(w["norm1"]["norm"], channels: channels, epsilon: 1e-6),
            scale: layerScale ? w.tensor("gamma_1", [1, channels, 1, 1]) : nil)
        ffn = ConvolutionalFFN(
            w["ffn"], channels: channels, hidden: hidden,
            norm: LayerNorm(w["norm2"]["norm"], channels: channels, epsilon: 1e-6),
            scale: layerScale ? w.tensor("gamma_2", [1, channels, 1, 1]) : nil)
    }

    /// Writes to `output`, which has the shape of `x` and must not overlap it.
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        pos(x, into: output, on: runtime)
        attn(addingTo: output, on: runtime)
        ffn(addingTo: output, on: runtime)
    }

    func cost(tokens: Int) -> Cost {
        pos.cost(pixels: tokens) + attn.cost(tokens: tokens) + ffn.cost(tokens: tokens)
    }
}

/// The attention module: one projection to queries, keys, values and a gate; a depthwise 5x5 convolution of the
/// values added to the core's output; the product with the gate, which has no activation; a projection back.
package struct GatedAttention: Sendable {
    private let heads: Int
    private let channels: Int
    private let core: AttentionCore
    private let qkvo: Linear
    private let lepe: DepthwiseConv2d
    private let proj: Linear

    package init(_ w: Weights, channels: Int, heads: Int, core: AttentionCore, norm: LayerNorm?, scale: [Float]?) {
        self.heads = heads
        self.channels = channels
        self.core = core
        qkvo = Linear(w["qkvo"], in: channels, out: 4 * channels, norm: norm)
        lepe = DepthwiseConv2d(w["lepe"], channels: channels, kernel: 5, residual: false)
        proj = Linear(w["proj"], in: channels, out: channels, scale: scale)
    }

    /// `x + scale * attention(norm(x))`, in place.
    package func callAsFunction(addingTo x: FeatureMap, on runtime: Runtime) {
        runtime.workspace.scope {
            proj(gated(x, on: runtime), into: x, residual: x, on: runtime)
        }
    }

    /// `attention(x)` without residual, for a module on its own.
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        runtime.workspace.scope { proj(gated(x, on: runtime), into: output, on: runtime) }
    }

    /// `(core + lepe) * o`, the input of the last projection.
    private func gated(_ x: FeatureMap, on runtime: Runtime) -> FeatureMap {
        let workspace = runtime.workspace
        let gated = x.like(channels: channels, workspace)
        workspace.scope {
            let packed = x.packed(channels: 4 * channels, workspace)
            qkvo(x, into: packed, on: runtime)
            let values = packed.columns(2 * channels..<3 * channels)
            lepe(values, into: gated, on: runtime)
            core(
                queries: packed.columns(0..<channels), keys: packed.columns(channels..<2 * channels), values: values,
                heads: heads, rope: true, local: gated, gate: packed.columns(3 * channels..<4 * channels),
                into: gated, on: runtime)
        }
        return gated
    }

    func cost(tokens: Int) -> Cost {
        qkvo.cost(pixels: tokens) + lepe.cost(pixels: tokens) + proj.cost(pixels: tokens)
            + core.cost(tokens: tokens, heads: heads, headDim: channels / heads)
    }
}

/// `t = GELU(fc1(x))`, `t = t + dwconv(t)`, `fc2(t)`.
private struct ConvolutionalFFN: Sendable {
    private let fc1: Linear
    private let dwconv: DepthwiseConv2d
    private let fc2: Linear

    init(_ w: Weights, channels: Int, hidden: Int, norm: LayerNorm, scale: [Float]?) {
        fc1 = Linear(w["fc1"], in: channels, out: hidden, norm: norm, activation: .gelu)
        dwconv = DepthwiseConv2d(w["dwconv"], channels: hidden, kernel: 3, residual: true)
        fc2 = Linear(w["fc2"], in: hidden, out: channels, scale: scale)
    }

    /// `x + scale * ffn(norm(x))`, in place.
    func callAsFunction(addingTo x: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let hidden = x.like(channels: fc1.outputs, workspace)
            let mixed = x.like(channels: fc1.outputs, workspace)
            fc1(x, into: hidden, on: runtime)
            dwconv(hidden, into: mixed, on: runtime)
            fc2(mixed, into: x, residual: x, on: runtime)
        }
    }

    func cost(tokens: Int) -> Cost {
        fc1.cost(pixels: tokens) + dwconv.cost(pixels: tokens) + fc2.cost(pixels: tokens)
    }
}

/// Projection with batch norm, SiLU, global average pooling, classifier.
private struct Head: Sendable {
    let channels: Int
    private let proj: Linear
    private let head: Linear

    init(_ w: Weights, channels: Int, projection: Int, classes: Int) {
        self.channels = channels
        proj = Linear(
            w["proj"], in: channels, out: projection, batchNorm: BatchNorm(w["norm"], channels: projection),
            activation: .silu)
        head = Linear(w["head"], in: projection, out: classes)
    }

    func callAsFunction(_ x: FeatureMap, into output: ClassifierOutput, on runtime: Runtime) {
        guard output.logits != nil || output.preLogits != nil else { return }
        let workspace = runtime.workspace
        workspace.scope {
            let pooled = FeatureMap(
                batch: x.batch, height: 1, width: 1, channels: proj.outputs,
                base: output.preLogits ?? workspace.floats(x.batch * proj.outputs))
            workspace.scope {
                let projected = x.like(channels: proj.outputs, workspace)
                proj(x, into: projected, on: runtime)
                globalAveragePool(projected, into: pooled, on: runtime)
            }
            guard let logits = output.logits else { return }
            let scores = FeatureMap(batch: x.batch, height: 1, width: 1, channels: head.outputs, base: logits)
            head(pooled, into: scores, on: runtime)
        }
    }

    func cost(tokens: Int) -> Cost { proj.cost(pixels: tokens) + head.cost(pixels: 1) }
}

extension PyramidNetwork.Configuration {
    /// The hyper-parameters that a user's file replaces. A file without `projection` and `num_classes` describes a
    /// dense-prediction backbone.
    ///
    /// - Throws: `ZooError` that names the hyper-parameter.
    func replaced(by file: Hyperparameters?) throws -> Self {
        guard var file else { return self }
        file.ignore("drop_path_rate", "layer_init_values", "head_dims", "ffn_dims", "eps")
        let dims = try file.integers("embed_dims", in: 1...8192) ?? embedDims
        let count = dims.count
        let depths = try file.integers("depths", in: 0...256, count: count) ?? self.depths
        let heads = try file.integers("num_heads", "heads", in: 1...1024, count: count) ?? self.heads
        let pattern = try file.words("attention_per_block", choices: ["linear", "softmax"], count: count)
        let result = Self(
            inputChannels: try file.integer("in_chans", in: 1...64) ?? 3, embedDims: dims, depths: depths,
            heads: heads, mlpRatios: try file.numbers("mlp_ratios", in: 0.01...64, count: count) ?? mlpRatios,
            layerScale: try file.bools("layer_scale_per_stage", "layerscales", count: count) ?? layerScale,
            isLinear: pattern.map { $0.map { $0.map { $0 == "linear" } } } ?? Self.releasedPattern(depths),
            projection: try file.integer("projection", in: 1...65536),
            classes: try file.integer("num_classes", in: 1...1_000_000) ?? 0)
        try file.finish()
        try result.validate()
        return result
    }

    private func validate() throws(ZooError) {
        func require(_ condition: Bool, _ name: String, _ expected: String) throws(ZooError) {
            guard condition else {
                throw ZooError(.badData, "hyper-parameters contradict each other", at: name, expected: expected)
            }
        }
        let counts = [depths.count, heads.count, mlpRatios.count, layerScale.count, isLinear.count]
        try require(counts.allSatisfy { $0 == embedDims.count }, "embed_dims", "as many entries as in the other lists")
        try require(embedDims[0].isMultiple(of: 2), "embed_dims", "an even first entry")
        for (dim, heads) in zip(embedDims, heads) {
            try require(dim.isMultiple(of: heads * 4), "num_heads", "a head dimension that is a multiple of 4")
        }
        for (dim, ratio) in zip(embedDims, mlpRatios) {
            try require(Int(ratio * Double(dim)) > 0, "mlp_ratios", "an FFN width of at least 1")
        }
        for (blocks, depth) in zip(isLinear, depths) {
            try require(blocks.count == depth, "attention_per_block", "one entry per block")
        }
        try require((projection == nil) == (classes == 0), "projection", "projection and num_classes, or neither")
    }
}

extension PyramidNetwork {
    /// The card of an embedded variant trained on the UCI digits: 8x8 pixels resized to 32x32.
    static func nanoCard(
        name: String, family: String, parameters: Int, gmacs: Double, attentionGmacs: Double, paper: String,
        code: String
    ) -> ModelCard {
        ModelCard(
            name: name, family: family, parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs,
            preprocessing: Preprocessing(
                inputHeight: 32, inputWidth: 32, cropPct: 1, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]),
            classes: 10, labels: "digits", paper: paper, code: code)
    }
}
