import ZooCore

/// Conversions between the element types on disk and the types that callers compute with.
///
/// Widening is exact. Narrowing rounds to nearest, ties to even, in one step from float64, so that a value is
/// never rounded twice.
package enum ElementConversion {
    /// The value of an IEEE 754 half-precision number. Exact.
    package static func float(half bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let magnitude = UInt32(bits & 0x7FFF)
        if magnitude >= 0x7C00 {
            return Float(bitPattern: sign | 0x7F80_0000 | (magnitude & 0x3FF) << 13)
        }
        // Scaling by 2^112 rebiases the exponent and normalises subnormals in one exact multiplication.
        let scaled = Float(bitPattern: magnitude << 13) * 0x1p112
        return Float(bitPattern: scaled.bitPattern | sign)
    }

    /// The value of a bfloat16 number. Exact.
    package static func float(bfloat16 bits: UInt16) -> Float {
        Float(bitPattern: UInt32(bits) << 16)
    }

    /// The half-precision number nearest to `value`; overflow gives infinity.
    package static func half(_ value: Double) -> UInt16 { round(value, exponentBits: 5, fractionBits: 10) }

    /// The bfloat16 number nearest to `value`; overflow gives infinity.
    package static func bfloat16(_ value: Double) -> UInt16 { round(value, exponentBits: 8, fractionBits: 7) }

    /// Rounds to a 16-bit format with the given field widths.
    private static func round(_ value: Double, exponentBits: Int, fractionBits: Int) -> UInt16 {
        let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
        let infinity = UInt16((1 << exponentBits) - 1) << UInt16(fractionBits)
        guard !value.isNaN else { return sign | infinity | 1 << UInt16(fractionBits - 1) }
        let bias = (1 << (exponentBits - 1)) - 1
        let magnitude = value.magnitude
        guard magnitude < Double(sign: .plus, exponent: bias + 1, significand: 1) else { return sign | infinity }
        // In units of the last place of its binade (or of the subnormals) the value is a small integer plus a
        // remainder; a carry out of the fraction moves into the exponent by itself.
        let exponent = magnitude == 0 ? 1 - bias : max(Int(magnitude.exponent), 1 - bias)
        let unit = Double(sign: .plus, exponent: exponent - fractionBits, significand: 1)
        let steps = Int((magnitude / unit).rounded(.toNearestOrEven))
        let binade = (exponent + bias - 1) << fractionBits
        return sign | UInt16(binade + steps)
    }

    /// Decodes consecutive little-endian elements at the start of `bytes` into float32, rounding float64 to
    /// nearest. Integers and booleans are converted by value.
    ///
    /// - Precondition: `bytes` holds `destination.count` elements of `dtype`.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, _ dtype: DType, into destination: UnsafeMutableBufferPointer<Float>
    ) {
        switch dtype {
        case .float32:
            UnsafeMutableRawBufferPointer(destination).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[..<(destination.count * 4)]))
        case .float64: fill(destination, bytes, UInt64.self) { Float(Double(bitPattern: $0)) }
        case .float16: fill(destination, bytes, UInt16.self) { float(half: $0) }
        case .bfloat16: fill(destination, bytes, UInt16.self) { float(bfloat16: $0) }
        case .int64: fill(destination, bytes, Int64.self) { Float($0) }
        case .int32: fill(destination, bytes, Int32.self) { Float($0) }
        case .int16: fill(destination, bytes, Int16.self) { Float($0) }
        case .int8: fill(destination, bytes, Int8.self) { Float($0) }
        case .uint8, .bool: fill(destination, bytes, UInt8.self) { Float($0) }
        }
    }

    /// As `decode(_:_:into:)`, into float64; exact for every type but int64 beyond 2^53.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, _ dtype: DType, into destination: UnsafeMutableBufferPointer<Double>
    ) {
        switch dtype {
        case .float64: fill(destination, bytes, UInt64.self) { Double(bitPattern: $0) }
        case .float32: fill(destination, bytes, UInt32.self) { Double(Float(bitPattern: $0)) }
        case .float16: fill(destination, bytes, UInt16.self) { Double(float(half: $0)) }
        case .bfloat16: fill(destination, bytes, UInt16.self) { Double(float(bfloat16: $0)) }
        case .int64: fill(destination, bytes, Int64.self) { Double($0) }
        case .int32: fill(destination, bytes, Int32.self) { Double($0) }
        case .int16: fill(destination, bytes, Int16.self) { Double($0) }
        case .int8: fill(destination, bytes, Int8.self) { Double($0) }
        case .uint8, .bool: fill(destination, bytes, UInt8.self) { Double($0) }
        }
    }

    /// As `decode(_:_:into:)` for integers and booleans, into int64. Exact.
    ///
    /// - Precondition: `dtype` is not a floating-point type.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, _ dtype: DType, into destination: UnsafeMutableBufferPointer<Int64>
    ) {
        switch dtype {
        case .int64: fill(destination, bytes, Int64.self) { $0 }
        case .int32: fill(destination, bytes, Int32.self) { Int64($0) }
        case .int16: fill(destination, bytes, Int16.self) { Int64($0) }
        case .int8: fill(destination, bytes, Int8.self) { Int64($0) }
        case .uint8, .bool: fill(destination, bytes, UInt8.self) { Int64($0) }
        case .float64, .float32, .float16, .bfloat16: preconditionFailure("\(dtype.rawValue) is not an integer type")
        }
    }

    /// Encodes `values` as `dtype`, rounding to nearest even; appends to `bytes`.
    ///
    /// - Precondition: `dtype` is a floating-point type.
    static func encode(_ values: UnsafeBufferPointer<Double>, as dtype: DType, into bytes: inout [UInt8]) {
        switch dtype {
        case .float64: append(values, to: &bytes) { $0.bitPattern }
        case .float32: append(values, to: &bytes) { Float($0).bitPattern }
        case .float16: append(values, to: &bytes) { half($0) }
        case .bfloat16: append(values, to: &bytes) { bfloat16($0) }
        default: preconditionFailure("\(dtype.rawValue) is not a floating-point type")
        }
    }

    @inline(__always)
    private static func fill<Stored: FixedWidthInteger, Value>(
        _ destination: UnsafeMutableBufferPointer<Value>, _ bytes: UnsafeRawBufferPointer, _: Stored.Type,
        _ convert: (Stored) -> Value
    ) {
        precondition(bytes.count >= destination.count * MemoryLayout<Stored>.size)
        for index in destination.indices {
            let stored = bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Stored>.size, as: Stored.self)
            destination[index] = convert(Stored(littleEndian: stored))
        }
    }

    @inline(__always)
    private static func append<Stored: FixedWidthInteger>(
        _ values: UnsafeBufferPointer<Double>, to bytes: inout [UInt8], _ convert: (Double) -> Stored
    ) {
        bytes.reserveCapacity(bytes.count + values.count * MemoryLayout<Stored>.size)
        for value in values {
            withUnsafeBytes(of: convert(value).littleEndian) { bytes.append(contentsOf: $0) }
        }
    }
}
