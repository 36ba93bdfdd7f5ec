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

    /// Writes the normalised map to `output`, which has the shape of `x`.
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        weight.withUnsafeBufferPointer { gamma in
            bias.withUnsafeBufferPointer { beta in
                let arguments = ck_layer_norm_args(
                    rows: x.rows, channels: channels, x: x.base, x_stride: x.stride, gamma: gamma.baseAddress,
                    beta: beta.baseAddress, epsilon: epsilon, out: output.base, out_stride: output.stride)
                runtime.run(arguments, in: name)
            }
        }
    }

    /// The weight [out][channels] and bias of a linear layer that takes `(x - mean) / sqrt(variance + epsilon)` and
    /// does this norm's affine part itself; the kernel normalises while it packs its rows. Exact in float64.
    package func folded(into weight: [Float], bias: [Float]) -> (weight: [Float], bias: [Float]) {
        guard !weight.isEmpty else { return (weight, bias) }
        var folded = weight
        var shifted = bias
        for out in bias.indices {
            var sum = Double(bias[out])
            for channel in 0..<channels {
                let index = out * channels + channel
                sum += Double(weight[index]) * Double(self.bias[channel])
                folded[index] = Float(Double(weight[index]) * Double(self.weight[channel]))
            }
            shifted[out] = Float(sum)
        }
        return (folded, shifted)
    }
}
