import CKernels
import ZooCore

/// The element-wise function at the end of a convolution or linear layer.
package enum Activation: Sendable {
    case none
    /// The exact, erf form.
    case gelu
    /// The tanh approximation, as diffusion transformers have it.
    case geluTanh
    case silu
    case relu

    fileprivate var ck: ck_activation {
        switch self {
        case .none: CK_ACTIVATION_NONE
        case .gelu: CK_ACTIVATION_GELU
        case .geluTanh: CK_ACTIVATION_GELU_TANH
        case .silu: CK_ACTIVATION_SILU
        case .relu: CK_ACTIVATION_RELU
        }
    }
}

/// What a product goes through before it is stored: bias, activation, layer scale, residual.
package struct Epilogue: Sendable {
    private let bias: PackedWeight
    private let activation: Activation
    private let scale: PackedWeight?

    package init(bias: [Float], activation: Activation, scale: [Float]?) {
        self.bias = PackedWeight(bias)
        self.activation = activation
        self.scale = scale.map { PackedWeight($0) }
    }

    func ck(scale other: UnsafePointer<Float>? = nil, residual: FeatureMap?) -> ck_epilogue {
        ck_epilogue(
            bias: bias.pointer, activation: activation.ck, scale: other ?? scale?.pointer,
            residual: residual.map { UnsafePointer($0.base) }, residual_stride: residual?.stride ?? 0)
    }
}
