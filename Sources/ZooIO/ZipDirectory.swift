import ZooCore

/// The parser behind `ZipArchive` (PKWARE APPNOTE 6.3: end record 4.3.16, zip64 4.3.14-15, central directory
/// 4.3.12, local header 4.3.7, data descriptor 4.3.9).
struct ZipDirectory {
    private enum Signature {
        static let local: UInt32 = 0x0403_4B50
        static let central: UInt32 = 0x0201_4B50
        static let descriptor: UInt32 = 0x0807_4B50
        static let end: UInt32 = 0x0605_4B50
        static let zip64End: UInt32 = 0x0606_4B50
        static let zip64Locator: UInt32 = 0x0706_4B50
    }

    private enum Flag {
        static let encrypted: UInt16 = 1 << 0
        /// How hard the compressor tried: says nothing about the data.
        static let effort: UInt16 = 3 << 1
        static let descriptor: UInt16 = 1 << 3
        static let utf8: UInt16 = 1 << 11
    }

    private static let endRecordBytes = 22
    private static let centralHeaderBytes = 46

    /// A directory entry with what is needed to check its local header.
    private struct Record {
        var name: String
        var nameBytes: Range<Int>
        var flags: UInt16
        var method: UInt16
        var crc32: UInt32
        /// Bytes in the archive.
        var storedSize: Int
        /// Bytes of the content.
        var size: Int
        var localOffset: Int
    }

    private enum Method {
        static let stored: UInt16 = 0
        static let deflated: UInt16 = 8
        /// What deflate can make of one byte, rounded up.
        static let highestRatio = 1040
    }

    private let bytes: UnsafeRawBufferPointer
    private let limits: ZipLimits

