import ZooCore

/// What can be wrong with a JSON header.
public enum JSONDefect: String, ParserDefect {
    case unexpectedEnd = "json.unexpected-end"
    case unexpectedByte = "json.unexpected-byte"
    case controlCharacter = "json.control-character"
    case badEscape = "json.bad-escape"
    case badUTF8 = "json.bad-utf8"
    case badNumber = "json.bad-number"
    case numberTooLarge = "json.number-too-large"
    case stringTooLong = "json.string-too-long"
    case tooDeep = "json.too-deep"
}

/// A strict, forward-only reader of JSON text (RFC 8259) for callers that know the structure they expect.
///
/// It builds no tree: the caller asks for an object, a string, a count, and is refused if something else is
/// there. Depth is a counter, not recursion, so hostile nesting costs nothing.
struct JSONScanner {
    private let bytes: UnsafeRawBufferPointer
    private let end: Int
    /// Where the next token is looked for, from the start of the file.
    private(set) var offset: Int

    init(_ bytes: UnsafeRawBufferPointer, in range: Range<Int>) {
        self.bytes = bytes
        self.offset = range.lowerBound
        self.end = min(range.upperBound, bytes.count)
    }

    /// The next byte that is not white space, without consuming it; `nil` at the end.
    mutating func peek() -> UInt8? {
        while offset < end {
            switch bytes[offset] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): offset += 1
            case let byte: return byte
            }
        }
        return nil
    }

    /// Consumes `byte` or throws.
    mutating func expect(_ byte: UInt8, _ context: String) throws {
        guard let found = peek() else { throw unexpectedEnd(context) }
        guard found == byte else { throw unexpected(found, context, expected: spell(byte)) }
        offset += 1
    }

    /// Consumes `byte` if it is next.
    mutating func consume(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        offset += 1
        return true
    }

    /// Reads `{ "key": <member> , ... }`; `member` must consume the value of the key it is given.
    mutating func object(_ context: String, maxKey: Int, member: (inout JSONScanner, String) throws -> Void) throws {
        try expect(UInt8(ascii: "{"), context)
        if consume(UInt8(ascii: "}")) { return }
        repeat {
            let key = try string("a key of \(context)", maxBytes: maxKey)
            try expect(UInt8(ascii: ":"), context)
            try member(&self, key)
        } while consume(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"), context)
    }

    /// Reads `[ <element> , ... ]`.
    mutating func array(_ context: String, element: (inout JSONScanner) throws -> Void) throws {
        try expect(UInt8(ascii: "["), context)
        if consume(UInt8(ascii: "]")) { return }
        repeat {
            try element(&self)
        } while consume(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"), context)
    }

    /// Reads a non-negative integer without fraction or exponent.
    mutating func count(_ context: String) throws -> Int {
        guard let first = peek() else { throw unexpectedEnd(context) }
        let start = offset
        guard isDigit(first) else { throw badNumber(context, at: start, found: spell(first)) }
        var value = 0
        while offset < end, isDigit(bytes[offset]) {
            guard let next = checkedMultiplyAdd(Int(bytes[offset] - UInt8(ascii: "0")), value, 10) else {
                throw JSONDefect.numberTooLarge.error("\(context) does not fit into 64 bits", at: byteLocation(start))
            }
            value = next
            offset += 1
        }
        guard first != UInt8(ascii: "0") || offset == start + 1 else {
            throw badNumber(context, at: start, found: "a leading zero")
        }
        if offset < end, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[offset]) {
            throw badNumber(context, at: start, found: "a fraction or exponent")
        }
        return value
    }

    /// Reads a string of at most `maxBytes` bytes between its quotes.
    mutating func string(_ context: String, maxBytes: Int) throws -> String {
        try expect(UInt8(ascii: "\""), context)
        let start = offset
        var unescaped: [UInt8]?
        while offset < end {
            let byte = bytes[offset]
            guard offset - start <= maxBytes else {
                throw JSONDefect.stringTooLong.error(
                    "\(context) is too long", at: byteLocation(start), expected: "at most \(maxBytes) bytes")
            }
            switch byte {
            case UInt8(ascii: "\""):
                offset += 1
                return try utf8(unescaped, or: start..<(offset - 1), context)
            case UInt8(ascii: "\\"):
                if unescaped == nil { unescaped = Array(bytes[start..<offset]) }
                let scalar = try escape(context)
                unescaped?.append(contentsOf: Array(String(Character(scalar)).utf8))
            case 0..<0x20:
                throw JSONDefect.controlCharacter.error(
                    "a control character inside \(context)", at: byteLocation(offset), found: spell(byte))
            default:
                unescaped?.append(byte)
                offset += 1
            }
        }
        throw unexpectedEnd(context)
    }

    /// Passes over one value of any type.
    mutating func skipValue(_ context: String, maxDepth: Int) throws {
        var closers: [UInt8] = []
        values: while true {
            switch peek() {
            case nil: throw unexpectedEnd(context)
            case UInt8(ascii: "{"):
                try open(UInt8(ascii: "}"), &closers, maxDepth, context)
                if !consume(UInt8(ascii: "}")) {
                    try skipKey(context)
                    continue values
                }
                closers.removeLast()
            case UInt8(ascii: "["):
                try open(UInt8(ascii: "]"), &closers, maxDepth, context)
                if !consume(UInt8(ascii: "]")) { continue values }
                closers.removeLast()
            case UInt8(ascii: "\""): _ = try string(context, maxBytes: end)
            case let first?: try skipLiteral(first, context)
            }
            while let closer = closers.last {
                if consume(UInt8(ascii: ",")) {
                    if closer == UInt8(ascii: "}") { try skipKey(context) }
                    continue values
                }
                try expect(closer, context)
                closers.removeLast()
            }
            return
        }
    }

    /// Requires that only `padding` bytes follow.
    func expectOnly(padding: UInt8, orThrow error: (Int) -> ZooError) throws {
        for position in offset..<end where bytes[position] != padding { throw error(position) }
    }

    private mutating func open(_ closer: UInt8, _ closers: inout [UInt8], _ maxDepth: Int, _ context: String) throws {
        guard closers.count < maxDepth else {
            throw JSONDefect.tooDeep.error(
                "\(context) is nested too deeply", at: byteLocation(offset), expected: "at most \(maxDepth) levels")
        }
        offset += 1
        closers.append(closer)
    }

    private mutating func skipKey(_ context: String) throws {
        _ = try string("a key of \(context)", maxBytes: end)
        try expect(UInt8(ascii: ":"), context)
    }

    /// A number, `true`, `false` or `null`.
    private mutating func skipLiteral(_ first: UInt8, _ context: String) throws {
        let start = offset
        while offset < end, isLiteralByte(bytes[offset]) { offset += 1 }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if ["true", "false", "null"].contains(text) { return }
        guard isDigit(first) || first == UInt8(ascii: "-") else {
            offset = start
            throw unexpected(first, context, expected: "a value")
        }
        guard Double(text) != nil else { throw badNumber(context, at: start, found: text) }
    }

    /// Decodes the escape sequence at `offset`, joining surrogate pairs.
    private mutating func escape(_ context: String) throws -> Unicode.Scalar {
        let start = offset
        offset += 1
        guard offset < end else { throw unexpectedEnd(context) }
        let kind = bytes[offset]
        offset += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(kind)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let unit = try hexUnit(context, escapeStart: start)
            if let scalar = Unicode.Scalar(unit) { return scalar }
            if UTF16.isLeadSurrogate(unit), offset + 1 < end, bytes[offset] == UInt8(ascii: "\\"),
                bytes[offset + 1] == UInt8(ascii: "u")
            {
                offset += 2
                let trail = try hexUnit(context, escapeStart: start)
                let value = 0x10000 + ((UInt32(unit) & 0x3FF) << 10 | (UInt32(trail) & 0x3FF))
                if UTF16.isTrailSurrogate(trail), let scalar = Unicode.Scalar(value) { return scalar }
            }
            throw JSONDefect.badEscape.error("an unpaired surrogate in \(context)", at: byteLocation(start))
        default:
            throw JSONDefect.badEscape.error(
                "an unknown escape in \(context)", at: byteLocation(start), found: spell(kind))
        }
    }

    private mutating func hexUnit(_ context: String, escapeStart: Int) throws -> UInt16 {
        guard end - offset >= 4 else { throw unexpectedEnd(context) }
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[offset])).hexDigitValue else {
                throw JSONDefect.badEscape.error(
                    "four hexadecimal digits must follow \\u in \(context)", at: byteLocation(escapeStart),
                    found: spell(bytes[offset]))
            }
            unit = unit << 4 | UInt16(digit)
            offset += 1
        }
        return unit
    }

    private func utf8(_ unescaped: [UInt8]?, or range: Range<Int>, _ context: String) throws -> String {
        let text =
            unescaped.map { String(validating: $0, as: UTF8.self) }
            ?? String(validating: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
        guard let text else {
            throw JSONDefect.badUTF8.error("\(context) is not valid UTF-8", at: byteLocation(range.lowerBound))
        }
        return text
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private func isLiteralByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "E")
            || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    private func spell(_ byte: UInt8) -> String {
        (0x20..<0x7F).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "byte value \(byte)"
    }

    private func unexpectedEnd(_ context: String) -> ZooError {
        JSONDefect.unexpectedEnd.error("the JSON text ends inside \(context)", at: byteLocation(offset))
    }

    private func unexpected(_ found: UInt8, _ context: String, expected: String) -> ZooError {
        JSONDefect.unexpectedByte.error(
            "unexpected JSON in \(context)", at: byteLocation(offset), expected: expected, found: spell(found))
    }

    private func badNumber(_ context: String, at start: Int, found: String) -> ZooError {
        JSONDefect.badNumber.error(
            "a malformed number in \(context)", at: byteLocation(start), expected: "a non-negative integer",
            found: found)
    }
}
