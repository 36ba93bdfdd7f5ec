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

    /// What the norm does to the channels of each image of `x`, from the workspace; one pass over `x`.
    package func factors(of x: FeatureMap, on runtime: Runtime) -> ChannelFactors {
        let count = x.batch * channels
        let result = ChannelFactors(
            factor: runtime.workspace.floats(count), offset: runtime.workspace.floats(count))
        weight.withUnsafeBufferPointer { gamma in
            bias.withUnsafeBufferPointer { beta in
                let norm = ck_group_norm_args(
                    batch: x.batch, pixels: x.tokens, channels: channels, groups: groups, x: x.base,
                    x_stride: x.stride, gamma: gamma.baseAddress, beta: beta.baseAddress, epsilon: epsilon, silu: 0,
                    out: nil, out_stride: 0)
                runtime.run(
                    ck_group_norm_factors_args(norm: norm, factor: result.factor, offset: result.offset), in: name)
            }
        }
        return result
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
