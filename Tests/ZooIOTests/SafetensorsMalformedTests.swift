import TestSupport
import Testing
import ZooCore
import ZooIO

/// Every way in which a safetensors file can be wrong, one at a time.
@Suite struct SafetensorsMalformedTests {
    /// A file with the given header text and `data` zero bytes; `length` overrides what the first 8 bytes claim.
    private static func file(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
        file(Array(header.utf8), data: data, length: length)
    }

    private static func file(_ header: [UInt8], data: Int = 0, length: UInt64? = nil) -> [UInt8] {
        le(length ?? UInt64(header.count)) + header + [UInt8](repeating: 0, count: data)
    }

    /// A file with one tensor `a` whose record has the given fields.
    private static func record(_ fields: String, data: Int = 4) -> [UInt8] { file("{\"a\":{\(fields)}}", data: data) }

    private static func tensor(_ name: String, _ begin: Int, _ end: Int) -> String {
        "\"\(name)\":{\"dtype\":\"U8\",\"shape\":[\(end - begin)],\"data_offsets\":[\(begin),\(end)]}"
    }

    private static let good = "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"

    private static let length: [Malformed] = [
        Malformed("empty file", SafetensorsDefect.tooShort, at: "byte 0", []),
        Malformed("one byte", SafetensorsDefect.tooShort, at: "byte 0", [1]),
        Malformed("seven bytes", SafetensorsDefect.tooShort, at: "byte 0", [2, 0, 0, 0, 0, 0, 0]),
        Malformed("length only", SafetensorsDefect.headerBeyondFile, at: "byte 0", le(UInt64(2))),
        Malformed("length zero", SafetensorsDefect.headerNotObject, at: "byte 8", le(UInt64(0))),
        Malformed("length zero with data", SafetensorsDefect.headerNotObject, at: "byte 8", file("", data: 9)),
        Malformed("length one too long", SafetensorsDefect.headerBeyondFile, at: "byte 0", file("{}", length: 3)),
        Malformed("length one too short", JSONDefect.unexpectedEnd, at: "byte 9", file("{}", length: 1)),
        Malformed("length 2^63", SafetensorsDefect.headerTooLong, at: "byte 0", file("{}", length: 1 << 63)),
        Malformed("length 2^63-1", SafetensorsDefect.headerTooLong, at: "byte 0", file("{}", length: (1 << 63) - 1)),
        Malformed("length 2^64-1", SafetensorsDefect.headerTooLong, at: "byte 0", file("{}", length: .max)),
        Malformed("length 2^64-8", SafetensorsDefect.headerTooLong, at: "byte 0", file("{}", length: .max - 7)),
        Malformed(
            "length over the cap", SafetensorsDefect.headerTooLong, at: "byte 0", file("{}", length: 32 << 20 | 1)),
        Malformed("length at the cap", SafetensorsDefect.headerBeyondFile, at: "byte 0", file("{}", length: 32 << 20)),
        Malformed(
            "length as big endian", SafetensorsDefect.headerTooLong, at: "byte 0",
            file("{}", length: UInt64(2).bigEndian)),
    ]

    private static let frame: [Malformed] =
        [
            ("array at the top", "[]"), ("string at the top", "\"a\""), ("number at the top", "1"),
            ("null at the top", "null"),
            ("space first", " {}"), ("byte order mark", "\u{FEFF}{}"), ("zero byte first", "\0{}"),
            ("closing brace", "}"),
        ].map { Malformed($0.0, SafetensorsDefect.headerNotObject, at: "byte 8", file($0.1)) }
        + [
            ("padding with zero bytes", "{}\0\0"), ("padding with newlines", "{}\n"), ("padding with tabs", "{} \t"),
            ("second object", "{}{}"), ("text after the object", "{} x"), ("second closing brace", "{}}"),
            ("comma after the object", "{},"),
        ].map { Malformed($0.0, SafetensorsDefect.headerPadding, at: "byte", file($0.1)) }

