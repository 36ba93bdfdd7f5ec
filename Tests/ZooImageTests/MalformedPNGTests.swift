import Testing
import ZooCore
import ZooImage

struct MalformedPNGTests {
    @Test func rejectsEveryMalformedPNG() throws {
        let cases = Self.cases
        #expect(cases.count >= 100)
        #expect(Set(cases.map(\.name)).count == cases.count)
        for item in cases { try item.check() }
    }

    static var cases: [Malformed] { signatures + headers + palettes + chunks + streams }

    private static func rejected(_ name: String, _ defect: ImageDefect, _ bytes: [UInt8]) -> Malformed {
        Malformed(name: name, bytes: bytes, expected: .rejected(defect))
    }

    private static func warned(_ name: String, _ defect: ImageDefect, _ bytes: [UInt8]) -> Malformed {
        Malformed(name: name, bytes: bytes, expected: .warned(defect))
    }

    private typealias PNG = PNGBuilder

    private static var signatures: [Malformed] {
        let sound = PNG.file(stream: PNG.zlib(PNG.rows))
        func replacing(_ index: Int, _ byte: UInt8) -> [UInt8] {
            var bytes = sound
            bytes[index] = byte
            return bytes
        }
        return [
            rejected("no bytes", .empty, []),
            rejected("one byte", .unknownFormat, [0x89]),
            rejected("signature alone", .truncatedHeader, PNG.signature),
            rejected("signature cut", .unknownFormat, Array(PNG.signature.prefix(7))),
            rejected("signature without high bit", .unknownFormat, replacing(0, 0x09)),
            rejected("signature in lower case", .unknownFormat, replacing(1, 0x70)),
            rejected("carriage return lost", .unknownFormat, Array(sound[..<4] + sound[5...])),
            rejected("line feed became carriage return", .unknownFormat, replacing(5, 0x0D)),
            rejected("end-of-file mark lost", .unknownFormat, replacing(6, 0x0A)),
            rejected("MNG", .unknownFormat, [0x8A, 0x4D, 0x4E, 0x47] + sound[4...]),
            rejected("byte order mark in front", .unknownFormat, [0xEF, 0xBB, 0xBF] + sound),
            rejected("WebP", .unsupportedFormat, Array("RIFF\u{1}\u{1}\u{1}\u{1}WEBPVP8 ".utf8)),
            rejected("GIF", .unsupportedFormat, Array("GIF89a".utf8)),
            rejected("BMP", .unsupportedFormat, Array("BM".utf8)),
            rejected("little-endian TIFF", .unsupportedFormat, [0x49, 0x49, 0x2A, 0x00]),
            rejected("big-endian TIFF", .unsupportedFormat, [0x4D, 0x4D, 0x00, 0x2A]),
            rejected("AVIF", .unsupportedFormat, [0, 0, 0, 32] + Array("ftypavif".utf8)),
            rejected("HEIF", .unsupportedFormat, [0, 0, 0, 32] + Array("ftypheic".utf8)),
            rejected("JPEG XL", .unsupportedFormat, [0xFF, 0x0A]),
            rejected("JPEG 2000", .unsupportedFormat, [0, 0, 0, 12] + Array("jP  ".utf8)),
            rejected("text", .unknownFormat, Array("<html>".utf8)),
        ]
    }

