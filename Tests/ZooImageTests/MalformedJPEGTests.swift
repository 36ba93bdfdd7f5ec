import Testing
import ZooCore
import ZooImage

struct MalformedJPEGTests {
    @Test func rejectsEveryMalformedJPEG() throws {
        let cases = try Self.cases()
        #expect(cases.count >= 100)
        #expect(Set(cases.map(\.name)).count == cases.count)
        for item in cases { try item.check() }
    }

    static func cases() throws -> [Malformed] {
        let sound = try JPEGBuilder.sound()
        return structure(sound) + frames(sound) + scans(sound) + tables(sound) + lengths(sound) + data(sound)
            + (try progressions())
    }

    private typealias JPEG = JPEGBuilder

    private static func rejected(_ name: String, _ defect: ImageDefect, _ bytes: [UInt8]) -> Malformed {
        Malformed(name: name, bytes: bytes, expected: .rejected(defect))
    }

    private static func warned(_ name: String, _ defect: ImageDefect, _ bytes: [UInt8]) -> Malformed {
        Malformed(name: name, bytes: bytes, expected: .warned(defect))
    }

    private static func decoded(_ name: String, _ bytes: [UInt8]) -> Malformed {
        Malformed(name: name, bytes: bytes, expected: .decoded)
    }

    private static func structure(_ sound: JPEGBuilder) -> [Malformed] {
        let bytes = sound.bytes
        var cases = [
            rejected("start alone", .truncatedHeader, [0xFF, 0xD8, 0xFF]),
            rejected("start without a marker", .unknownFormat, [0xFF, 0xD8]),
            rejected("start and end", .jpegMissingFrame, [0xFF, 0xD8, 0xFF, 0xD9]),
            rejected("no start", .unknownFormat, Array(bytes.dropFirst(2))),
            rejected("second start", .jpegDuplicateMarker, sound.inserting([0xFF, 0xD8], before: JPEG.frame)),
            rejected("no frame", .jpegMissingFrame, sound.removing(JPEG.frame)),
            rejected("no scan", .jpegMissingScan, sound.removing(JPEG.scan)),
            rejected("end before the frame", .jpegMissingFrame, sound.inserting([0xFF, 0xD9], before: JPEG.frame)),
            rejected("end before the scan", .jpegMissingScan, sound.inserting([0xFF, 0xD9], before: JPEG.scan)),
            rejected("text", .jpegUnknownMarker, [0xFF, 0xD8, 0xFF] + Array("no JPEG at all".utf8)),
            warned("garbage between segments", .corruptData, sound.inserting([1, 2, 3], before: JPEG.frame)),
            decoded("fill bytes between segments", sound.inserting([0xFF, 0xFF, 0xFF], before: JPEG.frame)),
            decoded("bytes after the end", bytes + [1, 2, 3]),
            decoded("restart marker ahead of the scan", sound.inserting([0xFF, 0xD3], before: JPEG.frame)),
            warned("no end", .truncatedData, Array(bytes.dropLast(2))),
            rejected(
                "second frame", .jpegDuplicateMarker,
                sound.inserting(sound.segments.first { $0.marker == JPEG.frame }?.bytes ?? [], before: JPEG.scan)),
        ]
        for marker: UInt8 in [0x02, 0x30, 0x4F, 0x8F, 0xBF, 0xF0, 0xF7, 0xFD] {
            cases.append(
                rejected(
                    "marker \(marker)", .jpegUnknownMarker, sound.inserting([0xFF, marker, 0, 2], before: JPEG.frame)))
        }
        return cases
    }