    private static let json: [Malformed] = [
        Malformed("brace alone", JSONDefect.unexpectedEnd, at: "byte 9", file("{")),
        Malformed("key alone", JSONDefect.unexpectedEnd, at: "byte 12", file("{\"a\"")),
        Malformed("key not closed", JSONDefect.unexpectedEnd, at: "byte 11", file("{\"a")),
        Malformed("key and colon", JSONDefect.unexpectedEnd, at: "byte 13", file("{\"a\":")),
        Malformed("record not closed", JSONDefect.unexpectedEnd, at: "byte", file("{\"a\":{\(good)", data: 0)),
        Malformed("header not closed", JSONDefect.unexpectedEnd, at: "byte", file("{\"a\":{\(good)}", data: 0)),
        Malformed("comma before closing", JSONDefect.unexpectedByte, at: "byte", file("{\"a\":{\(good)},}", data: 4)),
        Malformed("leading comma", JSONDefect.unexpectedByte, at: "byte 9", file("{,}")),
        Malformed("missing colon", JSONDefect.unexpectedByte, at: "byte 13", file("{\"a\" 1}")),
        Malformed("missing comma", JSONDefect.unexpectedByte, at: "byte", file("{\"a\":{\(good)}\"b\":1}", data: 4)),
        Malformed("single quotes", JSONDefect.unexpectedByte, at: "byte 9", file("{'a':1}")),
        Malformed("bare key", JSONDefect.unexpectedByte, at: "byte 9", file("{a:1}")),
        Malformed("comment", JSONDefect.unexpectedByte, at: "byte 9", file("{/**/}")),
        Malformed("array closes object", JSONDefect.unexpectedByte, at: "byte 9", file("{]")),
        Malformed("record is an array", JSONDefect.unexpectedByte, at: "byte 13", file("{\"a\":[]}")),
        Malformed("record is null", JSONDefect.unexpectedByte, at: "byte 13", file("{\"a\":null}")),
        Malformed("record is a string", JSONDefect.unexpectedByte, at: "byte 13", file("{\"a\":\"F32\"}")),
        Malformed("record is a number", JSONDefect.unexpectedByte, at: "byte 13", file("{\"a\":1}")),
        Malformed(
            "100 000 nested objects", SafetensorsDefect.unknownField, at: "a",
            file(String(repeating: "{\"a\":", count: 100_000))),
        Malformed(
            "100 000 nested arrays", JSONDefect.badNumber, at: "byte",
            record("\"shape\":" + String(repeating: "[", count: 100_000))),
        Malformed("unknown escape", JSONDefect.badEscape, at: "byte 10", file("{\"\\x\":1}")),
        Malformed("escape at the end", JSONDefect.unexpectedEnd, at: "byte 11", file("{\"\\")),
        Malformed("short unicode escape", JSONDefect.unexpectedEnd, at: "byte", file("{\"\\u12")),
        Malformed("unicode escape without digits", JSONDefect.badEscape, at: "byte 10", file("{\"\\u12G4\":1}")),
        Malformed("lone lead surrogate", JSONDefect.badEscape, at: "byte 10", file("{\"\\uD800\":1}")),
        Malformed("lone trail surrogate", JSONDefect.badEscape, at: "byte 10", file("{\"\\uDC00\":1}")),
        Malformed("two lead surrogates", JSONDefect.badEscape, at: "byte 10", file("{\"\\uD800\\uD800\":1}")),
        Malformed("lead surrogate and letter", JSONDefect.badEscape, at: "byte 10", file("{\"\\uD800\\u0041\":1}")),
        Malformed("newline in a name", JSONDefect.controlCharacter, at: "byte 10", file("{\"\n\":1}")),
        Malformed("zero byte in a name", JSONDefect.controlCharacter, at: "byte 11", file("{\"a\0\":1}")),
        Malformed("tab in a dtype", JSONDefect.controlCharacter, at: "byte", record("\"dtype\":\"F\t32\"")),
        Malformed("name in Latin-1", JSONDefect.badUTF8, at: "byte 10", file([0x7B, 0x22, 0xE9, 0x22, 0x7D])),
        Malformed(
            "overlong UTF-8", JSONDefect.badUTF8, at: "byte 10", file([0x7B, 0x22, 0xC0, 0xAF, 0x22, 0x7D])),
        Malformed(
            "surrogate in UTF-8", JSONDefect.badUTF8, at: "byte 10", file([0x7B, 0x22, 0xED, 0xA0, 0x80, 0x22, 0x7D])),
        Malformed("cut UTF-8", JSONDefect.badUTF8, at: "byte 10", file([0x7B, 0x22, 0xE2, 0x82, 0x22, 0x7D])),
        Malformed(
            "name of 1025 bytes", JSONDefect.stringTooLong, at: "byte 10",
            file("{\"\(String(repeating: "n", count: 1025))\":1}")),
        Malformed(
            "dtype of 2000 bytes", JSONDefect.stringTooLong, at: "byte",
            record("\"dtype\":\"\(String(repeating: "F", count: 2000))\"")),
        Malformed(
            "metadata value over 1 MiB", JSONDefect.stringTooLong, at: "byte",
            file("{\"__metadata__\":{\"k\":\"\(String(repeating: "v", count: 1 << 20 + 1))\"}}")),
    ]

