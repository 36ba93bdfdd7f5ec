import CImageShim
import ZooCore

/// How a file stores its pixels, under Pillow's names.
public enum PixelMode: String, Sendable {
    case bilevel = "1"
    case grey = "L"
    case grey16 = "I;16"
    case greyAlpha = "LA"
    case palette = "P"
    case rgb = "RGB"
    case rgba = "RGBA"
    case cmyk = "CMYK"

    init(_ mode: cis_mode) {
        self =
            switch mode {
            case CIS_MODE_BILEVEL: .bilevel
            case CIS_MODE_GREY: .grey
            case CIS_MODE_GREY16: .grey16
            case CIS_MODE_GREY_ALPHA: .greyAlpha
            case CIS_MODE_PALETTE: .palette
            case CIS_MODE_RGBA: .rgba
            case CIS_MODE_CMYK: .cmyk
            default: .rgb
            }
    }
}

/// What became of one image of a data set. Nothing is ever dropped or replaced silently.
public enum ImageStatus: Sendable, Equatable {
    /// Decoded without complaint.
    case ok
    /// Decoded, but not as its maker meant it: truncated data, corrupt data, or trailing defects. The error is what
    /// a stricter reader would have thrown.
    case warned(ZooError)
    /// Not decoded.
    case failed(ZooError)
}

/// An image and how it came to be.
public struct DecodedImage: Sendable, Equatable {
    public let image: RGBImage
    /// `ok` or `warned`; what cannot be decoded is thrown.
    public let status: ImageStatus
    public let format: ImageFormat
    /// The file's own pixel format, before the conversion to RGB.
    public let mode: PixelMode

    /// The same image with the file's name in the warning.
    func naming(file: String) -> DecodedImage {
        guard case .warned(let error) = status else { return self }
        return DecodedImage(image: image, status: .warned(error.naming(file: file)), format: format, mode: mode)
    }
}

/// Decodes JPEG and PNG to RGB exactly as `Image.open(file).convert("RGB")` of Pillow 11 does.
///
/// The format is chosen by content. EXIF orientation, colour profiles and gamma are ignored; alpha is dropped without
/// compositing. The one deliberate difference: 16-bit grey is scaled to 8 bits by rounding, where Pillow clips.
public enum ImageDecoder {
    /// Decodes the file at `path`.
    ///
    /// - Throws: `ZooError` naming the file; its code is that of an `ImageDefect`, or `file.*` if it cannot be read.
    public static func decode(file path: String, limits: ResourceLimits) throws -> DecodedImage {
        try ImageFile.withBytes(of: path, limits: limits) { try decode($0, limits: limits).naming(file: path) }
    }

    /// Decodes the bytes of a file.
    ///
    /// - Throws: `ZooError` with the code of an `ImageDefect`.
    public static func decode(_ bytes: [UInt8], limits: ResourceLimits) throws -> DecodedImage {
        try bytes.withUnsafeBytes { try decode($0, limits: limits) }
    }

    /// Decodes the bytes of a file.
    ///
    /// - Throws: `ZooError` with the code of an `ImageDefect`.
    public static func decode(_ bytes: UnsafeRawBufferPointer, limits: ResourceLimits) throws -> DecodedImage {
        let reader = try RowReader(bytes, limits: limits)
        let stride = 3 * reader.width
        // The limit on pixels keeps the product far from overflow, except where the caller has lifted it.
        let (size, overflow) = stride.multipliedReportingOverflow(by: reader.height)
        guard !overflow, size <= limits.maxDecodeBytes else {
            throw ImageDefect.tooMuchMemory.error(
                expected: "at most \(limits.maxDecodeBytes) bytes", found: "\(reader.width)x\(reader.height) pixels")
        }
        let pixels = try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            for y in 0..<reader.height {
                try reader.next(into: base + y * stride)
                count += stride
            }
        }
        return DecodedImage(
            image: RGBImage(height: reader.height, width: reader.width, pixels: pixels), status: reader.finish(),
            format: reader.format, mode: reader.mode)
    }
}
