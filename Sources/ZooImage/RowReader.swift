import CImageShim
import ZooCore

/// A decoder that hands out one RGB row after the other, so that a huge image need not be held in memory.
final class RowReader {
    let format: ImageFormat
    let mode: PixelMode
    let height: Int
    let width: Int
    private let reader: OpaquePointer

    /// Reads everything up to the pixel data.
    ///
    /// - Parameter bytes: the whole file; must outlive the reader.
    /// - Throws: `ZooError` with the code of an `ImageDefect`.
    init(_ bytes: UnsafeRawBufferPointer, limits: ResourceLimits) throws {
        guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count > 0 else {
            throw ImageDefect.empty.error()
        }
        guard bytes.count <= limits.maxFileBytes else {
            throw ImageDefect.fileTooLarge.error(
                expected: "at most \(limits.maxFileBytes) bytes", found: "\(bytes.count) bytes")
        }
        guard let format = ImageFormat.detect(bytes) else {
            throw ImageDefect.unknownFormat.error(expected: "JPEG or PNG")
        }
        let shimLimits = cis_limits(
            max_pixels: UInt64(max(limits.maxPixels, 0)), max_bytes: UInt64(max(limits.maxDecodeBytes, 0)),
            max_scans: UInt32(clamping: limits.maxScans))
        var header = cis_header()
        var report = cis_report()
        let opened =
            switch format {
            case .jpeg: cis_jpeg_open(base, bytes.count, shimLimits, &header, &report)
            case .png: cis_png_open(base, bytes.count, shimLimits, &header, &report)
            default:
                throw ImageDefect.unsupportedFormat.error(
                    expected: "JPEG or PNG", found: format.rawValue, hint: "convert the file to PNG or JPEG")
            }
        guard let opened else { throw ZooError(report) }
        self.format = format
        self.mode = PixelMode(header.mode)
        self.height = Int(header.height)
        self.width = Int(header.width)
        self.reader = opened
    }

    deinit {
        cis_reader_close(reader)
    }

    /// Writes the next row, `3 * width` bytes. To be called `height` times.
    func next(into row: UnsafeMutablePointer<UInt8>) throws {
        var report = cis_report()
        guard cis_reader_next_row(reader, row, &report) == CIS_OK else { throw ZooError(report) }
    }

    /// Reads what follows the last row, and says whether the decoder had anything to complain about.
    func finish() -> ImageStatus {
        cis_reader_finish(reader)
        let warning = cis_reader_warning(reader)
        return warning.code == CIS_OK ? .ok : .warned(ZooError(warning))
    }
}
