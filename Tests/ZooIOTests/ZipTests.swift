import TestSupport
import Testing
import ZooCore
import ZooIO

@Suite struct ZipTests {
    private typealias Entry = ZipImage.Entry

    private static let hello = Entry("a.txt", Array("hello".utf8))
    private static let numbers = Entry("b/c.bin", [1, 2, 3])
    private static let plain = ZipImage([hello, numbers])
    private static let wide = ZipImage([hello, numbers], zip64: true)

    private static func changed(_ change: (inout Entry) -> Void) -> [UInt8] {
        var entry = hello
        change(&entry)
        return ZipImage([numbers, entry]).bytes
    }

    private static func named(_ name: [UInt8]) -> [UInt8] { changed { $0.name = name } }

    private static func named(_ name: String) -> [UInt8] { named(Array(name.utf8)) }

    /// The zip64 extra field with the given 64-bit values.
    private static func zip64Field(_ values: [UInt64]) -> [UInt8] {
        le(UInt16(1)) + le(UInt16(8 * values.count)) + values.flatMap { le($0) }
    }

    private static func descriptor(_ crc32: UInt32, _ size: UInt32, signature: UInt32 = 0x0807_4B50) -> [UInt8] {
        le(signature) + le(crc32) + le(size) + le(size)
    }

    private static let helloChecksum: UInt32 = 0x3610_A686

    private static func deferred(_ descriptor: [UInt8]) -> [UInt8] {
        changed {
            $0.flags = 8
            $0.descriptor = descriptor
        }
    }

    private static let end: [Malformed] = [
        Malformed("empty file", ZipDefect.truncated, at: nil, []),
        Malformed("21 bytes", ZipDefect.truncated, at: nil, Array(plain.bytes.suffix(21))),
        Malformed("end record of zeros", ZipDefect.noEndRecord, at: "byte 0", [UInt8](repeating: 0, count: 22)),
        Malformed("last byte missing", ZipDefect.noEndRecord, at: "byte", Array(plain.bytes.dropLast())),
        Malformed("one byte appended", ZipDefect.noEndRecord, at: "byte", plain.bytes + [0]),
        Malformed(
            "comment appended", ZipDefect.noEndRecord, at: "byte", plain.patched(plain.end + 20, [2, 0]) + [65, 66]),
        Malformed("comment announced", ZipDefect.noEndRecord, at: "byte", plain.patched(plain.end + 20, [1, 0])),
        Malformed("second disk", ZipDefect.severalDisks, at: "byte", plain.patched(plain.end + 4, [1, 0])),
        Malformed(
            "directory on second disk", ZipDefect.severalDisks, at: "byte", plain.patched(plain.end + 6, [1, 0])),
        Malformed("counts differ", ZipDefect.severalDisks, at: "byte", plain.patched(plain.end + 8, [1, 0])),
        Malformed(
            "entry on second disk", ZipDefect.severalDisks, at: "a.txt", plain.patched(plain.centrals[0] + 34, [1, 0])),
        Malformed(
            "directory offset too large", ZipDefect.badDirectory, at: "byte",
            plain.patched(plain.end + 16, le(UInt32.max - 1))),
        Malformed(
            "directory offset off by one", ZipDefect.badDirectory, at: "byte",
            plain.patched(plain.end + 16, le(UInt32(plain.centrals[0] + 1)))),
        Malformed(
            "directory size too large", ZipDefect.badDirectory, at: "byte",
            plain.patched(plain.end + 12, le(UInt32.max - 1))),
        Malformed(
            "directory size zero", ZipDefect.badDirectory, at: "byte", plain.patched(plain.end + 12, le(UInt32(0)))),
        Malformed("count too large", ZipDefect.badDirectory, at: "byte", plain.patched(plain.end + 8, [9, 0, 9, 0])),
        Malformed("count too small", ZipDefect.badDirectory, at: "byte", plain.patched(plain.end + 8, [1, 0, 1, 0])),
        Malformed("count zero", ZipDefect.badDirectory, at: "byte", plain.patched(plain.end + 8, [0, 0, 0, 0])),
        Malformed("bytes prepended", ZipDefect.badDirectory, at: "byte", [0, 0, 0, 0] + plain.bytes),
        Malformed(
            "bytes before the end record", ZipDefect.badDirectory, at: "byte",
            Array(plain.bytes[..<plain.end]) + [0] + Array(plain.bytes[plain.end...])),
    ]