    init(bytes: UnsafeRawBufferPointer, limits: ZipLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    /// All files of the archive, checked.
    func entries() throws -> [ZipEntry] {
        let (directory, count) = try locateDirectory()
        guard count <= limits.maxEntries else {
            throw ZipDefect.tooManyEntries.error(
                "the archive has too many entries", expected: "at most \(limits.maxEntries)", found: "\(count)")
        }
        guard count <= directory.count / Self.centralHeaderBytes else {
            throw ZipDefect.badDirectory.error(
                "the directory is too small for its entries", at: byteLocation(directory.lowerBound),
                expected: "at least \(Self.centralHeaderBytes) bytes for each of \(count)",
                found: "\(directory.count) bytes")
        }
        var reader = BoundedReader(bytes, in: directory, truncation: ZipDefect.truncated)
        var entries: [ZipEntry] = []
        var extents: [Range<Int>] = []
        var names: Set<String> = []
        entries.reserveCapacity(count)
        extents.reserveCapacity(count)
        for _ in 0..<count {
            let record = try readRecord(&reader)
            guard names.insert(record.name).inserted else {
                throw ZipDefect.duplicateName.error("two entries have the same name", at: record.name)
            }
            let (data, extent) = try checkLocal(record, before: directory.lowerBound)
            extents.append(extent)
            if !record.name.hasSuffix("/") {
                entries.append(
                    ZipEntry(
                        name: record.name, range: data, crc32: record.crc32,
                        inflatedSize: record.method == Method.deflated ? record.size : nil))
            }
        }
        guard reader.remaining == 0 else {
            throw ZipDefect.badDirectory.error(
                "bytes follow the last directory entry", at: byteLocation(reader.offset),
                found: "\(reader.remaining) bytes")
        }
        try checkDisjoint(extents)
        return entries
    }

    /// The range of the central directory and the number of its entries, from the end record or its zip64 form.
    private func locateDirectory() throws -> (Range<Int>, count: Int) {
        let endOffset = bytes.count - Self.endRecordBytes
        guard endOffset >= 0 else {
            throw ZipDefect.truncated.error("the file is too short for a zip archive", found: "\(bytes.count) bytes")
        }
        var reader = BoundedReader(bytes, in: endOffset..<bytes.count, truncation: ZipDefect.truncated)
        guard try reader.integer(UInt32.self, "the end record") == Signature.end else {
            throw ZipDefect.noEndRecord.error(
                "the file does not end with a zip end record", at: byteLocation(endOffset),
                hint: "the file is truncated, or something was appended to it")
        }
        let disk = try reader.integer(UInt16.self, "the end record")
        let directoryDisk = try reader.integer(UInt16.self, "the end record")
        let countOnDisk = try reader.integer(UInt16.self, "the end record")
        let count = try reader.integer(UInt16.self, "the end record")
        let size = try reader.integer(UInt32.self, "the end record")
        let offset = try reader.integer(UInt32.self, "the end record")
        guard try reader.integer(UInt16.self, "the end record") == 0 else {
            throw ZipDefect.noEndRecord.error(
                "the end record announces an archive comment that is not there", at: byteLocation(endOffset))
        }
        guard disk == 0 || disk == .max, directoryDisk == 0 || directoryDisk == .max, countOnDisk == count else {
            throw ZipDefect.severalDisks.error("the archive is spread over several files", at: byteLocation(endOffset))
        }
        if let zip64 = try locateZip64Directory(before: endOffset) {
            guard count == .max || Int(count) == zip64.count, size == .max || Int(size) == zip64.range.count,
                offset == .max || Int(offset) == zip64.range.lowerBound
            else {
                throw ZipDefect.badZip64.error(
                    "the end record and its zip64 form disagree", at: byteLocation(endOffset))
            }
            return (zip64.range, zip64.count)
        }
        let range = try directoryRange(offset: Int(offset), size: Int(size), end: endOffset)
        return (range, Int(count))
    }

    /// The zip64 end record that the locator directly before the end record points to, if there is one.
    private func locateZip64Directory(before endOffset: Int) throws -> (range: Range<Int>, count: Int)? {
        let locatorBytes = 20
        let locator = endOffset - locatorBytes
        guard locator >= 0 else { return nil }
        var reader = BoundedReader(bytes, in: locator..<endOffset, truncation: ZipDefect.truncated)
        guard try reader.integer(UInt32.self, "the zip64 locator") == Signature.zip64Locator else { return nil }
        let disk = try reader.integer(UInt32.self, "the zip64 locator")
        let record = try reader.size("the offset of the zip64 end record")
        let disks = try reader.integer(UInt32.self, "the zip64 locator")
        guard disk == 0, disks <= 1 else {
            throw ZipDefect.severalDisks.error("the archive is spread over several files", at: byteLocation(locator))
        }
        guard record <= locator else { throw badZip64("lies behind its locator", locator) }
        reader = BoundedReader(bytes, in: record..<locator, truncation: ZipDefect.badZip64)
        guard try reader.integer(UInt32.self, "the zip64 end record") == Signature.zip64End else {
            throw badZip64("is not where the locator says", record)
        }
        let size = try reader.size("the size of the zip64 end record")
        guard size == locator - record - 12 else { throw badZip64("has a wrong size", record) }
        _ = try reader.take(4, "the zip64 end record")
        let thisDisk = try reader.integer(UInt32.self, "the zip64 end record")
        let directoryDisk = try reader.integer(UInt32.self, "the zip64 end record")
        let countOnDisk = try reader.size("the zip64 entry count")
        let count = try reader.size("the zip64 entry count")
        let directorySize = try reader.size("the zip64 directory size")
        let directoryOffset = try reader.size("the zip64 directory offset")
        guard thisDisk == 0, directoryDisk == 0, countOnDisk == count else {
            throw ZipDefect.severalDisks.error("the archive is spread over several files", at: byteLocation(record))
        }
        return (try directoryRange(offset: directoryOffset, size: directorySize, end: record), count)
    }

    private func badZip64(_ what: String, _ offset: Int) -> ZooError {
        ZipDefect.badZip64.error("the zip64 end record \(what)", at: byteLocation(offset))
    }

    /// The directory must lie directly before its end record: nothing is prepended, nothing hidden between.
    private func directoryRange(offset: Int, size: Int, end: Int) throws -> Range<Int> {
        guard offset <= end, size == end - offset else {
            throw ZipDefect.badDirectory.error(
                "the directory does not end where the end record begins", at: byteLocation(offset),
                expected: "\(max(0, end - offset)) bytes", found: "\(size)",
                hint: "the file is truncated, or something was inserted into it")
        }
        return offset..<end
    }

    private func readRecord(_ reader: inout BoundedReader) throws -> Record {
        let start = reader.offset
        guard try reader.integer(UInt32.self, "a directory entry") == Signature.central else {
            throw ZipDefect.badSignature.error("a directory entry is expected here", at: byteLocation(start))
        }
        let madeBy = try reader.integer(UInt16.self, "a directory entry")
        _ = try reader.integer(UInt16.self, "a directory entry")
        let flags = try reader.integer(UInt16.self, "a directory entry")
        let method = try reader.integer(UInt16.self, "a directory entry")
        _ = try reader.take(4, "a directory entry")
        let crc32 = try reader.integer(UInt32.self, "a directory entry")
        let compressedSize = try reader.integer(UInt32.self, "a directory entry")
        let size = try reader.integer(UInt32.self, "a directory entry")
        let nameLength = try reader.integer(UInt16.self, "a directory entry")
        let extraLength = try reader.integer(UInt16.self, "a directory entry")
        let commentLength = try reader.integer(UInt16.self, "a directory entry")
        let disk = try reader.integer(UInt16.self, "a directory entry")
        _ = try reader.integer(UInt16.self, "a directory entry")
        let attributes = try reader.integer(UInt32.self, "a directory entry")
        let localOffset = try reader.integer(UInt32.self, "a directory entry")
        let nameBytes = try reader.take(Int(nameLength), "an entry name")
        let extra = try reader.take(Int(extraLength), "an extra field")
        _ = try reader.take(Int(commentLength), "an entry comment")

        let name = try checkedName(nameBytes)
        guard flags & Flag.encrypted == 0 else {
            throw ZipDefect.encrypted.error("the entry is encrypted", at: name)
        }
        let isDeflated = method == Method.deflated && limits.maxInflatedBytes > 0
        guard flags & ~(Flag.descriptor | Flag.utf8 | (isDeflated ? Flag.effort : 0)) == 0 else {
            throw ZipDefect.badFlags.error("the entry has unknown flags", at: name, found: "\(flags)")
        }
        guard method == Method.stored || isDeflated else {
            throw ZipDefect.compressed.error(
                "the entry is compressed", at: name, expected: "method 0 (stored)", found: "method \(method)",
                hint: "repack the archive without compression (zip -0)")
        }
        try checkFileType(madeBy: madeBy, attributes: attributes, name)
        let wide = try readZip64(
            extra, name, sizes: [size, compressedSize, localOffset], disk: disk)
        if isDeflated {
            try checkInflation(of: wide[1], to: wide[0], name)
        } else if wide[0] != wide[1] {
            throw ZipDefect.badSize.error(
                "a stored entry must have one size", at: name, expected: "\(wide[0]) bytes", found: "\(wide[1])")
        }
        guard wide[0] == 0 || !name.hasSuffix("/") else {
            throw ZipDefect.badSize.error("a folder must be empty", at: name, found: "\(wide[0]) bytes")
        }
        return Record(
            name: name, nameBytes: nameBytes, flags: flags, method: method, crc32: crc32, storedSize: wide[1],
            size: wide[0], localOffset: wide[2])
    }

    /// Refuses sizes that no compressor has reached, and those that the caller will not have.
    private func checkInflation(of stored: Int, to size: Int, _ name: String) throws {
        guard size / Method.highestRatio <= stored else {
            throw ZipDefect.badSize.error(
                "the entry claims to become impossibly large", at: name,
                expected: "at most \(Method.highestRatio) times \(stored) bytes", found: "\(size)")
        }
        guard size <= limits.maxInflatedBytes else {
            throw ZipDefect.tooLarge.error(
                "the compressed entry is too large", at: name, expected: "at most \(limits.maxInflatedBytes) bytes",
                found: "\(size)", hint: "store it without compression: numpy.savez instead of savez_compressed",
                kind: .limit)
        }
    }

    /// A relative path without tricks. Names are labels here, but a label that means another place to another
    /// program is refused all the same.
    private func checkedName(_ range: Range<Int>) throws -> String {
        guard !range.isEmpty, range.count <= limits.maxNameBytes,
            let name = String(validating: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self),
            !name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
        else {
            throw ZipDefect.badName.error(
                "an entry name must be 1 to \(limits.maxNameBytes) bytes of printable UTF-8",
                at: byteLocation(range.lowerBound))
        }
        let folderless = name.hasSuffix("/") ? name.dropLast() : Substring(name)
        let parts = folderless.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.contains("\\"), !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
            throw ZipDefect.unsafeName.error("the entry name is not a plain relative path", at: name)
        }
        return name
    }

