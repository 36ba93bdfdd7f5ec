import ZooCore

/// A container format, recognised by a file's first bytes and never by its name.
public enum ImageFormat: String, Sendable, CaseIterable {
    case jpeg = "JPEG"
    case png = "PNG"
    case webp = "WebP"
    case gif = "GIF"
    case bmp = "BMP"
    case tiff = "TIFF"
    case heif = "HEIF"
    case avif = "AVIF"
    case jpegXL = "JPEG XL"
    case jpeg2000 = "JPEG 2000"

    /// Whether this build decodes the format.
    public var isSupported: Bool { self == .jpeg || self == .png }

    /// The format whose signature `bytes` begin with, `nil` if it is none of the known ones.
    public static func detect(_ bytes: UnsafeRawBufferPointer) -> ImageFormat? {
        func has(_ signature: [UInt8], at offset: Int = 0) -> Bool {
            bytes.count >= offset + signature.count && zip(bytes[offset...], signature).allSatisfy { $0 == $1 }
        }
        func has(_ signature: String, at offset: Int = 0) -> Bool { has(Array(signature.utf8), at: offset) }

        if has([0xFF, 0xD8, 0xFF]) { return .jpeg }
        if has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
        if has("RIFF") && has("WEBP", at: 8) { return .webp }
        if has("GIF87a") || has("GIF89a") { return .gif }
        if has("BM") { return .bmp }
        if has([0x49, 0x49, 0x2A, 0x00]) || has([0x4D, 0x4D, 0x00, 0x2A]) { return .tiff }
        if has("ftypavif", at: 4) || has("ftypavis", at: 4) { return .avif }
        if ["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"].contains(where: { has("ftyp\($0)", at: 4) })
        {
            return .heif
        }
        if has([0xFF, 0x0A]) || has("JXL ", at: 4) { return .jpegXL }
        if has([0xFF, 0x4F, 0xFF, 0x51]) || has("jP  ", at: 4) { return .jpeg2000 }
        return nil
    }
}