    private static let zip64: [Malformed] = [
        Malformed(
            "locator names a disk", ZipDefect.severalDisks, at: "byte", wide.patched(wide.end - 16, le(UInt32(1)))),
        Malformed(
            "locator counts disks", ZipDefect.severalDisks, at: "byte", wide.patched(wide.end - 4, le(UInt32(2)))),
        Malformed(
            "locator beyond itself", ZipDefect.badZip64, at: "byte", wide.patched(wide.end - 12, le(UInt64(wide.end)))),
        Malformed("locator 2^63", ZipDefect.truncated, at: "byte", wide.patched(wide.end - 12, le(UInt64(1) << 63))),
        Malformed("locator elsewhere", ZipDefect.badZip64, at: "byte", wide.patched(wide.end - 12, le(UInt64(0)))),
        Malformed("record of wrong size", ZipDefect.badZip64, at: "byte", wide.patched(wide.end64 + 4, le(UInt64(45)))),
        Malformed("record size 2^64-1", ZipDefect.badZip64, at: "byte", wide.patched(wide.end64 + 4, le(UInt64.max))),
        Malformed(
            "record on second disk", ZipDefect.severalDisks, at: "byte", wide.patched(wide.end64 + 16, le(UInt32(1)))),
        Malformed(
            "record counts differ", ZipDefect.severalDisks, at: "byte", wide.patched(wide.end64 + 24, le(UInt64(1)))),
        Malformed(
            "2^40 entries", ZipDefect.tooManyEntries, at: nil,
            wide.patched(wide.end64 + 24, le(UInt64(1) << 40) + le(UInt64(1) << 40))),
        Malformed(
            "directory at 2^62", ZipDefect.badDirectory, at: "byte", wide.patched(wide.end64 + 48, le(UInt64(1) << 62))),
        Malformed(
            "directory of 2^62", ZipDefect.badDirectory, at: "byte", wide.patched(wide.end64 + 40, le(UInt64(1) << 62))),
        Malformed("directory at 2^64-1", ZipDefect.badZip64, at: "byte", wide.patched(wide.end64 + 48, le(UInt64.max))),
        Malformed("both forms disagree", ZipDefect.badZip64, at: "byte", wide.patched(wide.end + 8, [1, 0, 1, 0])),
        Malformed("offsets disagree", ZipDefect.badZip64, at: "byte", wide.patched(wide.end + 16, le(UInt32(7)))),
        Malformed(
            "size without its field", ZipDefect.badExtraField, at: "a.txt",
            changed { $0.centralSizes = (.max, .max) }),
        Malformed(
            "field without the second size", ZipDefect.badExtraField, at: "byte",
            changed {
                $0.centralSizes = (.max, .max)
                $0.centralExtra = zip64Field([5])
            }),
        Malformed(
            "two zip64 fields", ZipDefect.badExtraField, at: "a.txt",
            changed { $0.centralExtra = zip64Field([]) + zip64Field([]) }),
        Malformed(
            "extra field of three bytes", ZipDefect.badExtraField, at: "byte", changed { $0.centralExtra = [1, 0, 0] }),
        Malformed(
            "extra field beyond its end", ZipDefect.badExtraField, at: "byte",
            changed { $0.centralExtra = [7, 0, 1, 0] }),
        Malformed(
            "bad local extra field", ZipDefect.badExtraField, at: "byte", changed { $0.localExtra = [7, 0, 1, 0] }),
        Malformed(
            "zip64 size 2^63", ZipDefect.badExtraField, at: "byte",
            changed {
                $0.centralSizes = (.max, .max)
                $0.centralExtra = zip64Field([1 << 63, 1 << 63])
            }),
        Malformed(
            "zip64 size 2^62", ZipDefect.localMismatch, at: "a.txt",
            changed {
                $0.centralSizes = (.max, .max)
                $0.centralExtra = zip64Field([1 << 62, 1 << 62])
            }),
        Malformed(
            "zip64 offset 2^62", ZipDefect.localMismatch, at: "a.txt",
            changed {
                $0.centralOffset = .max
                $0.centralExtra = zip64Field([1 << 62])
            }),
    ]

