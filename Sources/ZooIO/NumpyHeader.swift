import ZooCore

/// What can be wrong with a file of numpy arrays.
public enum NumpyDefect: String, ParserDefect {
    case badMagic = "numpy.bad-magic"
    case badVersion = "numpy.bad-version"
    case badHeader = "numpy.bad-header"
    case objects = "numpy.objects"
    case unsupportedType = "numpy.unsupported-type"
    case badShape = "numpy.bad-shape"
    case wrongSize = "numpy.wrong-size"
    case unknownEntry = "numpy.unknown-entry"
}

/// The beginning of a `.npy` array (NEP 1): magic, version, and a dictionary in Python's notation with element type,
/// order and shape. The dictionary is scanned, never evaluated.
struct NumpyHeader: Equatable {
    let info: TensorInfo
    /// Whether the first index runs fastest.
    let isFortranOrder: Bool
    /// Where the elements begin.
    let byteCount: Int

    /// The longest header, as in numpy.
    static let maxBytes = 10_012
    private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    private static let maxDimensions = 32

    /// Parses the header at the start of `bytes`.
    ///
    /// - Parameter total: bytes of header and elements together.
    /// - Throws: `NumpyDefect` errors.
    init(_ bytes: UnsafeRawBufferPointer, total: Int) throws {
        var reader = BoundedReader(bytes, truncation: NumpyDefect.badHeader)
        guard bytes[try reader.take(Self.magic.count, "the magic number")].elementsEqual(Self.magic) else {
            throw NumpyDefect.badMagic.error("not a numpy array", expected: "\\x93NUMPY")
        }
        let version = try reader.integer(UInt8.self, "the version")
        _ = try reader.integer(UInt8.self, "the version")
        guard (1...3).contains(version) else {
            throw NumpyDefect.badVersion.error("unknown version", expected: "1, 2 or 3", found: "\(version)")
        }
        let length =
            version == 1
            ? Int(try reader.integer(UInt16.self, "the header's length"))
            : Int(try reader.integer(UInt32.self, "the header's length"))
        let text = try reader.take(length, "the header")
        byteCount = reader.offset
        var dictionary = PythonLiterals(bytes, in: text)
        (info, isFortranOrder) = try dictionary.arrayDescription()
        guard info.shape.count <= Self.maxDimensions, let elements = checkedProduct(info.shape),
            let size = checkedMultiplyAdd(byteCount, elements, info.dtype.size)
        else {
            throw NumpyDefect.badShape.error("the shape is impossible", found: "\(info.shape)")
        }
        guard size == total else {
            throw NumpyDefect.wrongSize.error(
                "the elements do not fill the entry", expected: "\(size - byteCount) bytes for \(info.shape)",
                found: "\(total - byteCount)")
        }
    }

    /// The header of an array in row-major order, with its magic number, padded as numpy does.
    static func bytes(for info: TensorInfo) -> [UInt8] {
        let shape = info.shape.map { "\($0)" }.joined(separator: ", ") + (info.shape.count == 1 ? "," : "")
        var text = "{'descr': '\(descriptor(of: info.dtype))', 'fortran_order': False, 'shape': (\(shape)), }"
        let prefix = magic.count + 4
        text += String(repeating: " ", count: 63 - (prefix + text.utf8.count) % 64) + "\n"
        let length = UInt16(text.utf8.count)
        return magic + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(text.utf8)
    }

    private static func descriptor(of dtype: DType) -> String {
        guard let entry = types.first(where: { $0.value == dtype }) else {
            preconditionFailure("numpy has no \(dtype.rawValue)")
        }
        return entry.key
    }

    fileprivate static let types: [String: DType] = [
        "|u1": .uint8, "|i1": .int8, "|b1": .bool, "<i2": .int16, "<i4": .int32, "<i8": .int64, "<f2": .float16,
        "<f4": .float32, "<f8": .float64,
    ]
}

/// A scanner for the few Python literals of a numpy header.
private struct PythonLiterals {
    private let bytes: UnsafeRawBufferPointer
    private var position: Int
    private let end: Int

    init(_ bytes: UnsafeRawBufferPointer, in range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    /// `{'descr': ..., 'fortran_order': ..., 'shape': ..., }` with the keys in any order, once each.
    mutating func arrayDescription() throws -> (TensorInfo, isFortranOrder: Bool) {
        var dtype: DType?
        var isFortranOrder: Bool?
        var shape: [Int]?
        try expect("{")
        while !accept("}") {
            let key = try string()
            try expect(":")
            switch key {
            case "descr" where dtype == nil: dtype = try type()
            case "fortran_order" where isFortranOrder == nil: isFortranOrder = try boolean()
            case "shape" where shape == nil: shape = try tuple()
            default: throw defect("unexpected key '\(key)'")
            }
            if !accept(",") {
                try expect("}")
                break
            }
        }
        skipSpace()
        guard position == end else { throw defect("text follows the dictionary") }
        guard let dtype, let isFortranOrder, let shape else { throw defect("a key is missing") }
        return (TensorInfo(shape: shape, dtype: dtype), isFortranOrder)
    }

    private mutating func type() throws -> DType {
        if accept("[") {
            throw NumpyDefect.unsupportedType.error("arrays of records are not read", at: byteLocation(position))
        }
        let name = try string()
        guard !name.hasPrefix("|O"), name != "O" else {
            throw NumpyDefect.objects.error(
                "the array holds Python objects, which are pickled and never read", expected: "an array of numbers")
        }
        guard let dtype = NumpyHeader.types[name] else {
            throw NumpyDefect.unsupportedType.error(
                "the element type is not read", expected: NumpyHeader.types.keys.sorted().joined(separator: ", "),
                found: name)
        }
        return dtype
    }

    private mutating func string() throws -> String {
        skipSpace()
        guard position < end, bytes[position] == UInt8(ascii: "'") || bytes[position] == UInt8(ascii: "\"") else {
            throw defect("a string is expected")
        }
        let quote = bytes[position]
        let start = position + 1
        guard let close = bytes[start..<end].firstIndex(of: quote), close - start <= 64 else {
            throw defect("a string does not end")
        }
        position = close + 1
        return String(decoding: bytes[start..<close], as: UTF8.self)
    }

    private mutating func boolean() throws -> Bool {
        if acceptWord("True") { return true }
        if acceptWord("False") { return false }
        throw defect("True or False is expected")
    }

    private mutating func tuple() throws -> [Int] {
        try expect("(")
        var values: [Int] = []
        while !accept(")") {
            values.append(try integer())
            if !accept(",") {
                try expect(")")
                break
            }
        }
        return values
    }

    private mutating func integer() throws -> Int {
        skipSpace()
        let digits = bytes[position..<end].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard let value = Int(String(decoding: digits, as: UTF8.self)) else {
            throw defect("a dimension is expected")
        }
        position = digits.endIndex
        return value
    }

    private mutating func skipSpace() {
        while position < end, bytes[position] == 0x20 || bytes[position] == 0x0A { position += 1 }
    }

    private mutating func accept(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < end, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func acceptWord(_ word: String) -> Bool {
        skipSpace()
        guard bytes[position..<end].starts(with: word.utf8) else { return false }
        position += word.utf8.count
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard accept(character) else { throw defect("'\(character)' is expected") }
    }

    private func defect(_ problem: String) -> ZooError {
        NumpyDefect.badHeader.error("the header is malformed: \(problem)", at: byteLocation(position))
    }
}
