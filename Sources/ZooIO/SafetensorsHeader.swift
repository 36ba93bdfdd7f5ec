import ZooCore

/// What can be wrong with a safetensors file, beyond its header not being JSON (`JSONDefect`).
public enum SafetensorsDefect: String, ParserDefect {
    case tooShort = "safetensors.too-short"
    case headerTooLong = "safetensors.header-too-long"
    case headerBeyondFile = "safetensors.header-beyond-file"
    case headerNotObject = "safetensors.header-not-object"
    case headerPadding = "safetensors.header-padding"
    case duplicateTensor = "safetensors.duplicate-tensor"
    case duplicateField = "safetensors.duplicate-field"
    case duplicateMetadata = "safetensors.duplicate-metadata"
    case unknownField = "safetensors.unknown-field"
    case missingField = "safetensors.missing-field"
    case unknownType = "safetensors.unknown-type"
    case emptyName = "safetensors.empty-name"
    case tooManyTensors = "safetensors.too-many-tensors"
    case tooManyDimensions = "safetensors.too-many-dimensions"
    case shapeOverflow = "safetensors.shape-overflow"
    case badOffsets = "safetensors.bad-offsets"
    case sizeMismatch = "safetensors.size-mismatch"
    case hole = "safetensors.hole"
    case overlap = "safetensors.overlap"
    case beyondFile = "safetensors.beyond-file"
    case trailingBytes = "safetensors.trailing-bytes"
}

/// What a safetensors file may claim before it is refused.
public struct SafetensorsLimits: Sendable {
    /// The format itself allows a header of 100 000 000 bytes.
    public static let formatHeaderBytes = 100_000_000

    /// The longest header that is looked at.
    public var maxHeaderBytes = 32 << 20
    public var maxTensors = 65_536
    /// The longest tensor name or metadata key, in bytes.
    public var maxNameBytes = 1024
    /// The longest metadata value, in bytes.
    public var maxMetadataBytes = 1 << 20
    public var maxDimensions = 8

    public init() {}
}

/// The parsed header of a safetensors file: an 8-byte length, that many bytes of JSON padded with spaces, then
/// the tensors' data without hole or overlap to the end of the file.
struct SafetensorsHeader {
    struct Record: Sendable {
        let info: TensorInfo
        /// Where the elements lie, from the start of the file.
        let range: Range<Int>
    }

    private(set) var tensors: [String: Record] = [:]
    private(set) var metadata: [String: String] = [:]
    private let limits: SafetensorsLimits

    /// Parses and checks everything that can be known without reading the elements.
    init(_ bytes: UnsafeRawBufferPointer, limits: SafetensorsLimits) throws {
        self.limits = limits
        var reader = BoundedReader(bytes, truncation: SafetensorsDefect.tooShort)
        let claimed = try reader.integer(UInt64.self, "the header length")
        guard claimed <= UInt64(limits.maxHeaderBytes) else {
            throw SafetensorsDefect.headerTooLong.error(
                "the header is too long", at: byteLocation(0), expected: "at most \(limits.maxHeaderBytes) bytes",
                found: "\(claimed)")
        }
        let length = Int(claimed)
        guard length <= reader.remaining else {
            throw SafetensorsDefect.headerBeyondFile.error(
                "the header does not fit into the file", at: byteLocation(0),
                expected: "at most \(reader.remaining) bytes", found: "\(length)", hint: "the file is truncated")
        }
        let range = try reader.take(length, "the header")
        guard !range.isEmpty, bytes[range.lowerBound] == UInt8(ascii: "{") else {
            throw SafetensorsDefect.headerNotObject.error(
                "the header must begin with '{'", at: byteLocation(range.lowerBound))
        }
        try parse(bytes, range)
        try checkLayout(dataStart: range.upperBound, fileEnd: bytes.count)
    }

    private mutating func parse(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws {
        var scanner = JSONScanner(bytes, in: range)
        var hasMetadata = false
        try scanner.object("the header", maxKey: limits.maxNameBytes) { scanner, name in
            guard name != "__metadata__" else {
                guard !hasMetadata else {
                    throw SafetensorsDefect.duplicateTensor.error(
                        "a name occurs twice", at: name, hint: "readers disagree about which one counts")
                }
                hasMetadata = true
                try parseMetadata(&scanner)
                return
            }
            try parseTensor(name, &scanner, dataStart: range.upperBound)
        }
        try scanner.expectOnly(padding: UInt8(ascii: " ")) { position in
            SafetensorsDefect.headerPadding.error(
                "only spaces may follow the header's JSON", at: byteLocation(position),
                found: "byte value \(bytes[position])")
        }
    }

    private mutating func parseMetadata(_ scanner: inout JSONScanner) throws {
        try scanner.object("__metadata__", maxKey: limits.maxNameBytes) { scanner, key in
            let value = try scanner.string("the metadata value of \(key)", maxBytes: limits.maxMetadataBytes)
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw SafetensorsDefect.duplicateMetadata.error("a metadata key occurs twice", at: key)
            }
        }
    }