    private static func frames(_ sound: JPEGBuilder) -> [Malformed] {
        var cases: [Malformed] = []
        for process: UInt8 in [0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xCB, 0xCD, 0xCE, 0xCF] {
            cases.append(
                rejected(
                    "process \(process)", .jpegUnsupportedFrame, sound.changing(JPEG.frame) { $0.marker = process }))
        }
        for precision: UInt8 in [0, 1, 2, 7, 9, 10, 12, 16, 255] {
            cases.append(
                rejected(
                    "\(precision) bits per sample", .jpegUnsupportedFrame, sound.replacing(JPEG.frame, 0, precision)))
        }
        for (side, offset) in [("height", 1), ("width", 3)] {
            cases.append(
                rejected(
                    "\(side) 0", .jpegEmptyImage,
                    sound.changing(JPEG.frame) {
                        $0.payload[offset] = 0
                        $0.payload[offset + 1] = 0
                    }))
        }
        cases.append(
            rejected(
                "65500 x 65500 pixels", .tooManyPixels,
                sound.changing(JPEG.frame) {
                    $0.payload.replaceSubrange(1..<5, with: [0xFF, 0xDC, 0xFF, 0xDC])
                }))
        cases.append(
            rejected(
                "65535 x 65535 pixels", .tooManyPixels,
                sound.changing(JPEG.frame) {
                    $0.payload.replaceSubrange(1..<5, with: [0xFF, 0xFF, 0xFF, 0xFF])
                }))
        for count: UInt8 in [0, 2, 5, 10, 11, 255] {
            let bytes = sound.changing(JPEG.frame) { segment in
                let components = (0..<count).flatMap { [$0 &+ 1, 0x11, 0] as [UInt8] }
                segment.payload = Array(segment.payload.prefix(5)) + [count] + components
            }
            let defect: ImageDefect = count == 0 ? .jpegEmptyImage : .jpegComponents
            cases.append(rejected("\(count) components", defect, bytes))
        }
        for component in 0..<3 {
            for factors: UInt8 in [0x00, 0x01, 0x10, 0x15, 0x51, 0xFF] {
                cases.append(
                    rejected(
                        "sampling \(factors >> 4)x\(factors & 15) of component \(component)", .jpegSampling,
                        sound.replacing(JPEG.frame, 7 + 3 * component, factors)))
            }
            for table: UInt8 in [2, 4, 255] {
                cases.append(
                    rejected(
                        "quantization table \(table) of component \(component)", .jpegQuantizationTable,
                        sound.replacing(JPEG.frame, 8 + 3 * component, table)))
            }
        }
        return cases
    }

    private static func scans(_ sound: JPEGBuilder) -> [Malformed] {
        var cases: [Malformed] = []
        for count: UInt8 in [0, 2, 4, 5, 255] {
            cases.append(
                rejected("scan of \(count) components", .jpegSegmentLength, sound.replacing(JPEG.scan, 0, count)))
        }
        for (position, value) in [(1, 9), (3, 0), (5, 255)] as [(Int, UInt8)] {
            cases.append(
                rejected("scan of component \(value)", .jpegComponents, sound.replacing(JPEG.scan, position, value)))
        }
        for component in 0..<3 {
            for tables: UInt8 in [0x20, 0x02, 0x40, 0x04, 0xF0, 0x0F] {
                cases.append(
                    rejected(
                        "Huffman tables \(tables >> 4) and \(tables & 15) of component \(component)",
                        .jpegHuffmanTable, sound.replacing(JPEG.scan, 2 + 2 * component, tables)))
            }
        }
        for (name, offset, value) in [
            ("spectral start 1", 7, 1), ("spectral end 0", 8, 0), ("spectral end 64", 8, 64),
            ("successive approximation", 9, 0x11),
        ] as [(String, Int, UInt8)] {
            cases.append(warned("\(name) in a baseline scan", .corruptData, sound.replacing(JPEG.scan, offset, value)))
        }
        return cases
    }

    private static func tables(_ sound: JPEGBuilder) -> [Malformed] {
        func table(_ counts: [Int], _ values: [UInt8], index: UInt8 = 0) -> [UInt8] {
            let lengths = (0..<16).map { UInt8($0 < counts.count ? counts[$0] : 0) }
            return [0xFF, JPEG.huffman, 0, UInt8(2 + 17 + values.count), index] + lengths + values
        }
        var cases = [
            decoded("no Huffman tables, so the standard ones", sound.removing(JPEG.huffman)),
            rejected("no quantization tables", .jpegQuantizationTable, sound.removing(JPEG.quantization)),
            rejected(
                "three codes of one bit", .jpegHuffmanTable,
                sound.inserting(table([3], [0, 1, 2]), before: JPEG.scan)),
            rejected(
                "more codes than their length allows", .jpegHuffmanTable,
                sound.inserting(table([1, 3], [0, 1, 2, 3]), before: JPEG.scan)),
            rejected(
                "difference category 17", .jpegHuffmanTable, sound.inserting(table([1], [17]), before: JPEG.scan)),
            rejected(
                "more than 256 codes", .jpegHuffmanTable,
                sound.changing(JPEG.huffman) { $0.payload.replaceSubrange(1..<3, with: [255, 255]) }),
            rejected(
                "more codes than values", .jpegHuffmanTable, sound.changing(JPEG.huffman) { $0.payload[16] &+= 100 }),
            warned("an empty difference table", .corruptData, sound.inserting(table([], []), before: JPEG.scan)),
        ]
        for index: UInt8 in [4, 5, 0x0F, 0x14, 0x1F, 0x20, 0xFF] {
            cases.append(
                rejected("Huffman table \(index)", .jpegHuffmanTable, sound.replacing(JPEG.huffman, 0, index)))
        }
        for index: UInt8 in [4, 5, 15] {
            cases.append(
                rejected(
                    "quantization table \(index)", .jpegQuantizationTable, sound.replacing(JPEG.quantization, 0, index))
            )
        }
        for (index, value) in [(0x20, 0), (0xFF, 0), (0x00, 0x1F), (0x01, 0x0F)] as [(UInt8, UInt8)] {
            cases.append(
                rejected(
                    "arithmetic conditioning \(index) of \(value)", .jpegArithmeticTable,
                    sound.inserting([0xFF, 0xCC, 0, 4, index, value], before: JPEG.scan)))
        }
        return cases
    }