    private static let entries: [Malformed] =
        [
            Malformed(
                "first entry without signature", ZipDefect.badSignature, at: "byte",
                plain.patched(plain.centrals[0], [0])),
            Malformed(
                "second entry without signature", ZipDefect.badSignature, at: "byte",
                plain.patched(plain.centrals[1], [0])),
            Malformed(
                "name longer than the directory", ZipDefect.truncated, at: "byte",
                plain.patched(plain.centrals[1] + 28, [255, 255])),
            Malformed(
                "extra longer than the directory", ZipDefect.truncated, at: "byte",
                plain.patched(plain.centrals[1] + 30, [255, 255])),
            Malformed(
                "comment longer than the directory", ZipDefect.truncated, at: "byte",
                plain.patched(plain.centrals[1] + 32, [255, 255])),
            Malformed("encrypted", ZipDefect.encrypted, at: "a.txt", changed { $0.flags = 1 }),
            Malformed("strongly encrypted", ZipDefect.encrypted, at: "a.txt", changed { $0.flags = 1 | 1 << 6 }),
            Malformed("patch data", ZipDefect.badFlags, at: "a.txt", changed { $0.flags = 1 << 5 }),
            Malformed("masked headers", ZipDefect.badFlags, at: "a.txt", changed { $0.flags = 1 << 13 }),
            Malformed("deflated", ZipDefect.compressed, at: "a.txt", changed { $0.method = 8 }),
            Malformed("LZMA", ZipDefect.compressed, at: "a.txt", changed { $0.method = 14 }),
            Malformed("Zstandard", ZipDefect.compressed, at: "a.txt", changed { $0.method = 93 }),
            Malformed("two sizes", ZipDefect.badSize, at: "a.txt", changed { $0.centralSizes = (5, 6) }),
            Malformed("bomb", ZipDefect.badSize, at: "a.txt", changed { $0.centralSizes = (5, 1 << 31) }),
            Malformed("folder with content", ZipDefect.badSize, at: "a/", changed { $0.name = Array("a/".utf8) }),
            Malformed("symbolic link", ZipDefect.specialFile, at: "a.txt", changed { $0.attributes = 0o120777 << 16 }),
            Malformed("device", ZipDefect.specialFile, at: "a.txt", changed { $0.attributes = 0o020666 << 16 }),
            Malformed("pipe", ZipDefect.specialFile, at: "a.txt", changed { $0.attributes = 0o010666 << 16 }),
            Malformed("duplicate name", ZipDefect.duplicateName, at: "b/c.bin", named("b/c.bin")),
            Malformed("empty name", ZipDefect.badName, at: "byte", named("")),
            Malformed("zero byte in the name", ZipDefect.badName, at: "byte", named("a\0.txt")),
            Malformed("newline in the name", ZipDefect.badName, at: "byte", named("a\n.txt")),
            Malformed("delete in the name", ZipDefect.badName, at: "byte", named("a\u{7F}")),
            Malformed("name in Latin-1", ZipDefect.badName, at: "byte", named([0xE9])),
            Malformed("name of 1025 bytes", ZipDefect.badName, at: "byte", named([UInt8](repeating: 97, count: 1025))),
        ]
        + ["../a", "a/../b", "..", ".", "./a", "a/..", "/a", "/", "a//b", "//", "a\\b", "..\\a", "a/./b"].map {
            Malformed("name \($0)", ZipDefect.unsafeName, at: $0, named($0))
        }

