import CKernels
import Foundation
import ZooCore

/// Shift, scale and gate of one modulated layer, for every image of a batch.
package struct Modulation {
    private let base: UnsafePointer<Float>
    private let stride: Int
    private let width: Int

    /// - Parameters:
    ///   - vectors: (batch, parts * width); a scale is stored as 1 + scale.
    ///   - first: the part that is the shift; scale and gate follow it.
    package init(_ vectors: FeatureMap, first: Int = 0, width: Int) {
        base = UnsafePointer(vectors.base + first * width)
        stride = vectors.stride
        self.width = width
    }

    /// One factor per channel for what the layer adds to an image.
    package func gate(_ image: Int) -> UnsafePointer<Float> { base + image * stride + 2 * width }

    /// `linear((1 + scale) * norm(x) + shift)`: a layer norm without affine part of its own, eps 1e-6.
    package func apply(_ linear: Linear, to x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        let affine = ck_norm_affine(scale: base + width, shift: base, rows: x.tokens, stride: stride)
        linear(x, into: output, norm: (1e-6, affine), on: runtime)
    }

    /// `x += gate * linear(y)`
    fileprivate func add(_ linear: Linear, of y: FeatureMap, to x: FeatureMap, on runtime: Runtime) {
        for image in 0..<x.batch {
            let own = x.images(image..<image + 1)
            linear(y.images(image..<image + 1), into: own, scale: gate(image), residual: own, on: runtime)
        }
    }
}

extension Linear {
    /// The layer from a condition vector to `parts` modulation vectors. The 1 of `1 + scale` becomes part of the bias of
    /// those that are scales.
    package static func modulation(_ w: Weights, width: Int, parts: Int, scales: Set<Int>) -> Linear {
        let weight = w.tensor("weight", [parts * width, width])
        var bias = w.tensor("bias", [parts * width])
        for index in bias.indices where scales.contains(index / width) { bias[index] += 1 }
        return Linear(
            name: w.path, weight: weight, bias: bias, outputs: parts * width, in: width, norm: nil,
            precision: w.precision)
    }

    /// The vectors of every image of a batch, from the workspace.
    package func vectors(of condition: FeatureMap, on runtime: Runtime) -> FeatureMap {
        let vectors = condition.like(channels: outputs, runtime.workspace)
        self(condition, into: vectors, on: runtime)
        return vectors
    }
}

/// x / (1 + exp(-x))
package func silu(_ x: Float) -> Float { x / (1 + exp(-x)) }

/// The attention of a modulated block: `x += gate * proj(core(qkv((1 + scale) * norm(x) + shift)))`.
package struct ModulatedAttention: Sendable {
    /// What mixes the tokens.
    package enum Core: Sendable {
        case softmax(heads: Int)
        /// LiT's linear attention with a depthwise convolution of the values.
        case fewHead(FewHeadAttention)
    }

    private let core: Core
    private let qkv: Linear
    private let proj: Linear

    /// - Parameter qkv: queries, keys and values side by side.
    package init(qkv: Linear, core: Core, proj: Linear) {
        self.qkv = qkv
        self.core = core
        self.proj = proj
    }

    /// In place.
    package func callAsFunction(_ x: FeatureMap, modulation: Modulation, on runtime: Runtime) {
        let (workspace, width) = (runtime.workspace, x.channels)
        workspace.scope {
            let mixed = x.like(channels: width, workspace)
            let packed = x.like(channels: 3 * width, workspace)
            modulation.apply(qkv, to: x, into: packed, on: runtime)
            let (queries, keys) = (packed.columns(0..<width), packed.columns(width..<2 * width))
            let values = packed.columns(2 * width..<3 * width)
            switch core {
            case .softmax(let heads):
                AttentionCore.softmax(
                    queries: queries, keys: keys, values: values, heads: heads, rope: false, into: mixed, on: runtime)
            case .fewHead(let attention):
                attention(queries: queries, keys: keys, values: values, into: mixed, on: runtime)
            }
            modulation.add(proj, of: mixed, to: x, on: runtime)
        }
    }

    /// Multiply-adds of one image.
    package func cost(tokens: Int) -> Cost {
        let linear = qkv.cost(pixels: tokens) + proj.cost(pixels: tokens)
        switch core {
        case .softmax(let heads):
            return linear + AttentionCore.softmax.cost(tokens: tokens, heads: heads, headDim: proj.inputs / heads)
        case .fewHead(let attention): return linear + attention.cost(tokens: tokens)
        }
    }
}

