import ZooCore
import ZooImage

/// Takes a sound JPEG file apart into segments and puts it together again with defects.
struct JPEGBuilder {
    struct Segment {
        var marker: UInt8
        /// What follows the length field.
        var payload: [UInt8]
        /// The entropy-coded data behind a start of scan.
        var data: [UInt8] = []
        /// A wrong length field, if the defect is there.
        var length: UInt16?

        var bytes: [UInt8] {
            let length = length ?? UInt16(payload.count + 2)
            return [0xFF, marker, UInt8(length >> 8), UInt8(length & 255)] + payload + data
        }
    }

    var segments: [Segment]

    static let quantization: UInt8 = 0xDB
    static let huffman: UInt8 = 0xC4
    static let frame: UInt8 = 0xC0
    static let scan: UInt8 = 0xDA

    /// The segments of a sound baseline or progressive file without restart markers.
    init(_ file: [UInt8]) {
        segments = []
        var position = 2
        while position + 4 <= file.count, file[position + 1] != 0xD9 {
            let length = Int(file[position + 2]) << 8 | Int(file[position + 3])
            var segment = Segment(
                marker: file[position + 1], payload: Array(file[(position + 4)..<(position + 2 + length)]))
            position += 2 + length
            if segment.marker == JPEGBuilder.scan {
                let start = position
                while !(file[position] == 0xFF && file[position + 1] != 0) { position += 1 }
                segment.data = Array(file[start..<position])
            }
            segments.append(segment)
        }
    }

    /// A colour image of 24 x 17 pixels, 4:2:0, whose tables are one per segment.
    static func sound() throws -> JPEGBuilder {
        JPEGBuilder(try ImageEncoder.jpeg(noise(height: 17, width: 24), quality: 75, subsampled: true))
    }

    var bytes: [UInt8] { [0xFF, 0xD8] + segments.flatMap(\.bytes) + [0xFF, 0xD9] }

    private func index(_ marker: UInt8) -> Int { segments.firstIndex { $0.marker == marker } ?? 0 }

    /// The file with its first segment of that marker changed.
    func changing(_ marker: UInt8, _ change: (inout Segment) -> Void) -> [UInt8] {
        var copy = self
        change(&copy.segments[index(marker)])
        return copy.bytes
    }

    /// The file with one byte of that segment's payload replaced.
    func replacing(_ marker: UInt8, _ offset: Int, _ byte: UInt8) -> [UInt8] {
        changing(marker) { $0.payload[offset] = byte }
    }

    func removing(_ marker: UInt8) -> [UInt8] {
        var copy = self
        copy.segments.removeAll { $0.marker == marker }
        return copy.bytes
    }

    /// The file with raw bytes in front of the first segment of that marker.
    func inserting(_ raw: [UInt8], before marker: UInt8) -> [UInt8] {
        let place = index(marker)
        let (head, tail) = (segments[..<place], segments[place...])
        return [0xFF, 0xD8] + head.flatMap(\.bytes) + raw + tail.flatMap(\.bytes) + [0xFF, 0xD9]
    }
}