    /// Refuses links and devices, which Unix archivers mark in the high half of the attributes.
    private func checkFileType(madeBy: UInt16, attributes: UInt32, _ name: String) throws {
        let unix: UInt16 = 3
        let type = attributes >> 28
        let (none, folder, regular): (UInt32, UInt32, UInt32) = (0, 0o04, 0o10)
        guard madeBy >> 8 != unix || [none, folder, regular].contains(type) else {
            throw ZipDefect.specialFile.error("the entry is a link or a device", at: name)
        }
    }

    /// Replaces the values that are all ones by those of the zip64 extra field.
    ///
    /// - Parameter sizes: uncompressed size, compressed size, offset of the local header, in the field's order.
    private func readZip64(_ extra: Range<Int>, _ name: String, sizes: [UInt32], disk: UInt16) throws -> [Int] {
        var field = try zip64Field(extra, name)
        var result: [Int] = []
        for size in sizes {
            guard size == .max else {
                result.append(Int(size))
                continue
            }
            guard field != nil else {
                throw ZipDefect.badExtraField.error("the zip64 extra field is missing", at: name)
            }
            result.append(try field?.size("a zip64 size") ?? 0)
        }
        let realDisk = disk == .max ? try field?.integer(UInt32.self, "the zip64 disk number") : UInt32(disk)
        guard realDisk == 0 else {
            throw ZipDefect.severalDisks.error("the entry lies in another file", at: name)
        }
        return result
    }

