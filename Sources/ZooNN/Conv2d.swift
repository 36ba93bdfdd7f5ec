import CKernels
import ZooCore

/// A dense 2-D convolution with zero padding, batch norm folded in, activation fused.
package struct Conv2d: Sendable {
    private let name: String
    package let inputs: Int
    package let outputs: Int
    private let kernel: Int
    private let stride: Int
    private let padding: Int
    private let weight: PackedMatrix
    private let epilogue: Epilogue

    /// Reads `weight` [out, in, kernel, kernel] and `bias` [out].
    package init(
        _ w: Weights, in inputs: Int, out outputs: Int, kernel: Int, stride: Int, padding: Int,
        batchNorm: BatchNorm? = nil, activation: Activation = .none
    ) {
        var weight = w.tensor("weight", [outputs, inputs, kernel, kernel])
        var bias = w.tensor("bias", [outputs])
        if let batchNorm { (weight, bias) = batchNorm.folded(into: weight, bias: bias) }
        name = w.path
        self.inputs = inputs
        self.outputs = outputs
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        let taps = kernel * kernel
        self.weight = PackedMatrix(
            Self.channelsLast(weight, k: taps * inputs, inputs: inputs), n: outputs, taps: taps, channels: inputs,
            precision: w.precision)
        self.epilogue = Epilogue(bias: bias, activation: activation, scale: nil)
    }

    /// [out][in][ky][kx] to [out][ky][kx][in].
    private static func channelsLast(_ weight: [Float], k: Int, inputs: Int) -> [Float] {
        let taps = k / inputs
        var result = weight
        for out in 0..<(weight.count / max(k, 1)) {
            for channel in 0..<inputs {
                for tap in 0..<taps {
                    result[out * k + tap * inputs + channel] = weight[out * k + channel * taps + tap]
                }
            }
        }
        return result
    }

    /// Rows or columns of the output over `size` rows or columns of input.
    package func outputSize(_ size: Int) -> Int { ck_conv_output(size, kernel, stride, padding) }

    /// Writes to `output`, [batch, outputSize(height), outputSize(width), outputs], and adds `residual` of that shape.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil, on runtime: Runtime
    ) {
        let arguments = ck_conv_args(
            batch: x.batch, height: x.height, width: x.width, channels: inputs, out_channels: outputs,
            kernel_height: kernel, kernel_width: kernel, stride: stride, padding: padding, x: x.base,
            x_stride: x.stride, packed: weight.pointer, packed_bf16: weight.bf16Pointer, out: output.base,
            out_stride: output.stride, epilogue: epilogue.ck(residual: residual))
        runtime.run(arguments, in: name)
    }

    /// A map of the right shape for the output, from the workspace.
    package func output(for x: FeatureMap, _ workspace: Workspace) -> FeatureMap {
        FeatureMap(
            workspace, batch: x.batch, height: outputSize(x.height), width: outputSize(x.width), channels: outputs)
    }

    /// Multiply-adds for `pixels` output pixels.
    package func cost(pixels: Int) -> Cost { Cost(convolutions: pixels * outputs * inputs * kernel * kernel) }
}
