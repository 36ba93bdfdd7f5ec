import CKernels
import ZooCore

/// A linear layer over the channels of every pixel, the same thing as a 1x1 convolution:
/// `y = residual + scale * activation(norm(x) * weight^T + bias)`, every part but the product optional and fused.
package struct Linear: Sendable {
    private let name: String
    package let inputs: Int
    package let outputs: Int
    private let weight: PackedMatrix
    private let epilogue: Epilogue
    private let normEpsilon: Float

    /// Reads `weight`, [out, in] or the [out, in, 1, 1] of a 1x1 convolution, and `bias` [out].
    ///
    /// - Parameters:
    ///   - norm: a layer norm before the product; its affine part is folded into the weight.
    ///   - batchNorm: a batch norm after the product, folded into the weight.
    ///   - scale: per-channel layer scale, `nil` for none.
    package init(
        _ w: Weights, in inputs: Int, out outputs: Int, kernel: Kernel = .pointwise, norm: LayerNorm? = nil,
        batchNorm: BatchNorm? = nil, activation: Activation = .none, scale: [Float]? = nil
    ) {
        var weight = w.tensor("weight", [outputs, inputs] + kernel.trailing)
        var bias = w.tensor("bias", [outputs])
        if let batchNorm { (weight, bias) = batchNorm.folded(into: weight, bias: bias) }
        if let norm { (weight, bias) = norm.folded(into: weight, bias: bias) }
        name = w.path
        self.inputs = inputs
        self.outputs = outputs
        self.weight = PackedMatrix(weight, n: outputs, channels: inputs, precision: w.precision)
        self.epilogue = Epilogue(bias: bias, activation: activation, scale: scale)
        self.normEpsilon = norm?.epsilon ?? 0
    }

    /// How the checkpoint stores the weight.
    package enum Kernel: Sendable {
        /// [out, in]
        case linear
        /// [out, in, 1, 1]
        case pointwise

        fileprivate var trailing: [Int] { self == .linear ? [] : [1, 1] }
    }

    /// Writes to `output`, which must not overlap `x`; `residual` may be `output` itself.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil, on runtime: Runtime
    ) {
        let arguments = ck_gemm_args(
            rows: x.rows, n: outputs, k: inputs, x: x.base, x_stride: x.stride, norm_epsilon: normEpsilon,
            packed: weight.pointer, packed_bf16: weight.bf16Pointer, out: output.base, out_stride: output.stride,
            epilogue: epilogue.ck(residual: residual))
        runtime.run(arguments, in: name)
    }

    /// Multiply-adds over `pixels` pixels.
    package func cost(pixels: Int) -> Cost { Cost(convolutions: pixels * inputs * outputs) }
}