    private static var headers: [Malformed] {
        let legal: [UInt8: Set<UInt8>] = [
            0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16],
        ]
        var cases: [Malformed] = []
        for (color, depths) in legal.sorted(by: { $0.key < $1.key }) {
            for depth: UInt8 in [0, 1, 2, 3, 4, 5, 7, 9, 15, 16, 17, 32, 255] where !depths.contains(depth) {
                let header = PNG.header(depth: depth, color: color)
                cases.append(rejected("colour type \(color) of depth \(depth)", .pngHeader, PNG.file(header: header)))
            }
        }
        for color: UInt8 in [1, 5, 7, 8, 16, 255] {
            cases.append(rejected("colour type \(color)", .pngHeader, PNG.file(header: PNG.header(color: color))))
        }
        for value: UInt8 in [1, 2, 255] {
            cases += [
                rejected("compression method \(value)", .pngHeader, PNG.file(header: PNG.header(compression: value))),
                rejected("filter method \(value)", .pngHeader, PNG.file(header: PNG.header(filter: value))),
            ]
        }
        for value: UInt8 in [2, 3, 255] {
            cases.append(
                rejected("interlace method \(value)", .pngHeader, PNG.file(header: PNG.header(interlace: value))))
        }
        for size: UInt32 in [0, 0x8000_0000, 0xFFFF_FFFF] {
            cases += [
                rejected("width \(size)", .pngHeader, PNG.file(header: PNG.header(width: size))),
                rejected("height \(size)", .pngHeader, PNG.file(header: PNG.header(height: size))),
                rejected("both sides \(size)", .pngHeader, PNG.file(header: PNG.header(width: size, height: size))),
            ]
        }
        for (width, height) in [
            (1_000_001, 1), (1, 1_000_001), (50_000, 50_000), (178_956_971, 1), (0x7FFF_FFFF, 0x7FFF_FFFF),
        ] {
            let header = PNG.header(width: UInt32(width), height: UInt32(height))
            cases.append(rejected("\(width) x \(height) pixels", .tooManyPixels, PNG.file(header: header)))
        }
        for length in [0, 1, 12, 14, 26] {
            let header = (PNG.header() + PNG.header()).prefix(length)
            cases.append(rejected("header of \(length) bytes", .pngHeader, PNG.file(header: Array(header))))
        }
        let data = PNG.chunk("IDAT", PNG.zlib(PNG.rows))
        return cases + [
            rejected("no header", .pngHeader, PNG.file(data, PNG.chunk("IEND"))),
            rejected("palette before header", .pngHeader, PNG.file(PNG.chunk("PLTE", [1, 2, 3]), data)),
            rejected("end before header", .pngChunkOrder, PNG.file(PNG.chunk("IEND"))),
            rejected(
                "second header", .pngChunkOrder,
                PNG.file(PNG.chunk("IHDR", PNG.header()), PNG.chunk("IHDR", PNG.header()), data, PNG.chunk("IEND"))),
            rejected(
                "header with wrong checksum", .pngChecksum,
                PNG.file(PNG.chunk("IHDR", PNG.header(), breakingChecksum: true), data, PNG.chunk("IEND"))),
        ]
    }

    private static var palettes: [Malformed] {
        func file(_ palette: [UInt8]..., color: UInt8 = 3) -> [UInt8] {
            let rows = [UInt8](repeating: 0, count: color == 3 ? 24 : 64)
            return PNG.file(
                PNG.chunk("IHDR", PNG.header(color: color)), palette.flatMap { $0 },
                PNG.chunk("IDAT", PNG.zlib(rows)), PNG.chunk("IEND"))
        }
        var cases = [1, 2, 4, 5, 767, 769, 771, 3000].map { length in
            rejected(
                "palette of \(length) bytes", .pngPalette,
                file(PNG.chunk("PLTE", [UInt8](repeating: 7, count: length))))
        }
        let palette = PNG.chunk("PLTE", [1, 2, 3])
        cases += [
            rejected("no palette", .pngPalette, file()),
            rejected("empty palette", .pngPalette, file(PNG.chunk("PLTE"))),
            rejected("two palettes", .pngChunkOrder, file(palette, palette)),
            rejected(
                "palette with wrong checksum", .pngChecksum, file(PNG.chunk("PLTE", [1, 2, 3], breakingChecksum: true))),
            warned(
                "palette of a grey image", .pngPalette,
                PNG.file(
                    PNG.chunk("IHDR", PNG.header(color: 0)), palette,
                    PNG.chunk("IDAT", PNG.zlib([UInt8](repeating: 0, count: 24))), PNG.chunk("IEND"))),
            warned("ill-formed palette of an RGB image", .pngPalette, file(PNG.chunk("PLTE", [1, 2]), color: 2)),
            rejected(
                "palette after the pixels", .pngPalette,
                PNG.file(
                    PNG.chunk("IHDR", PNG.header(color: 3)), PNG.chunk("IDAT", PNG.zlib(PNG.rows)), palette,
                    PNG.chunk("IEND"))),
        ]
        return cases
    }

    private static var chunks: [Malformed] {
        let header = PNG.chunk("IHDR", PNG.header())
        let data = PNG.chunk("IDAT", PNG.zlib(PNG.rows))
        let end = PNG.chunk("IEND")
        func before(_ chunk: [UInt8]) -> [UInt8] { PNG.file(header, chunk, data, end) }
        func after(_ chunk: [UInt8]) -> [UInt8] { PNG.file(header, data, chunk, end) }
        var cases = ["1234", "IDA1", "ID T", "\0\0\0\0", "!!!!"].map { kind in
            rejected("chunk named \(kind.debugDescription)", .pngChunkName, before(PNG.chunk(kind)))
        }
        for kind in ["ABCD", "IDAX", "JDAT", "CgBI"] {
            cases.append(rejected("critical chunk \(kind)", .pngChunkName, before(PNG.chunk(kind, [1, 2]))))
        }
        for length: UInt32 in [0x8000_0000, 0xFFFF_FFFF] {
            for kind in ["IDAT", "tEXt", "PLTE"] {
                cases.append(
                    rejected("\(kind) of length \(length)", .pngChunkLength, before(PNG.chunk(kind, length: length))))
            }
        }
        cases += [
            rejected("text longer than the file", .truncatedHeader, before(PNG.chunk("tEXt", length: 5000))),
            rejected("text of 2 GB", .truncatedHeader, before(PNG.chunk("tEXt", length: 0x7FFF_FFFF))),
            rejected(
                "text with wrong checksum", .pngChecksum,
                before(PNG.chunk("tEXt", [65, 0, 66], breakingChecksum: true))),
            rejected("no pixel data", .pngChunkOrder, PNG.file(header, end)),
            rejected("nothing after the header", .truncatedHeader, PNG.file(header)),
            rejected("pixels without a chunk's length", .truncatedHeader, PNG.file(header, [0, 0])),
            warned("no end", .truncatedData, PNG.file(header, data)),
            warned("end with a payload", .corruptData, PNG.file(header, data, PNG.chunk("IEND", [1]))),
            warned(
                "end with wrong checksum", .pngChecksum,
                PNG.file(header, data, PNG.chunk("IEND", breakingChecksum: true))),
            warned(
                "text after the pixels with wrong checksum", .pngChecksum,
                after(PNG.chunk("tEXt", [65], breakingChecksum: true))),
            Malformed(name: "critical chunk after the pixels", bytes: after(PNG.chunk("ABCD")), expected: .decoded),
            warned("header after the pixels", .pngChunkOrder, after(header)),
            Malformed(
                name: "more pixel data after text", bytes: after(PNG.chunk("tEXt", [65]) + data), expected: .decoded),
            Malformed(name: "bytes after the end", bytes: PNG.file(header, data, end, [1, 2, 3]), expected: .decoded),
            Malformed(
                name: "transparency of the wrong length", bytes: before(PNG.chunk("tRNS", [1])), expected: .decoded),
            Malformed(name: "ill-formed gamma", bytes: before(PNG.chunk("gAMA", [0])), expected: .decoded),
            Malformed(name: "ill-formed profile", bytes: before(PNG.chunk("iCCP", [0, 0, 0])), expected: .decoded),
        ]
        return cases
    }

    private static var streams: [Malformed] {
        let sound = PNG.zlib(PNG.rows)
        let header = PNG.chunk("IHDR", PNG.header())
        func replacing(_ index: Int, _ byte: UInt8) -> [UInt8] {
            var bytes = sound
            bytes[index] = byte
            return PNG.file(stream: bytes)
        }
        func filter(_ value: UInt8, row: Int) -> [UInt8] {
            var rows = PNG.rows
            rows[row * 16] = value
            return PNG.file(stream: PNG.zlib(rows))
        }
        var cases: [Malformed] = []
        for value: UInt8 in [5, 6, 127, 128, 255] {
            for row in [0, 3] {
                cases.append(rejected("filter \(value) in row \(row)", .corruptData, filter(value, row: row)))
            }
        }
        for row in 0..<4 {
            cases.append(
                rejected("\(row) rows", .pngMissingData, PNG.file(stream: PNG.zlib(Array(PNG.rows.prefix(row * 16))))))
        }
        return cases + [
            rejected("empty stream", .pngMissingData, PNG.file(stream: [])),
            rejected("stream of one byte", .pngMissingData, PNG.file(stream: [0x78])),
            rejected("compression method 7", .corruptData, replacing(0, 0x77)),
            rejected("window too large", .corruptData, replacing(0, 0x88)),
            rejected("zlib header checksum", .corruptData, replacing(1, 0x02)),
            rejected("preset dictionary", .corruptData, replacing(1, 0x20)),
            rejected("reserved block type", .corruptData, replacing(2, 0x07)),
            rejected("stored block lengths disagree", .corruptData, replacing(5, 0x00)),
            rejected("a row cut in half", .pngMissingData, PNG.file(stream: PNG.zlib(Array(PNG.rows.prefix(24))))),
            rejected("plain text", .corruptData, PNG.file(stream: Array("not a zlib stream".utf8))),
            warned(
                "pixel data with wrong checksum", .pngChecksum,
                PNG.file(
                    header, PNG.chunk("IDAT", sound, breakingChecksum: true), PNG.chunk("IEND"))),
            rejected("stream with wrong checksum", .corruptData, PNG.file(stream: PNG.zlib(PNG.rows, checksum: 7))),
            warned("stream without checksum", .pngMissingData, PNG.file(stream: sound.dropLast(4))),
            warned("a row too many", .corruptData, PNG.file(stream: PNG.zlib(PNG.rows + PNG.rows.prefix(16)))),
            warned("bytes after the stream", .corruptData, PNG.file(stream: sound + [1, 2, 3])),
            rejected(
                "text between pixel data", .pngMissingData,
                PNG.file(
                    header, PNG.chunk("IDAT", Array(sound.prefix(30))), PNG.chunk("tEXt", [65]),
                    PNG.chunk("IDAT", Array(sound.dropFirst(30))), PNG.chunk("IEND"))),
            rejected(
                "end between pixel data", .pngMissingData,
                PNG.file(header, PNG.chunk("IDAT", Array(sound.prefix(30))), PNG.chunk("IEND"))),
            rejected(
                "first row cut by the end of the file", .truncatedData,
                Array(PNG.file(stream: sound).prefix(8 + 25 + 8 + 7 + 10))),
            warned(
                "second row cut by the end of the file", .truncatedData,
                Array(PNG.file(stream: sound).prefix(8 + 25 + 8 + 7 + 24))),
        ]
    }
}
