import ZooCore

extension TensorFile {
    /// Writes the tensors as a safetensors file in which all floating-point tensors have type `dtype`, rounded to
    /// nearest even; integers and booleans keep theirs. The values pass through memory in pieces.
    ///
    /// - Parameters:
    ///   - dtype: a floating-point type; `nil` keeps every tensor as it is.
    ///   - tensors: which tensors to write; `nil` for all.
    /// - Throws: `OutputDefect` errors, and those of reading.
    public func convert(
        to path: String, dtype: DType? = nil, tensors: [String]? = nil, metadata: [String: String] = [:]
    ) throws {
        precondition(dtype?.isFloatingPoint ?? true, "weights are converted to a floating-point type")
        var writer = SafetensorsWriter(metadata: metadata)
        for tensor in tensors ?? names {
            guard let info = info(tensor) else { throw missing(tensor) }
            let target = info.dtype.isFloatingPoint ? dtype ?? info.dtype : info.dtype
            writer.add(tensor, TensorInfo(shape: info.shape, dtype: target)) { write in
                try withBytes(of: tensor) { _, bytes in
                    guard target != info.dtype else { return try write(bytes) }
                    try ElementConversion.convert(bytes, from: info.dtype, to: target, write)
                }
            }
        }
        try writer.write(to: path)
    }
}

extension ElementConversion {
    /// Re-encodes elements in pieces of bounded size.
    fileprivate static func convert(
        _ bytes: UnsafeRawBufferPointer, from source: DType, to target: DType,
        _ write: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let piece = 1 << 16
        var values = [Double](repeating: 0, count: piece)
        var encoded: [UInt8] = []
        let count = bytes.count / source.size
        for start in stride(from: 0, to: count, by: piece) {
            let end = min(start + piece, count)
            let stored = UnsafeRawBufferPointer(rebasing: bytes[(start * source.size)..<(end * source.size)])
            encoded.removeAll(keepingCapacity: true)
            values.withUnsafeMutableBufferPointer { buffer in
                let part = UnsafeMutableBufferPointer(rebasing: buffer[..<(end - start)])
                decode(stored, source, into: part)
                encode(UnsafeBufferPointer(part), as: target, into: &encoded)
            }
            try encoded.withUnsafeBytes { try write($0) }
        }
    }
}