    private static let fields: [Malformed] =
        [
            Malformed(
                "no dtype", SafetensorsDefect.missingField, at: "a", record("\"shape\":[1],\"data_offsets\":[0,4]")),
            Malformed(
                "no shape", SafetensorsDefect.missingField, at: "a", record("\"dtype\":\"F32\",\"data_offsets\":[0,4]")),
            Malformed("no offsets", SafetensorsDefect.missingField, at: "a", record("\"dtype\":\"F32\",\"shape\":[1]")),
            Malformed("empty record", SafetensorsDefect.missingField, at: "a", record("")),
            Malformed("unknown field", SafetensorsDefect.unknownField, at: "a", record(good + ",\"stride\":[1]")),
            Malformed(
                "field in capitals", SafetensorsDefect.unknownField, at: "a", record(good + ",\"DTYPE\":\"F32\"")),
            Malformed("empty field name", SafetensorsDefect.unknownField, at: "a", record("\"\":1," + good)),
            Malformed("two dtypes", SafetensorsDefect.duplicateField, at: "a", record(good + ",\"dtype\":\"F32\"")),
            Malformed("two shapes", SafetensorsDefect.duplicateField, at: "a", record(good + ",\"shape\":[1]")),
            Malformed(
                "two offsets", SafetensorsDefect.duplicateField, at: "a", record(good + ",\"data_offsets\":[0,4]")),
            Malformed(
                "dtype twice by escape", SafetensorsDefect.duplicateField, at: "a",
                record(good + ",\"\\u0064type\":\"F32\"")),
            Malformed("empty tensor name", SafetensorsDefect.emptyName, at: "byte", file("{\"\":{\(good)}}", data: 4)),
            Malformed(
                "duplicate tensor", SafetensorsDefect.duplicateTensor, at: "a",
                file("{\"a\":{\(good)},\"a\":{\(good)}}", data: 4)),
            Malformed(
                "duplicate tensor by escape", SafetensorsDefect.duplicateTensor, at: "a",
                file("{\"a\":{\(good)},\"\\u0061\":{\(good)}}", data: 4)),
            Malformed(
                "duplicate tensor with other data", SafetensorsDefect.duplicateTensor, at: "a",
                file("{\(tensor("a", 0, 1)),\(tensor("a", 1, 2))}", data: 2)),
            Malformed(
                "metadata twice", SafetensorsDefect.duplicateTensor, at: "__metadata__",
                file("{\"__metadata__\":{},\"__metadata__\":{}}")),
            Malformed(
                "metadata key twice", SafetensorsDefect.duplicateMetadata, at: "k",
                file("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}")),
            Malformed("metadata number", JSONDefect.unexpectedByte, at: "byte", file("{\"__metadata__\":{\"k\":1}}")),
            Malformed("metadata object", JSONDefect.unexpectedByte, at: "byte", file("{\"__metadata__\":{\"k\":{}}}")),
            Malformed("metadata null", JSONDefect.unexpectedByte, at: "byte", file("{\"__metadata__\":null}")),
            Malformed("metadata array", JSONDefect.unexpectedByte, at: "byte", file("{\"__metadata__\":[]}")),
            Malformed("dtype number", JSONDefect.unexpectedByte, at: "byte", record("\"dtype\":1")),
            Malformed("dtype null", JSONDefect.unexpectedByte, at: "byte", record("\"dtype\":null")),
        ]
        + ["f32", "F33", "", "F8_E4M3", "U16", "C64", " F32", "float32"].map {
            Malformed(
                "dtype '\($0)'", SafetensorsDefect.unknownType, at: "a",
                record("\"dtype\":\"\($0)\",\"shape\":[1],\"data_offsets\":[0,4]"))
        }

