/// The element types that checkpoints store.
public enum DType: String, Sendable, CaseIterable {
    case float64 = "F64"
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case int64 = "I64"
    case int32 = "I32"
    case int16 = "I16"
    case int8 = "I8"
    case uint8 = "U8"
    case bool = "BOOL"

    /// Bytes of one element.
    public var size: Int {
        switch self {
        case .float64, .int64: 8
        case .float32, .int32: 4
        case .float16, .bfloat16, .int16: 2
        case .int8, .uint8, .bool: 1
        }
    }

    /// Whether values of this type are learned weights rather than counters or masks.
    public var isFloatingPoint: Bool {
        switch self {
        case .float64, .float32, .float16, .bfloat16: true
        default: false
        }
    }
}

/// What a checkpoint says about one tensor without reading its values.
public struct TensorInfo: Sendable, Equatable {
    public let shape: [Int]
    public let dtype: DType

    public init(shape: [Int], dtype: DType) {
        self.shape = shape
        self.dtype = dtype
    }

    /// The number of elements; the parsers have checked that the product does not overflow.
    public var count: Int { shape.reduce(1, *) }
}

/// Where weights come from: a parsed checkpoint file, the seeded rule, or a recorder of what a model asks for.
///
/// A source is immutable and safe to share. It knows nothing of models; `Weights` in ZooNN puts scopes and
/// strictness on top.
public protocol TensorSource: Sendable {
    /// What error messages call this source: the file as the user named it, or `seeded:1`.
    var name: String { get }

    /// The names of all tensors, sorted; `nil` when the source answers any name (the seeded rule).
    var tensorNames: [String]? { get }

    /// Shape and type of a tensor, `nil` if there is none of that name. A source that answers any name
    /// returns `nil` here and takes the shape from `read`.
    func info(_ tensor: String) -> TensorInfo?

    /// Writes the tensor's elements in row-major order as float32.
    ///
    /// - Parameter shape: the shape the model expects; `destination.count` is its product.
    /// - Throws: `ZooError` if the tensor is missing, has another shape, or is not a floating-point tensor.
    func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws
}
