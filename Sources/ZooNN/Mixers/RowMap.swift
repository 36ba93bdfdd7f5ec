import CKernels
import ZooCore

/// A function of whole rows: what every number of a row becomes depends on all of them.
package enum RowMap {
    /// exp(x) over the row's sum of them.
    case softmax
    /// softmax(x) and softmax(-x) side by side, each at least 1e-12.
    case softmaxPair
    /// exp(scale x - highest) + offset, with the highest scale x of the row or of all tokens of the head.
    case exp(highest: Extent, scale: Float, offset: Float)
    /// exp(x - |y|^2 normScale - highest x) + offset, with rows y beside the rows x.
    case positiveFeature(highest: Extent, y: HeadMap, normScale: Float, offset: Float)
    /// max(x, 0) + offset
    case relu(offset: Float)
    /// y / |y| with y = silu(x) + 1/2
    case unitSiLU
    /// y^3 |y| / |y^3| with y = (max(x + addend, 0) + 1e-6) weight; the addend is [tokens][dim].
    case focused(weight: PackedWeight, addend: PackedWeight?)
    /// x weight silu(gate) / (sqrt(mean x^2 + inner) + outer)
    case rmsNorm(inner: Float, outer: Float, weight: PackedWeight?, gate: HeadMap?)

    /// gelu(x) weight + shift
    case gelu(weight: PackedWeight, shift: PackedWeight)

    /// Over what a maximum is taken.
    package enum Extent: Sendable {
        case row, head

        fileprivate var function: ck_row_function { self == .row ? CK_ROW_EXP : CK_ROW_EXP_HEAD }
    }

    /// Writes to `output`, which has the rows of `x` and may be `x` unless the function is `softmaxPair`.
    package func callAsFunction(_ x: HeadMap, into output: HeadMap, on runtime: Runtime) {
        var arguments = ck_row_map_args()
        (arguments.batch, arguments.heads, arguments.tokens, arguments.dim) = (x.batch, x.heads, x.tokens, x.dim)
        (arguments.x, arguments.x_strides) = (UnsafePointer(x.base), x.strides)
        (arguments.out, arguments.out_strides) = (output.base, output.strides)
        arguments.scale = 1
        switch self {
        case .softmax: arguments.function = CK_ROW_SOFTMAX
        case .softmaxPair: arguments.function = CK_ROW_SOFTMAX_PAIR
        case .exp(let highest, let scale, let offset):
            (arguments.function, arguments.scale, arguments.offset) = (highest.function, scale, offset)
        case .positiveFeature(let highest, let y, let normScale, let offset):
            (arguments.function, arguments.norm_scale, arguments.offset) = (highest.function, normScale, offset)
            (arguments.y, arguments.y_strides, arguments.y_dim) = (UnsafePointer(y.base), y.strides, y.dim)
        case .relu(let offset): (arguments.function, arguments.offset) = (CK_ROW_RELU, offset)
        case .unitSiLU: arguments.function = CK_ROW_UNIT_SILU
        case .focused(let weight, let addend):
            arguments.function = CK_ROW_FOCUSED
            (arguments.weight, arguments.addend) = (weight.pointer, addend?.pointer)
        case .gelu(let weight, let shift):
            arguments.function = CK_ROW_GELU
            (arguments.weight, arguments.shift) = (weight.pointer, shift.pointer)
        case .rmsNorm(let inner, let outer, let weight, let gate):
            arguments.function = CK_ROW_RMS_NORM
            (arguments.inner_epsilon, arguments.outer_epsilon) = (inner, outer)
            arguments.weight = weight?.pointer
            if let gate { (arguments.gate, arguments.gate_strides) = (UnsafePointer(gate.base), gate.strides) }
        }
        runtime.run(arguments, in: "attention")
    }
}