/// The MLP of a modulated block: `x += gate * fc2(gelu(fc1((1 + scale) * norm(x) + shift)))`, tanh form of GELU.
package struct ModulatedMLP: Sendable {
    private let fc1: Linear
    private let fc2: Linear

    /// - Parameters:
    ///   - fc1, fc2: the scopes of the two layers' tensors.
    package init(fc1: Weights, fc2: Weights, width: Int, hidden: Int) {
        self.fc1 = Linear(fc1, in: width, out: hidden, kernel: .linear, activation: .geluTanh)
        self.fc2 = Linear(fc2, in: hidden, out: width, kernel: .linear)
    }

    /// In place.
    package func callAsFunction(_ x: FeatureMap, modulation: Modulation, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let hidden = x.packed(channels: fc1.outputs, workspace)
            modulation.apply(fc1, to: x, into: hidden, on: runtime)
            modulation.add(fc2, of: hidden, to: x, on: runtime)
        }
    }

    /// Multiply-adds of one image.
    package func cost(tokens: Int) -> Cost { fc1.cost(pixels: tokens) + fc2.cost(pixels: tokens) }
}

/// Non-overlapping patches of channels-first images, projected and given their position.
package struct PatchProjection: Sendable {
    private let channels: Int
    private let patch: Int
    private let projection: Linear

    /// Reads the convolution `weight` (width, channels, patch, patch) and `bias`.
    package init(_ w: Weights, channels: Int, patch: Int, width: Int) {
        self.channels = channels
        self.patch = patch
        projection = Linear(
            name: w.path, weight: w.tensor("weight", [width, channels, patch, patch]), bias: w.tensor("bias", [width]),
            outputs: width, in: channels * patch * patch, norm: nil, precision: w.precision)
    }

    /// The grid of tokens that images become.
    ///
    /// - Throws: `ZooError` of kind `usage` for sides that are no multiples of the patch.
    package func grid(of images: SampleBatch) throws(ZooError) -> (rows: Int, columns: Int) {
        guard images.height.isMultiple(of: patch), images.width.isMultiple(of: patch) else {
            throw ZooError(
                .usage, "samples don't fit the patches", expected: "sides that are multiples of \(patch)",
                found: "\(images.height)x\(images.width)")
        }
        return (images.height / patch, images.width / patch)
    }

    /// Tokens of images whose sides are multiples of the patch, from the workspace.
    ///
    /// - Parameter positions: [tokens][width], added to the tokens of every image.
    package func callAsFunction(
        _ images: SampleBatch, positions: UnsafePointer<Float>, on runtime: Runtime
    ) -> FeatureMap {
        let workspace = runtime.workspace
        func map(_ batch: Int, _ channels: Int) -> FeatureMap {
            FeatureMap(
                workspace, batch: batch, height: images.height / patch, width: images.width / patch, channels: channels)
        }
        let tokens = map(images.batch, projection.outputs)
        let table = FeatureMap(
            batch: 1, height: tokens.height, width: tokens.width, channels: projection.outputs,
            base: UnsafeMutablePointer(mutating: positions))
        workspace.scope {
            let patches = map(1, projection.inputs)
            for image in 0..<images.batch {
                gather(images.values + image * channels * images.height * images.width, into: patches)
                projection(patches, into: tokens.images(image..<image + 1), residual: table, on: runtime)
            }
        }
        return tokens
    }

    /// Every patch in the order (channel, row, column).
    private func gather(_ image: UnsafePointer<Float>, into patches: FeatureMap) {
        let (rows, columns) = (patches.height * patch, patches.width * patch)
        var to = patches.base
        for y in 0..<patches.height {
            for x in 0..<patches.width {
                for channel in 0..<channels {
                    for row in 0..<patch {
                        let from = image + (channel * rows + y * patch + row) * columns + x * patch
                        to.update(from: from, count: patch)
                        to += patch
                    }
                }
            }
        }
    }

    /// Multiply-adds of one image.
    package func cost(tokens: Int) -> Cost { projection.cost(pixels: tokens) }
}

