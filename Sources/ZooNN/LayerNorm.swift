import CKernels
import ZooCore

/// Layer norm over the channels of each pixel, biased variance. Reads `weight` and `bias` [channels].
package struct LayerNorm: Sendable {
    private let name: String
    package let epsilon: Float
    package let channels: Int
    private let weight: [Float]
    private let bias: [Float]

    package init(_ w: Weights, channels: Int, epsilon: Float) {
        name = w.path
        self.channels = channels
        self.epsilon = epsilon
        weight = w.tensor("weight", [channels])
        bias = w.tensor("bias", [channels])
    }

    /// Writes `norm(x) + residual` to `output`, which has the shape of `x` and may be `x` itself.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil, on runtime: Runtime
    ) {
        weight.withUnsafeBufferPointer { gamma in
            bias.withUnsafeBufferPointer { beta in
                let arguments = ck_layer_norm_args(
                    rows: x.rows, channels: channels, x: x.base, x_stride: x.stride, gamma: gamma.baseAddress,
                    beta: beta.baseAddress, epsilon: epsilon,
                    residual: residual.map { UnsafePointer($0.base) }, residual_stride: residual?.stride ?? 0,
                    out: output.base, out_stride: output.stride)
                runtime.run(arguments, in: name)
            }
        }
    }

    /// The weight [out][channels / groups] and bias of a linear layer that takes
    /// `(x - mean) / sqrt(variance + epsilon)` and does this norm's affine part itself; the kernel normalises while it
    /// packs its rows. Exact in float64.
    ///
    /// - Parameter groups: of a grouped layer, whose outputs see the channels of their group only.
    package func folded(
        into weight: [Float], bias: [Float], groups: Int = 1
    ) -> (weight: [Float], bias: [Float]) {
        guard !weight.isEmpty else { return (weight, bias) }
        let inputs = channels / groups
        var folded = weight
        var shifted = bias
        for out in bias.indices {
            let first = out / (bias.count / groups) * inputs
            var sum = Double(bias[out])
            for channel in first..<first + inputs {
                let index = out * inputs + channel - first
                sum += Double(weight[index]) * Double(self.bias[channel])
                folded[index] = Float(Double(weight[index]) * Double(self.weight[channel]))
            }
            shifted[out] = Float(sum)
        }
        return (folded, shifted)
    }
}
