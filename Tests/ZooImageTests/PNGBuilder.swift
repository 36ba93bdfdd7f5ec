import ZooIO

/// Puts PNG files together byte by byte, right or wrong.
enum PNGBuilder {
    static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    static func bigEndian(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    static func chunk(
        _ kind: String, _ payload: [UInt8] = [], length: UInt32? = nil, breakingChecksum: Bool = false
    ) -> [UInt8] {
        let body = Array(kind.utf8) + payload
        let checksum = body.withUnsafeBytes { CRC32.checksum($0) } ^ (breakingChecksum ? 1 : 0)
        return bigEndian(length ?? UInt32(payload.count)) + body + bigEndian(checksum)
    }

    static func header(
        width: UInt32 = 5, height: UInt32 = 4, depth: UInt8 = 8, color: UInt8 = 2, compression: UInt8 = 0,
        filter: UInt8 = 0, interlace: UInt8 = 0
    ) -> [UInt8] {
        bigEndian(width) + bigEndian(height) + [depth, color, compression, filter, interlace]
    }

    /// A zlib stream of stored blocks.
    static func zlib(_ data: [UInt8], checksum: UInt32? = nil) -> [UInt8] {
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in data {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        var stream: [UInt8] = [0x78, 0x01]
        var rest = data[...]
        repeat {
            let block = rest.prefix(65535)
            rest = rest.dropFirst(block.count)
            let (low, high) = (UInt8(block.count & 255), UInt8(block.count >> 8))
            stream += [rest.isEmpty ? 1 : 0, low, high, ~low, ~high] + block
        } while !rest.isEmpty
        return stream + bigEndian(checksum ?? (b << 16 | a))
    }

    /// Filtered rows of a 5 x 4 RGB image.
    static let rows: [UInt8] = (0..<4).flatMap { y in [0] + (0..<15).map { UInt8($0 * 16 + y) } }

    static func file(_ chunks: [UInt8]...) -> [UInt8] { signature + chunks.flatMap { $0 } }

    /// A sound file with another header.
    static func file(header: [UInt8]) -> [UInt8] {
        file(chunk("IHDR", header), chunk("IDAT", zlib(rows)), chunk("IEND"))
    }

    /// A sound file with another compressed stream.
    static func file(stream: [UInt8]) -> [UInt8] {
        file(chunk("IHDR", header()), chunk("IDAT", stream), chunk("IEND"))
    }
}
