import ImageOracle

/// A PNG file: decoded whole and streamed into a crop, which must agree.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPNG(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var bytes = Array(UnsafeBufferPointer(start: start, count: count))
    repairChecksums(&bytes)
    compareDecoders(bytes)
    return 0
}

/// Mutations hardly ever hit a right checksum; without this they would never get behind the first chunk.
private func repairChecksums(_ bytes: inout [UInt8]) {
    var position = 8
    while position + 12 <= bytes.count {
        let length = bytes[position..<(position + 4)].reduce(0) { $0 << 8 | Int($1) }
        guard position + 12 + length <= bytes.count else { return }
        var checksum: UInt32 = 0xFFFF_FFFF
        for byte in bytes[(position + 4)..<(position + 8 + length)] {
            checksum ^= UInt32(byte)
            for _ in 0..<8 { checksum = checksum & 1 == 1 ? checksum >> 1 ^ 0xEDB8_8320 : checksum >> 1 }
        }
        for shift in 0..<4 {
            bytes[position + 8 + length + shift] = UInt8(truncatingIfNeeded: ~checksum >> UInt32(24 - 8 * shift))
        }
        position += 12 + length
    }
}
