import ZooCore
import ZooNN

/// L2ViT: a pyramid of blocks in pairs, softmax attention inside windows and linear attention over the whole map.
///
/// - Paper: Zheng, "The Linear Attention Resurrection in Vision Transformer", arXiv 2501.16182.
/// - Code: github.com/ChuanyangZheng/L2ViT (MIT), `classification/models/l2vit.py`; tensor names are those of its
///   checkpoints, which lie under the key `model` or `model_ema`.
/// - There is no position embedding: images of any size work. The divisor of the linear attention is at least 100, as in
///   the code that the released weights were trained with.
public enum L2ViT {
    static let family = ModelFamily(
        name: "l2vit", aliases: [], defaultVariant: "l2vit-tiny", cards: cards,
        build: { variant, hyperparameters, weights in
            network(try configuration(of: variant).replaced(by: hyperparameters), weights)
        },
        isBuffer: { $0.hasSuffix(".num_batches_tracked") })

    private static let cards: [ModelCard] = [
        card("tiny", parameters: 28_596_781, gmacs: 4.572, attentionGmacs: 0.117, top1: 83.1),
        card("small", parameters: 50_199_157, gmacs: 8.790, attentionGmacs: 0.191, top1: 84.1),
        card("base", parameters: 88_577_188, gmacs: 15.554, attentionGmacs: 0.255, top1: 84.4),
        card("base-384", size: 384, parameters: 88_577_188, gmacs: 45.708, attentionGmacs: 1.618, top1: 87.0),
    ]

