import CKernels
import ZooCore

/// Group norm over all pixels of an image and the channels of a group, biased variance, and SiLU after it where asked
/// for. Reads `weight` and `bias` [channels].
package struct GroupNorm: Sendable {
    private let name: String
    private let epsilon: Float
    private let channels: Int
    private let groups: Int
    private let silu: Bool
    private let weight: [Float]
    private let bias: [Float]

    /// - Parameter groups: divides `channels`.
    package init(_ w: Weights, channels: Int, groups: Int, epsilon: Float, silu: Bool = false) {
        name = w.path
        self.channels = channels
        self.groups = groups
        self.epsilon = epsilon
        self.silu = silu
        weight = w.tensor("weight", [channels])
        bias = w.tensor("bias", [channels])
    }

    /// Writes to `output`, which has the shape of `x` and may be `x` itself.
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        weight.withUnsafeBufferPointer { gamma in
            bias.withUnsafeBufferPointer { beta in
                let arguments = ck_group_norm_args(
                    batch: x.batch, pixels: x.tokens, channels: channels, groups: groups, x: x.base,
                    x_stride: x.stride, gamma: gamma.baseAddress, beta: beta.baseAddress, epsilon: epsilon,
                    silu: silu ? 1 : 0, out: output.base, out_stride: output.stride)
                runtime.run(arguments, in: name)
            }
        }
    }
}
