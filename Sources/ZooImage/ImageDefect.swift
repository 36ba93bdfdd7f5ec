import CImageShim
import ZooCore

/// Everything that can be wrong with an image file. The raw value is the `code` of the `ZooError`.
public enum ImageDefect: String, Sendable, CaseIterable {
    case empty = "image.empty"
    case unknownFormat = "image.unknown-format"
    case unsupportedFormat = "image.unsupported-format"
    case outOfMemory = "image.out-of-memory"
    case fileTooLarge = "image.file-too-large"
    case tooManyPixels = "image.too-many-pixels"
    case tooMuchMemory = "image.too-much-memory"
    case truncatedHeader = "image.truncated-header"
    case truncatedData = "image.truncated-data"
    case corruptData = "image.corrupt-data"
    case wrongSize = "image.wrong-size"

    case jpegEmptyImage = "jpeg.empty-image"
    case jpegTooManyScans = "jpeg.too-many-scans"
    case jpegUnsupportedFrame = "jpeg.unsupported-frame"
    case jpegComponents = "jpeg.components"
    case jpegSegmentLength = "jpeg.segment-length"
    case jpegDuplicateMarker = "jpeg.duplicate-marker"
    case jpegMissingFrame = "jpeg.missing-frame"
    case jpegMissingScan = "jpeg.missing-scan"
    case jpegUnknownMarker = "jpeg.unknown-marker"
    case jpegHuffmanTable = "jpeg.huffman-table"
    case jpegQuantizationTable = "jpeg.quantization-table"
    case jpegArithmeticTable = "jpeg.arithmetic-table"
    case jpegSampling = "jpeg.sampling"
    case jpegProgression = "jpeg.progression"
    case jpegOther = "jpeg.other"

    case pngHeader = "png.header"
    case pngChunkOrder = "png.chunk-order"
    case pngChunkName = "png.chunk-name"
    case pngChunkLength = "png.chunk-length"
    case pngPalette = "png.palette"
    case pngChecksum = "png.checksum"
    case pngMissingData = "png.missing-data"
    case pngOther = "png.other"

    init(_ code: cis_code) {
        self =
            switch code {
            case CIS_NO_MEMORY: .outOfMemory
            case CIS_TOO_MANY_PIXELS: .tooManyPixels
            case CIS_TOO_MUCH_MEMORY: .tooMuchMemory
            case CIS_TRUNCATED_HEADER: .truncatedHeader
            case CIS_TRUNCATED_DATA: .truncatedData
            case CIS_CORRUPT_DATA: .corruptData
            case CIS_JPEG_EMPTY: .jpegEmptyImage
            case CIS_JPEG_TOO_MANY_SCANS: .jpegTooManyScans
            case CIS_JPEG_UNSUPPORTED_FRAME: .jpegUnsupportedFrame
            case CIS_JPEG_COMPONENTS: .jpegComponents
            case CIS_JPEG_SEGMENT_LENGTH: .jpegSegmentLength
            case CIS_JPEG_DUPLICATE_MARKER: .jpegDuplicateMarker
            case CIS_JPEG_MISSING_FRAME: .jpegMissingFrame
            case CIS_JPEG_MISSING_SCAN: .jpegMissingScan
            case CIS_JPEG_UNKNOWN_MARKER: .jpegUnknownMarker
            case CIS_JPEG_HUFFMAN_TABLE: .jpegHuffmanTable
            case CIS_JPEG_QUANTIZATION_TABLE: .jpegQuantizationTable
            case CIS_JPEG_ARITHMETIC_TABLE: .jpegArithmeticTable
            case CIS_JPEG_SAMPLING: .jpegSampling
            case CIS_JPEG_PROGRESSION: .jpegProgression
            case CIS_PNG_HEADER: .pngHeader
            case CIS_PNG_CHUNK_ORDER: .pngChunkOrder
            case CIS_PNG_CHUNK_NAME: .pngChunkName
            case CIS_PNG_CHUNK_LENGTH: .pngChunkLength
            case CIS_PNG_PALETTE: .pngPalette
            case CIS_PNG_CRC: .pngChecksum
            case CIS_PNG_MISSING_DATA: .pngMissingData
            case CIS_PNG_OTHER: .pngOther
            default: .jpegOther
            }
    }

    private var kind: ZooError.Kind {
        switch self {
        case .outOfMemory, .fileTooLarge, .tooManyPixels, .tooMuchMemory, .jpegTooManyScans: .limit
        default: .badData
        }
    }

    private var problem: String {
        switch self {
        case .empty: "the file is empty"
        case .unknownFormat: "this is no image file"
        case .unsupportedFormat: "unsupported image format"
        case .outOfMemory: "not enough memory to decode the image"
        case .fileTooLarge: "the file is larger than the limit"
        case .tooManyPixels: "the image has more pixels than the limit"
        case .tooMuchMemory: "decoding the image would take more memory than the limit"
        case .truncatedHeader: "the file ends before the pixel data"
        case .truncatedData: "the file ends inside the pixel data"
        case .corruptData: "the pixel data are corrupt"
        case .wrongSize: "the image does not have the model's input size"
        case .jpegEmptyImage: "the JPEG image has a side of zero pixels"
        case .jpegTooManyScans: "the JPEG file has more scans than the limit"
        case .jpegUnsupportedFrame: "unsupported JPEG process"
        case .jpegComponents: "unsupported JPEG components"
        case .jpegSegmentLength: "a JPEG segment has a wrong length"
        case .jpegDuplicateMarker: "a JPEG marker occurs twice"
        case .jpegMissingFrame: "the JPEG file has no frame header"
        case .jpegMissingScan: "the JPEG file has no scan"
        case .jpegUnknownMarker: "unknown JPEG marker"
        case .jpegHuffmanTable: "ill-formed or missing Huffman table"
        case .jpegQuantizationTable: "ill-formed or missing quantization table"
        case .jpegArithmeticTable: "ill-formed arithmetic coding conditions"
        case .jpegSampling: "unsupported JPEG sampling factors"
        case .jpegProgression: "impossible progressive JPEG parameters"
        case .jpegOther: "malformed JPEG file"
        case .pngHeader: "malformed PNG header"
        case .pngChunkOrder: "a PNG chunk is missing or out of place"
        case .pngChunkName: "a PNG chunk has an impossible name"
        case .pngChunkLength: "a PNG chunk has an impossible length"
        case .pngPalette: "missing or ill-formed PNG palette"
        case .pngChecksum: "wrong PNG checksum"
        case .pngMissingData: "the PNG file holds fewer rows than its header claims"
        case .pngOther: "malformed PNG file"
        }
    }

    func error(expected: String? = nil, found: String? = nil, hint: String? = nil) -> ZooError {
        ZooError(kind, problem, expected: expected, found: found, hint: hint, code: rawValue)
    }
}

extension ZooError {
    /// The defect that the C shim reports, with the library's own words as what was found.
    init(_ report: cis_report) {
        let words = withUnsafeBytes(of: report.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        self = ImageDefect(report.code).error(found: words)
    }
}