    private static func shape(_ shape: String, data: Int = 4) -> [UInt8] {
        record("\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[0,\(data)]", data: data)
    }

    private static let shapes: [Malformed] =
        [
            ("negative size", "[-1]"), ("fraction", "[1.0]"), ("exponent", "[1e0]"), ("leading zero", "[01]"),
            ("plus sign", "[+1]"), ("string in the shape", "[\"1\"]"), ("null in the shape", "[null]"),
            ("nested shape", "[[1]]"),
            ("not a number", "[NaN]"), ("trailing comma in the shape", "[1,]"),
        ].map { Malformed($0.0, JSONDefect.badNumber, at: "byte", shape($0.1)) }
        + [
            Malformed("size 2^63", JSONDefect.numberTooLarge, at: "byte", shape("[9223372036854775808]")),
            Malformed("size 2^64", JSONDefect.numberTooLarge, at: "byte", shape("[18446744073709551616]")),
            Malformed(
                "size of 1000 digits", JSONDefect.numberTooLarge, at: "byte",
                shape("[\(String(repeating: "9", count: 1000))]")),
            Malformed("shape is a number", JSONDefect.unexpectedByte, at: "byte", shape("1")),
            Malformed("shape is an object", JSONDefect.unexpectedByte, at: "byte", shape("{}")),
            Malformed("shape is null", JSONDefect.unexpectedByte, at: "byte", shape("null")),
            Malformed("shape without comma", JSONDefect.unexpectedByte, at: "byte", shape("[1 1]")),
            Malformed("shape closed by brace", JSONDefect.unexpectedByte, at: "byte", shape("[1}")),
            Malformed("nine dimensions", SafetensorsDefect.tooManyDimensions, at: "a", shape("[1,1,1,1,1,1,1,1,1]")),
            Malformed("product 2^63", SafetensorsDefect.shapeOverflow, at: "a", shape("[4294967296,2147483648]")),
            Malformed("product 2^64", SafetensorsDefect.shapeOverflow, at: "a", shape("[4294967296,4294967296]")),
            Malformed("bytes 2^63", SafetensorsDefect.shapeOverflow, at: "a", shape("[2305843009213693952]")),
            Malformed(
                "overflow hidden by a zero", SafetensorsDefect.shapeOverflow, at: "a",
                shape("[9223372036854775807,2,0]", data: 0)),
            Malformed(
                "zero before an overflow", SafetensorsDefect.shapeOverflow, at: "a",
                shape("[0,9223372036854775807,2]", data: 0)),
            Malformed("shape too large", SafetensorsDefect.sizeMismatch, at: "a", shape("[2]")),
            Malformed("shape too small", SafetensorsDefect.sizeMismatch, at: "a", shape("[0]")),
            Malformed("terabytes in four bytes", SafetensorsDefect.sizeMismatch, at: "a", shape("[1099511627776]")),
            Malformed("scalar of eight bytes", SafetensorsDefect.sizeMismatch, at: "a", shape("[]", data: 8)),
            Malformed(
                "half of one byte", SafetensorsDefect.sizeMismatch, at: "a",
                record("\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,1]", data: 1)),
            Malformed(
                "wrong type for the size", SafetensorsDefect.sizeMismatch, at: "a",
                record("\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,4]")),
        ]

