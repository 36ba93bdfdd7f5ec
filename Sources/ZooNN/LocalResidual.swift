import CKernels
import ZooCore

/// The local residual of InLine attention (arXiv 2412.06590): a depthwise 3x3 filter that every image predicts for
/// itself from its mean token, applied to the values.
package struct LocalResidual: Sendable {
    private let name: String
    private let channels: Int
    private let heads: Int
    /// Of the layer norm whose output is averaged; 0 where the input itself is.
    private let normEpsilon: Float
    private let hiddenWeight: PackedWeight
    private let hiddenBias: PackedWeight
    private let weight: PackedWeight
    private let bias: PackedWeight
    /// Added to every output pixel.
    private let offset: PackedWeight?

    /// Reads `0.weight` [C, d, 1], `0.bias` [C], `2.weight` [9 C, d, 1] and `2.bias` [9 C] of a predictor in `heads`
    /// groups of d channels.
    ///
    /// - Parameters:
    ///   - norm: the layer norm between the input and the mean; its affine part goes into the first layer.
    ///   - fixed: the scope of a learned depthwise 3x3 convolution over the same values, `weight` [C, 1, 3, 3] and
    ///     `bias` [C]. The sum of the two is one filter, so it costs nothing: its taps go into the second layer's bias.
    package init(_ w: Weights, channels: Int, heads: Int, norm: LayerNorm? = nil, adding fixed: Weights? = nil) {
        let headDim = channels / heads
        let taps = Int(CK_FILTER_TAPS)
        var hidden = (weight: w["0"].tensor("weight", [channels, headDim, 1]), bias: w["0"].tensor("bias", [channels]))
        if let norm { hidden = norm.folded(into: hidden.weight, bias: hidden.bias, groups: heads) }
        let outputs = w["2"].tensor("weight", [taps * channels, headDim, 1])
        var bias = w["2"].tensor("bias", [taps * channels])
        if let fixed {
            bias = zip(bias, fixed.tensor("weight", [channels, 1, 3, 3])).map { Float(Double($0) + Double($1)) }
        }
        name = w.path
        self.channels = channels
        self.heads = heads
        normEpsilon = norm?.epsilon ?? 0
        hiddenWeight = PackedWeight(Self.inputMajor(hidden.weight, groups: heads, matrices: 1, size: headDim))
        hiddenBias = PackedWeight(hidden.bias)
        weight = PackedWeight(Self.inputMajor(outputs, groups: heads, matrices: taps, size: headDim))
        self.bias = PackedWeight(DepthwiseConv2d.tapMajor(bias, channels: channels))
        offset = fixed.map { PackedWeight($0.tensor("bias", [channels])) }
    }

    /// [groups][out][matrices][in] to [groups][matrices][in][out].
    private static func inputMajor(_ weight: [Float], groups: Int, matrices: Int, size: Int) -> [Float] {
        guard !weight.isEmpty else { return [] }
        var result = weight
        var to = 0
        for group in 0..<groups {
            for matrix in 0..<matrices {
                for input in 0..<size {
                    for output in 0..<size {
                        result[to] = weight[((group * size + output) * matrices + matrix) * size + input]
                        to += 1
                    }
                }
            }
        }
        return result
    }

    /// Writes the filtered values to `output`.
    ///
    /// - Parameters:
    ///   - x: [batch, tokens, C], what the filters are predicted from: all its tokens.
    ///   - values: [batch, tokens, C]; may lie in a packed projection.
    ///   - grid: the last height * width tokens of an image form this grid; a class token before them gets zeros.
    package func callAsFunction(
        _ x: FeatureMap, values: FeatureMap, grid: (height: Int, width: Int), into output: FeatureMap,
        on runtime: Runtime
    ) {
        runtime.workspace.scope {
            apply(filters(of: x, on: runtime), to: values, grid: grid, into: output, on: runtime)
        }
    }

    /// Every image's filter: [batch, 3, 3, C] from the workspace.
    package func filters(of x: FeatureMap, on runtime: Runtime) -> FeatureMap {
        let workspace = runtime.workspace
        let filters = FeatureMap(workspace, batch: x.batch, height: 3, width: 3, channels: channels)
        workspace.scope {
            let mean = FeatureMap(workspace, batch: x.batch, height: 1, width: 1, channels: channels)
            if normEpsilon > 0 {
                let arguments = ck_norm_mean_args(
                    batch: x.batch, tokens: x.tokens, channels: channels, x: x.base, x_stride: x.stride,
                    epsilon: normEpsilon, out: mean.base)
                runtime.run(arguments, in: name)
            } else {
                globalAveragePool(x, into: mean, on: runtime)
            }
            let arguments = ck_filters_args(
                batch: x.batch, groups: heads, group_channels: channels / heads, x: mean.base,
                hidden_weight: hiddenWeight.pointer, hidden_bias: hiddenBias.pointer, weight: weight.pointer,
                bias: bias.pointer, out: filters.base)
            runtime.run(arguments, in: name)
        }
        return filters
    }

    /// Applies to each image its own filter.
    package func apply(
        _ filters: FeatureMap, to values: FeatureMap, grid: (height: Int, width: Int), into output: FeatureMap,
        on runtime: Runtime
    ) {
        let before = values.tokens - grid.height * grid.width
        for image in 0..<values.batch {
            let first = image * values.tokens
            for token in first..<first + before {
                (output.base + token * output.stride).update(repeating: 0, count: channels)
            }
            let arguments = ck_dwconv_args(
                batch: 1, height: grid.height, width: grid.width, channels: channels, kernel: 3,
                window_height: grid.height, window_width: grid.width,
                x: values.base + (first + before) * values.stride, x_stride: values.stride,
                weight: filters.images(image..<image + 1).base, bias: offset?.pointer, add_input: 0,
                out: output.base + (first + before) * output.stride, out_stride: output.stride)
            runtime.run(arguments, in: name)
        }
    }

    /// Multiply-adds of one image with `pixels` pixels: the predictor's and, as the definition has it, those of each
    /// convolution.
    package func cost(pixels: Int) -> Cost {
        let taps = Int(CK_FILTER_TAPS)
        let convolutions = offset == nil ? 1 : 2
        return Cost(convolutions: (1 + taps) * channels * (channels / heads) + convolutions * taps * channels * pixels)
    }
}
