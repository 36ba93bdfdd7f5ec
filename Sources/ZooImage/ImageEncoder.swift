import CImageShim
import ZooCore

/// Compresses 8-bit images. The result is a file's content; writing it is the caller's part.
public enum ImageEncoder {
    /// A PNG text entry, such as the parameters an image was generated with.
    public struct Text: Sendable, Equatable {
        /// 1 to 79 printable ASCII characters.
        public let keyword: String
        /// Any text without NUL.
        public let value: String

        public init(_ keyword: String, _ value: String) {
            self.keyword = keyword
            self.value = value
        }
    }

    /// A PNG file with 8-bit RGB pixels.
    ///
    /// - Throws: `ZooError` for a text entry that PNG cannot hold, or when memory is out.
    public static func png(_ image: RGBImage, text: [Text] = []) throws -> [UInt8] {
        try png(image.pixels, height: image.height, width: image.width, channels: 3, text: text)
    }

    /// A PNG file with 8-bit grey pixels, `height` rows of `width` bytes.
    ///
    /// - Throws: `ZooError` for a text entry that PNG cannot hold, or when memory is out.
    /// - Precondition: `grey.count` is `height * width`, both sides positive.
    public static func png(grey: [UInt8], height: Int, width: Int, text: [Text] = []) throws -> [UInt8] {
        precondition(height > 0 && width > 0 && grey.count == height * width, "\(grey.count) bytes of grey pixels")
        return try png(grey, height: height, width: width, channels: 1, text: text)
    }

    /// A baseline JPEG file, accurate DCT.
    ///
    /// - Parameters:
    ///   - quality: libjpeg's scale of 1...100.
    ///   - subsampled: whether chroma has half the resolution on both axes (4:2:0) or the full one (4:4:4).
    /// - Throws: `ZooError` for a side above 65500 pixels or a quality out of range.
    public static func jpeg(_ image: RGBImage, quality: Int = 95, subsampled: Bool = false) throws -> [UInt8] {
        guard (1...100).contains(quality) else {
            throw ZooError(
                .usage, "no such JPEG quality", expected: "1...100", found: "\(quality)", code: "image.quality")
        }
        return try encoded(height: image.height, width: image.width, limit: 65500) { height, width, bytes, report in
            cis_jpeg_write(image.pixels, width, height, 3, Int32(quality), subsampled, &bytes, &report)
        }
    }

    private static func png(
        _ pixels: [UInt8], height: Int, width: Int, channels: UInt32, text: [Text]
    ) throws -> [UInt8] {
        for entry in text {
            let keyword = entry.keyword.utf8
            let printable = keyword.allSatisfy { (0x20...0x7E).contains($0) }
            guard (1...79).contains(keyword.count), printable,
                !entry.value.utf8.contains(0)
            else {
                throw ZooError(
                    .usage, "a PNG file cannot hold this text entry", at: entry.keyword,
                    expected: "a keyword of 1...79 printable ASCII characters and a text without NUL",
                    code: "image.text")
            }
        }
        return try withTexts(text[...], []) { texts in
            try encoded(height: height, width: width, limit: Int(Int32.max)) { height, width, bytes, report in
                cis_png_write(pixels, width, height, channels, texts, texts.count, &bytes, &report)
            }
        }
    }

    /// Calls `body` with C strings that live as long as the call.
    private static func withTexts<R>(
        _ rest: ArraySlice<Text>, _ done: [cis_text], _ body: ([cis_text]) throws -> R
    ) rethrows -> R {
        guard let entry = rest.first else { return try body(done) }
        return try entry.keyword.withCString { keyword in
            try entry.value.withCString { value in
                let plain = entry.value.utf8.allSatisfy { $0 < 0x80 }
                let text = cis_text(keyword: keyword, text: value, utf8: !plain)
                return try withTexts(rest.dropFirst(), done + [text], body)
            }
        }
    }

    private static func encoded(
        height: Int, width: Int, limit: Int,
        _ write: (_ height: UInt32, _ width: UInt32, inout cis_bytes, inout cis_report) -> cis_code
    ) throws -> [UInt8] {
        guard height <= limit, width <= limit else {
            throw ZooError(
                .usage, "the format cannot hold an image of this size", expected: "sides of at most \(limit) pixels",
                found: "\(width)x\(height)", code: "image.side")
        }
        var bytes = cis_bytes()
        var report = cis_report()
        guard write(UInt32(height), UInt32(width), &bytes, &report) == CIS_OK else { throw ZooError(report) }
        defer { cis_bytes_free(&bytes) }
        return Array(UnsafeBufferPointer(start: bytes.data, count: bytes.size))
    }
}