    private mutating func parseTensor(_ name: String, _ scanner: inout JSONScanner, dataStart: Int) throws {
        guard !name.isEmpty else {
            throw SafetensorsDefect.emptyName.error("a tensor has no name", at: byteLocation(scanner.offset))
        }
        guard tensors.count < limits.maxTensors else {
            throw SafetensorsDefect.tooManyTensors.error(
                "there are too many tensors", at: name, expected: "at most \(limits.maxTensors)")
        }
        let fields = try parseFields(name, &scanner)
        guard let dtype = fields.dtype, let shape = fields.shape, let offsets = fields.offsets else {
            let absent = fields.dtype == nil ? "dtype" : fields.shape == nil ? "shape" : "data_offsets"
            throw SafetensorsDefect.missingField.error("the tensor's record lacks \(absent)", at: name)
        }
        guard let byteCount = checkedProduct(shape + [dtype.size]) else {
            throw SafetensorsDefect.shapeOverflow.error(
                "the shape's product does not fit into 64 bits", at: name, found: "\(shape)")
        }
        guard offsets.count == 2, offsets[0] <= offsets[1],
            let begin = checkedMultiplyAdd(dataStart, offsets[0], 1),
            let end = checkedMultiplyAdd(dataStart, offsets[1], 1)
        else {
            throw SafetensorsDefect.badOffsets.error(
                "data_offsets must be a begin and an end", at: name, found: "\(offsets)")
        }
        guard end - begin == byteCount else {
            throw SafetensorsDefect.sizeMismatch.error(
                "shape and type do not fit the data", at: name,
                expected: "\(byteCount) bytes for \(dtype.rawValue) \(shape)", found: "\(end - begin)")
        }
        let record = Record(info: TensorInfo(shape: shape, dtype: dtype), range: begin..<end)
        guard tensors.updateValue(record, forKey: name) == nil else {
            throw SafetensorsDefect.duplicateTensor.error(
                "a name occurs twice", at: name, hint: "readers disagree about which one counts")
        }
    }

    private struct Fields {
        var dtype: DType?
        var shape: [Int]?
        var offsets: [Int]?
    }

    private func parseFields(_ name: String, _ scanner: inout JSONScanner) throws -> Fields {
        var fields = Fields()
        try scanner.object(name, maxKey: limits.maxNameBytes) { scanner, field in
            switch field {
            case "dtype":
                try requireFirst(fields.dtype == nil, field, name)
                let spelling = try scanner.string("the dtype of \(name)", maxBytes: limits.maxNameBytes)
                guard let dtype = DType(rawValue: spelling) else {
                    throw SafetensorsDefect.unknownType.error(
                        "the element type is not supported", at: name,
                        expected: DType.allCases.map(\.rawValue).joined(separator: ", "), found: spelling)
                }
                fields.dtype = dtype
            case "shape":
                try requireFirst(fields.shape == nil, field, name)
                fields.shape = try counts("the shape of \(name)", &scanner, atMost: limits.maxDimensions) {
                    SafetensorsDefect.tooManyDimensions.error(
                        "the shape has too many dimensions", at: name, expected: "at most \(limits.maxDimensions)")
                }
            case "data_offsets":
                try requireFirst(fields.offsets == nil, field, name)
                fields.offsets = try counts("the data_offsets of \(name)", &scanner, atMost: 2) {
                    SafetensorsDefect.badOffsets.error(
                        "data_offsets must be a begin and an end", at: name, found: "more than two numbers")
                }
            default:
                throw SafetensorsDefect.unknownField.error(
                    "the tensor's record has an unknown field", at: name, expected: "dtype, shape, data_offsets",
                    found: field)
            }
        }
        return fields
    }

    private func counts(
        _ context: String, _ scanner: inout JSONScanner, atMost limit: Int, orThrow error: () -> ZooError
    ) throws -> [Int] {
        var values: [Int] = []
        try scanner.array(context) { scanner in
            guard values.count < limit else { throw error() }
            values.append(try scanner.count(context))
        }
        return values
    }

    private func requireFirst(_ isFirst: Bool, _ field: String, _ name: String) throws {
        guard !isFirst else { return }
        throw SafetensorsDefect.duplicateField.error("the tensor's record has \(field) twice", at: name)
    }

    /// The data must be covered from its first to its last byte, each byte by one tensor.
    private func checkLayout(dataStart: Int, fileEnd: Int) throws {
        let order = tensors.sorted {
            ($0.value.range.lowerBound, $0.value.range.upperBound, $0.key)
                < ($1.value.range.lowerBound, $1.value.range.upperBound, $1.key)
        }
        var position = dataStart
        for (name, record) in order {
            guard record.range.lowerBound <= position else {
                throw SafetensorsDefect.hole.error(
                    "bytes before this tensor belong to none", at: name, expected: "data from \(position - dataStart)",
                    found: "\(record.range.lowerBound - dataStart)")
            }
            guard record.range.lowerBound == position else {
                throw SafetensorsDefect.overlap.error(
                    "the tensor shares bytes with another one", at: name,
                    expected: "data from \(position - dataStart)", found: "\(record.range.lowerBound - dataStart)")
            }
            position = record.range.upperBound
        }
        guard position <= fileEnd else {
            throw SafetensorsDefect.beyondFile.error(
                "the tensors do not fit into the file", at: order.last?.key, expected: "\(position) bytes",
                found: "\(fileEnd)", hint: "the file is truncated")
        }
        guard position == fileEnd else {
            throw SafetensorsDefect.trailingBytes.error(
                "bytes follow the last tensor", at: byteLocation(position), expected: "\(position) bytes",
                found: "\(fileEnd)")
        }
    }
}