    private static func card(
        _ size: String, size side: Int = 224, parameters: Int, gmacs: Double, attentionGmacs: Double, top1: Double
    ) -> ModelCard {
        let words = size.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }
        return ModelCard(
            name: "l2vit-\(size)", aliases: ["L2ViT_\(words.joined(separator: "_"))"], family: "l2vit",
            parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs,
            preprocessing: Preprocessing(
                inputHeight: side, inputWidth: side, cropPct: side == 224 ? 0.875 : 1,
                cropMode: side == 224 ? .center : .squash),
            classes: 1000, labels: "imagenet-1k",
            paper: "The Linear Attention Resurrection in Vision Transformer, arXiv 2501.16182",
            code: "github.com/ChuanyangZheng/L2ViT", publishedTop1: top1,
            checkpoint: PublishedCheckpoint(page: "github.com/ChuanyangZheng/L2ViT", file: nil, licence: "MIT"))
    }

    /// The hyper-parameters, lists with one entry per stage.
    private struct Configuration: Sendable {
        var depths: [Int]
        var channels: [Int]
        var heads: [Int]
        /// Side of the softmax blocks' windows.
        var window = 7
        var mlpRatio = 4
        var classes = 1000

        func replaced(by hyperparameters: Hyperparameters?) throws(ZooError) -> Configuration {
            guard var given = hyperparameters else { return self }
            var own = self
            own.depths = try given.integers("depths", in: 1...64) ?? depths
            let count = own.depths.count
            own.channels = try given.integers("dims", "embed_dims", in: 1...8192, count: count) ?? channels
            own.heads = try given.integers("heads", "num_heads", in: 1...256, count: count) ?? heads
            own.window = try given.integer("window", "window_size", in: 1...256) ?? window
            own.mlpRatio = try given.integer("mlp_ratio", in: 1...64) ?? mlpRatio
            own.classes = try given.integer("num_classes", in: 1...1_000_000) ?? classes
            try given.finish()
            for stage in 0..<count {
                guard own.channels.count == count, own.heads.count == count else {
                    throw ZooError(.badData, "hyper-parameter has another length", at: "dims", expected: "\(count)")
                }
                guard own.channels[stage].isMultiple(of: own.heads[stage]), own.channels[0].isMultiple(of: 2) else {
                    throw ZooError(
                        .badData, "hyper-parameter does not fit", at: "heads",
                        expected: "a divisor of dims, even at first",
                        found: "\(own.heads[stage]) of \(own.channels[stage])")
                }
            }
            return own
        }
    }

    private static func configuration(of variant: String) -> Configuration {
        let tiny = Configuration(depths: [2, 2, 6, 2], channels: [96, 192, 384, 768], heads: [3, 6, 12, 24])
        switch variant {
        case "l2vit-small":
            return Configuration(depths: [2, 2, 18, 2], channels: tiny.channels, heads: tiny.heads)
        case "l2vit-base", "l2vit-base-384":
            return Configuration(
                depths: [2, 2, 18, 2], channels: [128, 256, 512, 1024], heads: [4, 8, 16, 32],
                window: variant.hasSuffix("384") ? 12 : 7)
        default: return tiny
        }
    }

    private static func network(_ configuration: Configuration, _ w: Weights) -> PyramidClassifier<Stage> {
        let last = configuration.channels[configuration.channels.count - 1]
        return PyramidClassifier(
            inputChannels: 3, stages: configuration.depths.indices.map { Stage(w, configuration, index: $0) },
            norm: LayerNorm(w["norm"], channels: last, epsilon: 1e-5),
            head: Linear(w["head"], in: last, out: configuration.classes, kernel: .linear))
    }

    /// A coarser map and blocks: window attention at even positions, linear attention at odd ones.
    private struct Stage: PyramidStage {
        private enum Embedding: Sendable {
            case stem(Stem)
            case halving(Halving)
        }

        enum Block: PyramidBlock {
            case window(L2ViTWindowBlock)
            case linear(L2ViTLinearBlock)

            func callAsFunction(_ x: FeatureMap, on runtime: Runtime) {
                switch self {
                case .window(let block): block(x, on: runtime)
                case .linear(let block): block(x, on: runtime)
                }
            }

            func cost(height: Int, width: Int) -> Cost {
                switch self {
                case .window(let block): block.cost(height: height, width: width)
                case .linear(let block): block.cost(tokens: height * width)
                }
            }
        }

        let channels: Int
        private let embedding: Embedding
        let blocks: [Block]

        init(_ w: Weights, _ configuration: Configuration, index: Int) {
            let (channels, heads) = (configuration.channels[index], configuration.heads[index])
            let scope = w["downsample_layers"][index]
            self.channels = channels
            embedding =
                index == 0
                ? .stem(Stem(scope, channels: channels))
                : .halving(Halving(scope, in: configuration.channels[index - 1], out: channels))
            blocks = (0..<configuration.depths[index]).map { block in
                let scope = w["stages"][index][block]
                let hidden = channels * configuration.mlpRatio
                return block.isMultiple(of: 2)
                    ? .window(
                        L2ViTWindowBlock(
                            scope, channels: channels, heads: heads, hidden: hidden, window: configuration.window))
                    : .linear(L2ViTLinearBlock(scope, channels: channels, heads: heads, hidden: hidden))
            }
        }

        func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
            switch embedding {
            case .stem: ((height + 3) / 4, (width + 3) / 4)
            case .halving: ((height + 1) / 2, (width + 1) / 2)
            }
        }

        func embed(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime) {
            switch embedding {
            case .stem(let stem): stem(x, into: map, on: runtime)
            case .halving(let halving): halving(x, into: map, on: runtime)
            }
        }

        func embeddingCost(pixels: Int) -> Cost {
            switch embedding {
            case .stem(let stem): stem.cost(pixels: pixels)
            case .halving(let halving): halving.cost(pixels: pixels)
            }
        }
    }

    /// Two 3x3 convolutions of stride 2 with batch norm, ReLU between them, and a layer norm.
    private struct Stem: Sendable {
        private let first: Conv2d
        private let second: Conv2d
        private let norm: LayerNorm

        init(_ w: Weights, channels: Int) {
            let proj = w["proj"]["proj"]
            first = Conv2d(
                proj[0], in: 3, out: channels / 2, kernel: 3, stride: 2, padding: 1,
                batchNorm: BatchNorm(proj[1], channels: channels / 2))
            second = Conv2d(
                proj[3], in: channels / 2, out: channels, kernel: 3, stride: 2, padding: 1,
                batchNorm: BatchNorm(proj[4], channels: channels))
            norm = LayerNorm(w["norm"], channels: channels, epsilon: 1e-5)
        }

        func callAsFunction(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime) {
            let workspace = runtime.workspace
            workspace.scope {
                let padded = x.padded(toMultiplesOf: 4, workspace)
                let hidden = first.output(for: padded, workspace)
                first(padded, into: hidden, on: runtime)
                let rows = HeadMap(hidden, heads: 1)
                RowMap.relu(offset: 0)(rows, into: rows, on: runtime)
                second(hidden, into: map, on: runtime)
                norm(map, into: map, on: runtime)
            }
        }

        func cost(pixels: Int) -> Cost { first.cost(pixels: 4 * pixels) + second.cost(pixels: pixels) }
    }

    /// Layer norm and a 2x2 convolution of stride 2.
    private struct Halving: Sendable {
        private let norm: LayerNorm
        private let proj: Conv2d

        init(_ w: Weights, in inputs: Int, out outputs: Int) {
            norm = LayerNorm(w["norm"], channels: inputs, epsilon: 1e-5)
            proj = Conv2d(w["proj"], in: inputs, out: outputs, kernel: 2, stride: 2, padding: 0)
        }

        func callAsFunction(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime) {
            let workspace = runtime.workspace
            workspace.scope {
                let normed = x.like(channels: x.channels, workspace)
                norm(x, into: normed, on: runtime)
                proj(normed.padded(toMultiplesOf: 2, workspace), into: map, on: runtime)
            }
        }

        func cost(pixels: Int) -> Cost { proj.cost(pixels: pixels) }
    }
}