    private static func lengths(_ sound: JPEGBuilder) -> [Malformed] {
        var cases: [Malformed] = []
        let names: [(UInt8, String)] = [
            (JPEG.quantization, "quantization"), (JPEG.huffman, "Huffman"), (JPEG.frame, "frame"), (JPEG.scan, "scan"),
        ]
        for (marker, name) in names {
            for length: UInt16 in [0, 1, 3, 5] {
                cases.append(
                    rejected(
                        "\(name) segment of length \(length)", .jpegSegmentLength,
                        sound.changing(marker) { $0.length = length }))
            }
            cases.append(
                rejected(
                    "\(name) segment one byte longer", .jpegSegmentLength,
                    sound.changing(marker) { $0.payload.append(0) }))
        }
        for length: UInt8 in [0, 2, 3, 5, 6] {
            let restart = [0xFF, 0xDD, 0, length] + [UInt8](repeating: 0, count: max(Int(length) - 2, 0))
            cases.append(
                rejected(
                    "restart interval segment of length \(length)", .jpegSegmentLength,
                    sound.inserting(restart, before: JPEG.scan)))
        }
        cases.append(
            rejected(
                "comment longer than the file", .truncatedHeader,
                sound.inserting([0xFF, 0xFE, 0xFF, 0xFF], before: JPEG.frame)))
        return cases
    }

    private static func data(_ sound: JPEGBuilder) -> [Malformed] {
        func scan(_ change: @escaping (inout [UInt8]) -> Void) -> [UInt8] {
            sound.changing(JPEG.scan) { change(&$0.data) }
        }
        return [
            warned("no data", .corruptData, scan { $0 = [] }),
            warned("half of the data", .corruptData, scan { $0 = Array($0.prefix($0.count / 2)) }),
            warned(
                "half of the data and no end", .truncatedData,
                Array(scan { $0 = Array($0.prefix($0.count / 2)) }.dropLast(2))),
            warned("data of ones", .corruptData, scan { $0 = (0..<$0.count).flatMap { _ in [0xFF, 0x00] } }),
            warned("restart marker in the data", .corruptData, scan { $0.insert(contentsOf: [0xFF, 0xD0], at: 40) }),
            warned(
                "comment marker in the data", .corruptData, scan { $0.insert(contentsOf: [0xFF, 0xFE, 0, 2], at: 40) }),
            warned(
                "restart interval without markers", .corruptData,
                sound.inserting([0xFF, 0xDD, 0, 4, 0, 1], before: JPEG.scan)),
            warned("surplus data", .corruptData, scan { $0 += [1, 2, 3, 4, 5, 6, 7, 8] }),
        ]
    }

    /// Impossible parameters in the first scan of a progressive file.
    private static func progressions() throws -> [Malformed] {
        let reference = try #require(
            ReferenceImage.load("images/jpeg.json").first { $0.name.hasPrefix("ycc-22-11-11-progressive-restart0") })
        let sound = JPEGBuilder(reference.bytes)
        let offset = 1 + 2 * 3
        return
            ([
                ("spectral start behind end", 0, 5), ("spectral start 64", 0, 64),
                ("difference and other coefficients", 1, 5),
                ("spectral end 64", 1, 64), ("spectral end 255", 1, 255), ("approximation of 14 bits", 2, 0x0E),
                ("refinement by two bits", 2, 0x31), ("refinement by no bit", 2, 0x11),
            ] as [(String, Int, UInt8)]).map { name, field, value in
                rejected("progressive: \(name)", .jpegProgression, sound.replacing(JPEG.scan, offset + field, value))
            }
    }
}