    private static func offsets(_ offsets: String, data: Int = 4) -> [UInt8] {
        record("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":\(offsets)", data: data)
    }

    private static let layout: [Malformed] = [
        Malformed("no offsets in the array", SafetensorsDefect.badOffsets, at: "a", offsets("[]")),
        Malformed("one offset", SafetensorsDefect.badOffsets, at: "a", offsets("[0]")),
        Malformed("three offsets", SafetensorsDefect.badOffsets, at: "a", offsets("[0,4,8]")),
        Malformed("reversed offsets", SafetensorsDefect.badOffsets, at: "a", offsets("[4,0]")),
        Malformed("largest begin", SafetensorsDefect.badOffsets, at: "a", offsets("[9223372036854775807,4]")),
        Malformed(
            "largest end overflows", SafetensorsDefect.badOffsets, at: "a",
            offsets("[9223372036854775803,9223372036854775807]")),
        Malformed("largest end", SafetensorsDefect.badOffsets, at: "a", offsets("[0,9223372036854775807]")),
        Malformed("negative begin", JSONDefect.badNumber, at: "byte", offsets("[-4,0]")),
        Malformed("fractional end", JSONDefect.badNumber, at: "byte", offsets("[0,4.0]")),
        Malformed("begin 2^64", JSONDefect.numberTooLarge, at: "byte", offsets("[18446744073709551616,4]")),
        Malformed("offsets as object", JSONDefect.unexpectedByte, at: "byte", offsets("{\"begin\":0}")),
        Malformed("offsets as string", JSONDefect.unexpectedByte, at: "byte", offsets("\"0,4\"")),
        Malformed("one byte short", SafetensorsDefect.beyondFile, at: "a", offsets("[0,4]", data: 3)),
        Malformed("no data", SafetensorsDefect.beyondFile, at: "a", offsets("[0,4]", data: 0)),
        Malformed("one byte more", SafetensorsDefect.trailingBytes, at: "byte", offsets("[0,4]", data: 5)),
        Malformed("data without tensors", SafetensorsDefect.trailingBytes, at: "byte 10", file("{}", data: 1)),
        Malformed("a mebibyte more", SafetensorsDefect.trailingBytes, at: "byte", offsets("[0,4]", data: 1 << 20)),
        Malformed("hole at the start", SafetensorsDefect.hole, at: "a", offsets("[4,8]", data: 8)),
        Malformed(
            "hole in the middle", SafetensorsDefect.hole, at: "b",
            file("{\(tensor("a", 0, 2)),\(tensor("b", 3, 4))}", data: 4)),
        Malformed(
            "hole of alignment", SafetensorsDefect.hole, at: "b",
            file("{\(tensor("a", 0, 1)),\(tensor("b", 8, 9))}", data: 9)),
        Malformed(
            "overlap by one byte", SafetensorsDefect.overlap, at: "b",
            file("{\(tensor("a", 0, 2)),\(tensor("b", 1, 3))}", data: 3)),
        Malformed(
            "same bytes twice", SafetensorsDefect.overlap, at: "b",
            file("{\(tensor("a", 0, 2)),\(tensor("b", 0, 2))}", data: 2)),
        Malformed(
            "one inside the other", SafetensorsDefect.overlap, at: "b",
            file("{\(tensor("a", 0, 4)),\(tensor("b", 1, 2))}", data: 4)),
        Malformed(
            "empty tensor inside another", SafetensorsDefect.overlap, at: "b",
            file("{\(tensor("a", 0, 4)),\(tensor("b", 2, 2))}", data: 4)),
        Malformed(
            "empty tensor behind the end", SafetensorsDefect.hole, at: "b",
            file("{\(tensor("a", 0, 4)),\(tensor("b", 9, 9))}", data: 4)),
        Malformed(
            "overlap listed backwards", SafetensorsDefect.overlap, at: "a",
            file("{\(tensor("b", 0, 3)),\(tensor("a", 2, 4))}", data: 4)),
    ]

    private static let tooMany = Malformed(
        "65 537 tensors", SafetensorsDefect.tooManyTensors, at: "t65536",
        file("{" + (0...65536).map { tensor("t\($0)", 0, 0) }.joined(separator: ",") + "}"))

    private static let all = length + frame + json + fields + shapes + layout + [tooMany]

    @Test(arguments: all)
    func rejects(file: Malformed) {
        file.expectRefusal { _ = try SafetensorsFile($0) }
    }

    @Test func atLeastAHundredKindsCoverEveryDefect() {
        #expect(Self.all.count >= 100)
        #expect(Set(Self.all.map(\.name)).count == Self.all.count)
        let produced = Set(Self.all.map(\.code))
        for defect in SafetensorsDefect.allCases { #expect(produced.contains(defect.rawValue), "\(defect)") }
        // Depth is limited where values are skipped, which the header of a tensor file never does.
        for defect in JSONDefect.allCases where defect != .tooDeep {
            #expect(produced.contains(defect.rawValue), "\(defect)")
        }
    }

    @Test func acceptsWhatTheFormatAllows() throws {
        let header =
            "{\"__metadata__\":{\"t\\u00EAte\":\"\\ud83d\\ude00\"} ,\n \"b\":{\"data_offsets\":[2,4], \"shape\":[2],"
            + "\"dtype\":\"U8\"},\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[2,1],\"data_offsets\":[0,2]},"
            + "\(Self.tensor("empty", 2, 2)),\"scalar\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[4,5]}}   "
        let bytes = Self.file(header) + [1, 2, 3, 4, 1]
        let file = try SafetensorsFile(ByteRegion(copying: bytes, name: "file"))
        #expect(file.metadata == ["tête": "😀"])
        #expect(file.names == ["a", "b", "empty", "scalar"])
        #expect(try file.uint8s(of: "a") == [1, 2])
        #expect(try file.uint8s(of: "b") == [3, 4])
        #expect(try file.uint8s(of: "empty") == [])
        #expect(try file.int64s(of: "scalar") == [1])
        #expect(file.info("a") == TensorInfo(shape: [2, 1], dtype: .uint8))
    }

    @Test func rejectsEveryTruncation() throws {
        let whole = try readAll(Fixtures.path("checkpoints/seeded.safetensors"))
        for count in truncations(of: whole) {
            let cut = ByteRegion(copying: Array(whole[..<count]), name: "file")
            #expect(throws: ZooError.self, "\(count) bytes") { try SafetensorsFile(cut) }
        }
    }

    /// A changed header must be refused or describe a consistent file; nothing may crash or take long.
    @Test func survivesTenThousandDamagedBytes() throws {
        let whole = try readAll(Fixtures.path("checkpoints/seeded.safetensors"))
        var random = SplitMix(state: 2026)
        for _ in 0..<damagedFiles {
            var damaged = whole
            damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            do {
                let file = try SafetensorsFile(ByteRegion(copying: damaged, name: "file"))
                for name in file.names { _ = try file.float64s(of: name) }
            } catch is ZooError {}
        }
    }

    @Test func refusesHostileHeadersFast() throws {
        let nested = ByteRegion(copying: Self.file(String(repeating: "{\"a\":", count: 100_000)), name: "file")
        let many = ByteRegion(copying: Self.tooMany.bytes, name: "file")
        let nestedTime = cpuTime { expectDefect(SafetensorsDefect.unknownField) { _ = try SafetensorsFile(nested) } }
        #expect(nestedTime < .milliseconds(5))
        let manyTime = cpuTime { expectDefect(SafetensorsDefect.tooManyTensors) { _ = try SafetensorsFile(many) } }
        #expect(manyTime < (isOptimized ? .seconds(1) : .seconds(20)))
    }

    @Test func headerCapCanBeRaised() throws {
        let spaces = ByteRegion(
            copying: Self.file([0x7B, 0x7D] + [UInt8](repeating: 0x20, count: 40 << 20)), name: "file")
        expectDefect(SafetensorsDefect.headerTooLong) { _ = try SafetensorsFile(spaces) }
        var limits = SafetensorsLimits()
        limits.maxHeaderBytes = SafetensorsLimits.formatHeaderBytes
        #expect(try SafetensorsFile(spaces, limits: limits).names == [])
    }
}