/// Tokens of patch x patch x channels values, channels last, to images with channels first.
package func unpatchify(_ tokens: FeatureMap, patch: Int, into output: UnsafeMutablePointer<Float>) {
    let channels = tokens.channels / (patch * patch)
    let (height, width) = (tokens.height * patch, tokens.width * patch)
    for image in 0..<tokens.batch {
        for row in 0..<height {
            for column in 0..<width {
                let token = (image * tokens.height + row / patch) * tokens.width + column / patch
                let from = tokens.base + token * tokens.stride + (row % patch * patch + column % patch) * channels
                for channel in 0..<channels {
                    output[((image * channels + channel) * height + row) * width + column] = from[channel]
                }
            }
        }
    }
}

/// The fixed sine and cosine position table of DiT.
package enum PositionTable {
    /// [rows * columns][width], the column's half before the row's, sines before cosines.
    ///
    /// - Parameters:
    ///   - rowStep, columnStep: the distance of neighbouring tokens, 1 unless a table for another grid is stretched.
    ///   - table: room for rows * columns * width values.
    /// - Precondition: `width` is a multiple of 4.
    package static func fill(
        _ table: UnsafeMutablePointer<Float>, rows: Int, columns: Int, width: Int, rowStep: Double = 1,
        columnStep: Double = 1
    ) {
        let count = width / 4
        let frequencies = (0..<count).map { pow(10_000, -Double($0) / Double(count)) }
        for token in 0..<rows * columns {
            var half = table + token * width
            for coordinate in [Double(token % columns) * columnStep, Double(token / columns) * rowStep] {
                for (index, frequency) in frequencies.enumerated() {
                    half[index] = Float(sin(coordinate * frequency))
                    half[count + index] = Float(cos(coordinate * frequency))
                }
                half += 2 * count
            }
        }
    }
}

/// Timesteps as vectors: 256 cosines and sines of them, then two linear layers with SiLU between.
package struct TimestepEmbedder: Sendable {
    /// Of the features that the layers begin with.
    private static let features = 256
    private let first: Linear
    private let second: Linear

    /// - Parameters:
    ///   - first, second: the scopes of the two layers' tensors.
    package init(_ first: Weights, _ second: Weights, width: Int) {
        self.first = Linear(first, in: Self.features, out: width, kernel: .linear, activation: .silu)
        self.second = Linear(second, in: width, out: width, kernel: .linear)
    }

    /// (batch, width), from the workspace.
    package func callAsFunction(_ timesteps: [Float], on runtime: Runtime) -> FeatureMap {
        let workspace = runtime.workspace
        func rows(_ channels: Int) -> FeatureMap {
            FeatureMap(workspace, batch: timesteps.count, height: 1, width: 1, channels: channels)
        }
        let embedded = rows(second.outputs)
        workspace.scope {
            let features = rows(Self.features)
            let hidden = rows(first.outputs)
            for row in timesteps.indices {
                TimestepFeatures.fill(
                    features.base + row * features.stride, width: Self.features, timestep: timesteps[row])
            }
            first(features, into: hidden, on: runtime)
            second(hidden, into: embedded, on: runtime)
        }
        return embedded
    }

    /// Multiply-adds of one image.
    package var cost: Cost { first.cost(pixels: 1) + second.cost(pixels: 1) }
}