/// Softmax attention inside windows, between two depthwise convolutions that carry positions.
package struct L2ViTWindowBlock: Sendable {
    private let channels: Int
    private let heads: Int
    private let window: Int
    private let firstPosition: DepthwiseConv2d
    private let secondPosition: DepthwiseConv2d
    private let qkv: Linear
    private let proj: Linear
    private let mlp: MLP
    private let core = AttentionCore.softmax

    /// Reads `cpe.0.proj`, `norm1`, `attn.qkv`, `attn.proj`, `cpe.1.proj`, `norm2` and `mlp`.
    package init(_ w: Weights, channels: Int, heads: Int, hidden: Int, window: Int) {
        self.channels = channels
        self.heads = heads
        self.window = window
        firstPosition = DepthwiseConv2d(w["cpe"][0]["proj"], channels: channels, kernel: 3, residual: true)
        let norm = LayerNorm(w["norm1"], channels: channels, epsilon: 1e-5)
        qkv = Linear(w["attn"]["qkv"], in: channels, out: 3 * channels, kernel: .linear, norm: norm)
        proj = Linear(w["attn"]["proj"], in: channels, out: channels, kernel: .linear)
        secondPosition = DepthwiseConv2d(w["cpe"][1]["proj"], channels: channels, kernel: 3, residual: true)
        mlp = MLP(
            w["mlp"], channels: channels, hidden: hidden, norm: LayerNorm(w["norm2"], channels: channels, epsilon: 1e-5)
        )
    }

    /// Refines a map in place.
    package func callAsFunction(_ x: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let y = x.like(channels: channels, workspace)
            firstPosition(x, into: y, on: runtime)
            workspace.scope {
                let mixed = x.like(channels: channels, workspace)
                let packed = x.packed(channels: 3 * channels, workspace)
                qkv(y, into: packed, on: runtime)
                var windows = AttentionWindows(height: window, width: window)
                // The padding lies behind the norm: its keys and values are what the projection makes of zeros.
                windows.outsideKey = qkv.bias.pointer + channels
                windows.outsideValue = qkv.bias.pointer + 2 * channels
                core(
                    queries: packed.columns(0..<channels), keys: packed.columns(channels..<2 * channels),
                    values: packed.columns(2 * channels..<3 * channels), heads: heads, rope: false, windows: windows,
                    into: mixed, on: runtime)
                proj(mixed, into: y, residual: y, on: runtime)
            }
            secondPosition(y, into: x, on: runtime)
        }
        mlp(addingTo: x, on: runtime)
    }

    /// Multiply-adds for one image whose map has this size.
    package func cost(height: Int, width: Int) -> Cost {
        let (tokens, own) = (height * width, window * window)
        let windows = ((height + window - 1) / window) * ((width + window - 1) / window)
        return firstPosition.cost(pixels: tokens) + secondPosition.cost(pixels: tokens) + qkv.cost(pixels: tokens)
            + proj.cost(pixels: tokens) + mlp.cost(tokens: tokens)
            + core.cost(tokens: own, heads: windows * heads, headDim: channels / heads)
    }
}

