import CKernels
import ZooCore

/// A linear layer over the channels of every pixel, the same thing as a 1x1 convolution:
/// `y = residual + scale * activation(norm(x) * weight^T + bias)`, every part but the product optional and fused.
package struct Linear: Sendable {
    private let name: String
    package let inputs: Int
    package let outputs: Int
    /// What the layer gives for a row of zeros behind its norm: the bias of the checkpoint.
    package let bias: PackedWeight
    private let weight: PackedMatrix
    private let epilogue: Epilogue
    private let normEpsilon: Float

    /// Reads `weight`, [out, in] or the [out, in, 1, 1] of a 1x1 convolution, and `bias` [out].
    ///
    /// - Parameters:
    ///   - hasBias: whether the checkpoint has a bias.
    ///   - norm: a layer norm before the product; its affine part is folded into the weight.
    ///   - batchNorm: a batch norm after the product, folded into the weight.
    ///   - scale: per-channel layer scale, `nil` for none.
    package init(
        _ w: Weights, in inputs: Int, out outputs: Int, kernel: Kernel = .pointwise, hasBias: Bool = true,
        norm: LayerNorm? = nil, batchNorm: BatchNorm? = nil, activation: Activation = .none, scale: [Float]? = nil
    ) {
        var weight = w.tensor("weight", [outputs, inputs] + kernel.trailing)
        var bias = hasBias ? w.tensor("bias", [outputs]) : [Float](repeating: 0, count: outputs)
        if let batchNorm { (weight, bias) = batchNorm.folded(into: weight, bias: bias) }
        self.init(
            name: w.path, weight: weight, bias: bias, outputs: outputs, in: inputs, norm: norm, activation: activation,
            scale: scale, precision: w.precision)
    }

    /// Reads several linear layers over the same input as one, their outputs side by side.
    package init(joining parts: [(w: Weights, outputs: Int)], in inputs: Int, norm: LayerNorm? = nil) {
        self.init(
            name: parts.map(\.w.path).joined(separator: "+"),
            weight: parts.flatMap { $0.w.tensor("weight", [$0.outputs, inputs]) },
            bias: parts.flatMap { $0.w.tensor("bias", [$0.outputs]) }, outputs: parts.reduce(0) { $0 + $1.outputs },
            in: inputs, norm: norm, precision: parts[0].w.precision)
    }

    /// Takes the weight [out][in] and bias [out] as the caller read them.
    package init(
        name: String, weight: [Float], bias: [Float], outputs: Int, in inputs: Int, norm: LayerNorm?,
        activation: Activation = .none, scale: [Float]? = nil, precision: Precision
    ) {
        self.bias = PackedWeight(bias)
        var (weight, bias) = (weight, bias)
        if let norm { (weight, bias) = norm.folded(into: weight, bias: bias) }
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.weight = PackedMatrix(weight, n: outputs, channels: inputs, precision: precision)
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
    ///
    /// - Parameters:
    ///   - norm: in place of the layer's own norm, such as that of a modulation.
    ///   - scale: one factor per output in place of the layer's own scale, such as the gate of a modulation.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, norm: (epsilon: Float, affine: ck_norm_affine)? = nil,
        scale: UnsafePointer<Float>? = nil, residual: FeatureMap? = nil, on runtime: Runtime
    ) {
        let arguments = ck_gemm_args(
            rows: x.rows, n: outputs, k: inputs, x: x.base, x_stride: x.stride,
            norm_epsilon: norm?.epsilon ?? normEpsilon, norm_affine: norm?.affine ?? ck_norm_affine(),
            packed: weight.pointer, packed_bf16: weight.bf16Pointer, out: output.base, out_stride: output.stride,
            epilogue: epilogue.ck(scale: scale, residual: residual))
        runtime.run(arguments, in: name)
    }

    /// Multiply-adds over `pixels` pixels.
    package func cost(pixels: Int) -> Cost { Cost(convolutions: pixels * inputs * outputs) }
}