    /// A reader over the zip64 extra field, `nil` if there is none.
    private func zip64Field(_ extra: Range<Int>, _ name: String) throws -> BoundedReader? {
        let zip64: UInt16 = 1
        var found: BoundedReader?
        var reader = BoundedReader(bytes, in: extra, truncation: ZipDefect.badExtraField)
        while reader.remaining > 0 {
            let tag = try reader.integer(UInt16.self, "an extra field")
            let length = try reader.integer(UInt16.self, "an extra field")
            let range = try reader.take(Int(length), "an extra field")
            guard tag == zip64 else { continue }
            guard found == nil else {
                throw ZipDefect.badExtraField.error("the entry has two zip64 extra fields", at: name)
            }
            found = BoundedReader(bytes, in: range, truncation: ZipDefect.badExtraField)
        }
        return found
    }

    /// Compares the local header with the directory entry.
    ///
    /// - Returns: the range of the content, and the range of everything that belongs to the entry.
    private func checkLocal(_ record: Record, before directory: Int) throws -> (data: Range<Int>, extent: Range<Int>) {
        guard record.localOffset <= directory else { throw mismatch(record, "lies behind the directory") }
        var reader = BoundedReader(bytes, in: record.localOffset..<directory, truncation: ZipDefect.truncated)
        guard try reader.integer(UInt32.self, "a local header") == Signature.local else {
            throw mismatch(record, "is not where the directory says")
        }
        _ = try reader.integer(UInt16.self, "a local header")
        let flags = try reader.integer(UInt16.self, "a local header")
        let method = try reader.integer(UInt16.self, "a local header")
        _ = try reader.take(4, "a local header")
        let crc32 = try reader.integer(UInt32.self, "a local header")
        let compressedSize = try reader.integer(UInt32.self, "a local header")
        let size = try reader.integer(UInt32.self, "a local header")
        let nameLength = try reader.integer(UInt16.self, "a local header")
        let extraLength = try reader.integer(UInt16.self, "a local header")
        let nameBytes = try reader.take(Int(nameLength), "a local entry name")
        let extra = try reader.take(Int(extraLength), "a local extra field")
        guard bytes[nameBytes].elementsEqual(bytes[record.nameBytes]) else {
            throw mismatch(record, "has another name")
        }
        guard flags == record.flags, method == record.method else {
            throw mismatch(record, "has other flags or another method")
        }
        // With a data descriptor the local header may leave checksum and sizes at zero: they follow the content.
        let deferred = flags & Flag.descriptor != 0
        guard crc32 == record.crc32 || (deferred && crc32 == 0) else { throw mismatch(record, "has another checksum") }
        var wide = try zip64Field(extra, record.name)
        for (value, promised) in [(size, record.size), (compressedSize, record.storedSize)] {
            let actual = value == .max ? try wide?.size("a zip64 size") ?? Int(value) : Int(value)
            guard actual == promised || (deferred && (actual == 0 || value == .max)) else {
                throw mismatch(record, "has another size")
            }
        }
        let data = try reader.take(record.storedSize, "the content of \(record.name)")
        if deferred { try checkDescriptor(&reader, record) }
        return (data, record.localOffset..<reader.offset)
    }