/// Linear attention over the whole map, then two large depthwise convolutions.
package struct L2ViTLinearBlock: Sendable {
    private let position: DepthwiseConv2d
    private let attention: AttentionLayer<LinearAttention>
    private let localNorm: LayerNorm
    private let local1: DepthwiseConv2d
    private let local2: DepthwiseConv2d
    /// The batch norm between GELU and the second convolution. It is not folded into that one, whose zero padding lies
    /// behind the norm.
    private let localScale: PackedWeight
    private let localShift: PackedWeight
    private let mlp: MLP

    /// Reads `cpe.0.proj`, `norm1`, `attn` with `temperature` [heads, 1, 1], `norm3`, `local_mp.conv1`, `local_mp.bn`,
    /// `local_mp.conv2`, `norm2` and `mlp`.
    package init(_ w: Weights, channels: Int, heads: Int, hidden: Int) {
        func norm(_ name: String) -> LayerNorm { LayerNorm(w[name], channels: channels, epsilon: 1e-5) }
        position = DepthwiseConv2d(w["cpe"][0]["proj"], channels: channels, kernel: 3, residual: true)
        let mixer = LinearAttention.l2vit(scale: PackedWeight(w["attn"].tensor("temperature", [heads, 1, 1])))
        attention = AttentionLayer(qkv: w["attn"], mixer, channels: channels, heads: heads, norm: norm("norm1"))
        localNorm = norm("norm3")
        let local = w["local_mp"]
        local1 = DepthwiseConv2d(local["conv1"], channels: channels, kernel: 7, residual: false)
        local2 = DepthwiseConv2d(local["conv2"], channels: channels, kernel: 7, residual: false)
        let batchNorm = BatchNorm(local["bn"], channels: channels)
        (localScale, localShift) = (PackedWeight(batchNorm.scales), PackedWeight(batchNorm.shifts))
        mlp = MLP(w["mlp"], channels: channels, hidden: hidden, norm: norm("norm2"))
    }

    /// Refines a map in place.
    package func callAsFunction(_ x: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let (y, z) = (x.like(channels: x.channels, workspace), x.like(channels: x.channels, workspace))
            position(x, into: y, on: runtime)
            attention(y, into: y, residual: y, on: runtime)
            localNorm(y, into: x, on: runtime)
            local1(x, into: z, on: runtime)
            let rows = HeadMap(z, heads: 1)
            RowMap.gelu(weight: localScale, shift: localShift)(rows, into: rows, on: runtime)
            local2(z, into: x, on: runtime)
            for index in 0..<x.rows * x.channels { x.base[index] += y.base[index] }
        }
        mlp(addingTo: x, on: runtime)
    }

    /// Multiply-adds for one image of some tokens.
    package func cost(tokens: Int) -> Cost {
        [position, local1, local2].reduce(attention.cost(tokens: tokens) + mlp.cost(tokens: tokens)) {
            $0 + $1.cost(pixels: tokens)
        }
    }
}

extension FeatureMap {
    /// The map with zeros to the right and below up to whole multiples of `step`; the map itself where it has them.
    fileprivate func padded(toMultiplesOf step: Int, _ workspace: Workspace) -> FeatureMap {
        let (tall, wide) = ((height + step - 1) / step * step, (width + step - 1) / step * step)
        if (tall, wide) == (height, width) { return self }
        let padded = FeatureMap(workspace, batch: batch, height: tall, width: wide, channels: channels)
        padded.base.update(repeating: 0, count: padded.rows * channels)
        for image in 0..<batch {
            for y in 0..<height {
                for x in 0..<width {
                    let to = padded.base + ((image * tall + y) * wide + x) * channels
                    to.update(from: base + ((image * height + y) * width + x) * stride, count: channels)
                }
            }
        }
        return padded
    }
}