    private static let locals: [Malformed] = [
        Malformed("local signature", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.locals[0], [0])),
        Malformed("local flags", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.locals[0] + 6, [8])),
        Malformed("local method", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.locals[0] + 8, [8])),
        Malformed("local checksum", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.locals[0] + 14, [0])),
        Malformed(
            "local compressed size", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.locals[0] + 18, [4])),
        Malformed("local size", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.locals[0] + 22, [6])),
        Malformed(
            "local size all ones", ZipDefect.localMismatch, at: "a.txt",
            plain.patched(plain.locals[0] + 22, le(UInt32.max))),
        Malformed("local name", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.locals[0] + 30, [98])),
        Malformed("local name length", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.locals[0] + 26, [4])),
        Malformed(
            "local name beyond the directory", ZipDefect.truncated, at: "byte",
            plain.patched(plain.locals[1] + 26, [255, 255])),
        Malformed(
            "local extra beyond the directory", ZipDefect.truncated, at: "byte",
            plain.patched(plain.locals[1] + 28, [255, 255])),
        Malformed(
            "offset beyond the directory", ZipDefect.localMismatch, at: "a.txt",
            plain.patched(plain.centrals[0] + 42, le(UInt32.max - 1))),
        Malformed(
            "offset at the directory", ZipDefect.truncated, at: "byte",
            plain.patched(plain.centrals[0] + 42, le(UInt32(plain.centrals[0])))),
        Malformed(
            "offset inside the header", ZipDefect.localMismatch, at: "a.txt", plain.patched(plain.centrals[0] + 42, [1])
        ),
        Malformed(
            "offset of the other entry", ZipDefect.localMismatch, at: "a.txt",
            plain.patched(plain.centrals[0] + 42, le(UInt32(plain.locals[1])))),
        Malformed(
            "content beyond the directory", ZipDefect.truncated, at: "byte",
            {
                var image = plain.patched(plain.centrals[1] + 20, le(UInt32(900)) + le(UInt32(900)))
                image.replaceSubrange(
                    (plain.locals[1] + 18)..<(plain.locals[1] + 26), with: le(UInt32(900)) + le(UInt32(900)))
                return image
            }()),
        Malformed("descriptor missing", ZipDefect.truncated, at: "byte", deferred([])),
        Malformed("descriptor cut", ZipDefect.truncated, at: "byte", deferred([0x50, 0x4B, 7, 8])),
        Malformed(
            "descriptor signature", ZipDefect.badDescriptor, at: "byte",
            deferred(descriptor(helloChecksum, 5, signature: 1))),
        Malformed("descriptor checksum", ZipDefect.badDescriptor, at: "byte", deferred(descriptor(1, 5))),
        Malformed(
            "descriptor size", ZipDefect.badDescriptor, at: "byte",
            deferred(descriptor(helloChecksum, 6) + [0, 0, 0, 0, 0, 0, 0, 0])),
        Malformed(
            "one entry inside another", ZipDefect.overlap, at: "byte",
            {
                let inner = ZipImage([numbers])
                let outer = Entry("outer", Array(inner.bytes[..<inner.centrals[0]]))
                var hidden = numbers
                hidden.centralOffset = UInt32(30 + outer.name.count)
                // The hidden entry's own local header is cut out again: only the one inside `outer` remains.
                let image = ZipImage([outer, hidden])
                let cut = image.locals[1]..<image.centrals[0]
                var bytes = image.bytes
                bytes.removeSubrange(cut)
                let directory = le(UInt32(image.centrals[0] - cut.count))
                bytes.replaceSubrange((bytes.count - 6)..<(bytes.count - 2), with: directory)
                return bytes
            }()),
    ]

    private static let all = end + zip64 + entries + locals

    @Test(arguments: all)
    func rejects(file: Malformed) {
        file.expectRefusal { _ = try ZipArchive($0) }
    }

    @Test func malformedFilesCoverEveryDefect() {
        #expect(Set(Self.all.map(\.name)).count == Self.all.count)
        // Compressed entries are those of NumpyTests.
        let atAccess: [ZipDefect] = [.missingEntry, .badChecksum, .badDeflate, .tooLarge]
        let produced = Set(Self.all.map(\.code) + atAccess.map(\.rawValue))
        for defect in ZipDefect.allCases { #expect(produced.contains(defect.rawValue), "\(defect)") }
    }

    @Test(arguments: [false, true])
    func readsStoredEntries(zip64: Bool) throws {
        var deferred = Entry("deferred", Array("hello".utf8))
        deferred.flags = 8 | 1 << 11
        deferred.descriptor = Self.descriptor(Self.helloChecksum, 5)
        var deferred64 = Entry("deferred64", Array("hello".utf8))
        deferred64.flags = 8
        deferred64.descriptor =
            le(UInt32(0x0807_4B50)) + le(Self.helloChecksum) + le(UInt64(5)) + le(UInt64(5))
        var wide = Entry("wide", [7])
        wide.centralSizes = (.max, .max)
        wide.centralOffset = .max
        let image = ZipImage([Self.hello, deferred, deferred64, Entry("folder/"), Entry("folder/empty"), Self.numbers])
        wide.centralExtra = Self.zip64Field([1, 1, UInt64(image.centrals[0])])
        let bytes = ZipImage(
            [Self.hello, deferred, deferred64, Entry("folder/"), Entry("folder/empty"), Self.numbers, wide],
            zip64: zip64
        ).bytes
        let archive = try ZipArchive(ByteRegion(copying: bytes, name: "file"))
        #expect(
            archive.entries.map(\.name) == ["a.txt", "deferred", "deferred64", "folder/empty", "b/c.bin", "wide"])
        for name in ["a.txt", "deferred", "deferred64"] {
            #expect(try archive.withBytes(of: name) { Array($0) } == Array("hello".utf8))
        }
        #expect(try archive.withBytes(of: "folder/empty") { $0.count } == 0)
        #expect(try archive.withBytes(of: "b/c.bin") { Array($0) } == [1, 2, 3])
        #expect(try archive.withBytes(of: "wide") { Array($0) } == [7])
        #expect(archive.entry(named: "a.txt")?.crc32 == Self.helloChecksum)
        #expect(archive.entry(named: "folder/") == nil)
    }

    @Test func readsEmptyArchive() throws {
        #expect(try ZipArchive(ByteRegion(copying: ZipImage([]).bytes, name: "file")).entries == [])
    }

    @Test func rejectsDamagedAndMissingContent() throws {
        let archive = try ZipArchive(
            ByteRegion(copying: Self.plain.patched(Self.plain.locals[0] + 35, [72]), name: "file"))
        let damaged = expectDefect(ZipDefect.badChecksum) { try archive.withBytes(of: "a.txt") { _ in } }
        #expect(damaged?.location == "a.txt")
        #expect(damaged?.expected == "CRC-32 3610a686")
        #expect(try archive.withBytes(of: "b/c.bin") { Array($0) } == [1, 2, 3])
        let missing = expectDefect(ZipDefect.missingEntry) { try archive.withBytes(of: "b") { _ in } }
        #expect(missing?.file == "file")
    }

    @Test func fidelityOfChecksum() {
        func checksum(_ text: String) -> UInt32 { Array(text.utf8).withUnsafeBytes { CRC32.checksum($0) } }
        #expect(checksum("") == 0)
        #expect(checksum("123456789") == 0xCBF4_3926)
        #expect(checksum("The quick brown fox jumps over the lazy dog") == 0x414F_A339)
    }
}