    /// Reads the data descriptor after the content: a signature, the checksum, two sizes of 32 or of 64 bits.
    private func checkDescriptor(_ reader: inout BoundedReader, _ record: Record) throws {
        let start = reader.offset
        let signature = try reader.integer(UInt32.self, "a data descriptor")
        let crc32 = try reader.integer(UInt32.self, "a data descriptor")
        var narrow = reader
        let narrowSizes = try (0..<2).map { _ in Int(try narrow.integer(UInt32.self, "a data descriptor")) }
        let fits = { (sizes: [Int]) in sizes == [record.storedSize, record.size] }
        if fits(narrowSizes) {
            reader = narrow
        } else {
            let wideSizes = try (0..<2).map { _ in try reader.size("a data descriptor") }
            guard fits(wideSizes) else { throw badDescriptor(record, start) }
        }
        guard signature == Signature.descriptor, crc32 == record.crc32 else { throw badDescriptor(record, start) }
    }

    private func badDescriptor(_ record: Record, _ offset: Int) -> ZooError {
        ZipDefect.badDescriptor.error(
            "the data descriptor of \(record.name) does not repeat the directory entry", at: byteLocation(offset))
    }

    private func mismatch(_ record: Record, _ what: String) -> ZooError {
        ZipDefect.localMismatch.error("the entry's local header \(what)", at: record.name)
    }

    private func checkDisjoint(_ extents: [Range<Int>]) throws {
        let sorted = extents.sorted { $0.lowerBound < $1.lowerBound }
        for (previous, next) in zip(sorted, sorted.dropFirst()) where next.lowerBound < previous.upperBound {
            throw ZipDefect.overlap.error("two entries share bytes", at: byteLocation(next.lowerBound))
        }
    }
}
