import ZooCore

/// What can be wrong between a well-formed file and the caller who asks it for a tensor.
public enum TensorDefect: String, ParserDefect {
    case missing = "tensor.missing"
    case wrongShape = "tensor.wrong-shape"
    case wrongType = "tensor.wrong-type"
}

/// A parsed checkpoint: a tensor source that knows its names, shapes and element types, and gives access to the
/// stored bytes.
///
/// Everything that reads values is built on `withBytes(of:_:)`, once, in the extensions below.
public protocol TensorFile: TensorSource {
    /// The names of all tensors, sorted.
    var names: [String] { get }

    /// Calls `body` with the tensor's elements in row-major order, little-endian, as stored. The pointer may be
    /// unaligned and is valid only inside.
    ///
    /// - Throws: `TensorDefect.missing`; for archives also a checksum error.
    func withBytes<R>(of tensor: String, _ body: (TensorInfo, UnsafeRawBufferPointer) throws -> R) throws -> R
}

extension TensorFile {
    public var tensorNames: [String]? { names }

    public func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
        try withBytes(of: tensor) { info, bytes in
            guard info.shape == shape else {
                throw TensorDefect.wrongShape.error(
                    "the tensor has another shape", at: tensor, expected: "\(shape)", found: "\(info.shape)"
                ).naming(file: name)
            }
            try require(info.dtype.isFloatingPoint, tensor, expected: "a floating-point type", info)
            precondition(destination.count == info.count, "destination does not fit shape \(shape)")
            ElementConversion.decode(bytes, info.dtype, into: destination)
        }
    }

    /// The tensor as float32, whatever its type on disk: float64 is rounded to nearest, integers are converted by
    /// value.
    public func tensor(_ tensor: String) throws -> Tensor {
        try withBytes(of: tensor) { info, bytes in
            let values = [Float](unsafeUninitializedCapacity: info.count) { buffer, count in
                ElementConversion.decode(
                    bytes, info.dtype, into: UnsafeMutableBufferPointer(rebasing: buffer[..<info.count]))
                count = info.count
            }
            return Tensor(shape: info.shape, values: values)
        }
    }

    /// The tensor's elements as float64, row-major; exact for every type but int64 beyond 2^53.
    public func float64s(of tensor: String) throws -> [Double] {
        try withBytes(of: tensor) { info, bytes in
            [Double](unsafeUninitializedCapacity: info.count) { buffer, count in
                ElementConversion.decode(
                    bytes, info.dtype, into: UnsafeMutableBufferPointer(rebasing: buffer[..<info.count]))
                count = info.count
            }
        }
    }

    /// The elements of an integer or boolean tensor, row-major.
    ///
    /// - Throws: `TensorDefect.wrongType` for a floating-point tensor.
    public func int64s(of tensor: String) throws -> [Int64] {
        try withBytes(of: tensor) { info, bytes in
            try require(!info.dtype.isFloatingPoint, tensor, expected: "an integer type", info)
            return [Int64](unsafeUninitializedCapacity: info.count) { buffer, count in
                ElementConversion.decode(
                    bytes, info.dtype, into: UnsafeMutableBufferPointer(rebasing: buffer[..<info.count]))
                count = info.count
            }
        }
    }

    /// The elements of a `U8` tensor, such as image bytes.
    ///
    /// - Throws: `TensorDefect.wrongType` for any other type.
    public func uint8s(of tensor: String) throws -> [UInt8] {
        try withBytes(of: tensor) { info, bytes in
            try require(info.dtype == .uint8, tensor, expected: DType.uint8.rawValue, info)
            return [UInt8](bytes)
        }
    }

    /// The error for a name that the file does not have.
    func missing(_ tensor: String) -> ZooError {
        TensorDefect.missing.error("there is no such tensor", at: tensor).naming(file: name)
    }

    private func require(_ condition: Bool, _ tensor: String, expected: String, _ info: TensorInfo) throws {
        guard !condition else { return }
        throw TensorDefect.wrongType.error(
            "the tensor has an unsuitable element type", at: tensor, expected: expected, found: info.dtype.rawValue
        ).naming(file: name)
    }
}
