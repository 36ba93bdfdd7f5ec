/// The CRC-32 checksum of zip and PNG (reflected polynomial 0xEDB88320), eight bytes at a step.
package struct CRC32 {
    /// The checksum of what was taken in so far.
    package private(set) var value: UInt32 = 0

    package init() {}

    /// Takes in the next bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) { value = Self.checksum(bytes, after: value) }

    /// Table 0 advances by one byte; table t by one byte followed by t zero bytes.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            tables[byte] = (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB8_8320 }
        }
        for index in 256..<tables.count {
            let previous = tables[index - 256]
            tables[index] = previous >> 8 ^ tables[Int(previous & 0xFF)]
        }
        return tables
    }()

    /// The checksum of `bytes`, or of bytes with the checksum `earlier` and `bytes` behind them.
    package static func checksum(_ bytes: UnsafeRawBufferPointer, after earlier: UInt32 = 0) -> UInt32 {
        tables.withUnsafeBufferPointer { table in
            var crc = ~earlier
            let whole = bytes.count / 8 * 8
            for start in stride(from: 0, to: whole, by: 8) {
                let word =
                    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)) ^ UInt64(crc)
                crc = 0
                for position in 0..<8 {
                    let byte = Int(truncatingIfNeeded: word >> UInt64(8 * position)) & 0xFF
                    crc ^= table[(7 - position) * 256 + byte]
                }
            }
            for byte in bytes[whole...] {
                crc = crc >> 8 ^ table[Int((crc ^ UInt32(byte)) & 0xFF)]
            }
            return ~crc
        }
    }
}
