import Glibc
import Synchronization
import ZooCore

/// What can be wrong with a zip archive.
public enum ZipDefect: String, ParserDefect {
    case truncated = "zip.truncated"
    case noEndRecord = "zip.no-end-record"
    case severalDisks = "zip.several-disks"
    case badZip64 = "zip.bad-zip64"
    case badDirectory = "zip.bad-directory"
    case tooManyEntries = "zip.too-many-entries"
    case badSignature = "zip.bad-signature"
    case badFlags = "zip.bad-flags"
    case encrypted = "zip.encrypted"
    case compressed = "zip.compressed"
    case badSize = "zip.bad-size"
    case badExtraField = "zip.bad-extra-field"
    case badName = "zip.bad-name"
    case unsafeName = "zip.unsafe-name"
    case duplicateName = "zip.duplicate-name"
    case specialFile = "zip.special-file"
    case localMismatch = "zip.local-mismatch"
    case badDescriptor = "zip.bad-descriptor"
    case overlap = "zip.overlap"
    case missingEntry = "zip.missing-entry"
    case badChecksum = "zip.bad-checksum"
    case badDeflate = "zip.bad-deflate"
    case tooLarge = "zip.too-large"
}

/// What a zip archive may claim before it is refused.
public struct ZipLimits: Sendable {
    public var maxEntries = 262_144
    /// The longest entry name, in bytes.
    public var maxNameBytes = 1024
    /// Bytes that a deflated entry may become; 0 refuses compressed entries.
    public var maxInflatedBytes = 0

    public init() {}
}

/// One file of a `ZipArchive`.
public struct ZipEntry: Sendable, Equatable {
    /// The name, a label only: nothing is ever extracted to disk.
    public let name: String
    /// Where the content lies, from the start of the archive.
    public let range: Range<Int>
    /// The checksum the archive promises for the content.
    public let crc32: UInt32
    /// For a deflated entry, the bytes that it becomes.
    public let inflatedSize: Int?

    /// Bytes of the content.
    public var size: Int { inflatedSize ?? range.count }
}

/// A read-only zip archive, in a mapped file or in memory: PyTorch checkpoints, packed sample datasets, numpy's arrays.
/// Entries are stored; deflated ones are read where the limits allow them.
///
/// The reader is strict where tolerant readers disagree with each other: the end record is the end of the file
/// (no archive comment), the central directory lies directly before it, each local header agrees with its
/// directory entry, names are unique and plain, entries do not overlap. Stored contents are views, not copies,
/// whose checksum is verified when the entry is first read; deflated ones are decompressed and verified at each reading.
public final class ZipArchive: Sendable {
    /// What error messages call the archive.
    public let name: String
    /// All files, in the order of the central directory; folder entries are left out.
    public let entries: [ZipEntry]

    private let region: ByteRegion
    private let index: [String: Int]
    private let verified: Mutex<[Bool]>

    /// Parses the central directory and all local headers.
    ///
    /// - Throws: `ZipDefect` errors that name the entry or the byte offset.
    public init(_ region: ByteRegion, limits: ZipLimits = ZipLimits()) throws {
        entries = try naming(region.name) {
            try region.withBytes { try ZipDirectory(bytes: $0, limits: limits).entries() }
        }
        self.region = region
        name = region.name
        index = Dictionary(uniqueKeysWithValues: zip(entries.map(\.name), entries.indices))
        verified = Mutex([Bool](repeating: false, count: entries.count))
    }

    /// The entry of that name.
    public func entry(named name: String) -> ZipEntry? { index[name].map { entries[$0] } }

    /// Calls `body` with the content of the entry called `name`; the pointer is valid only inside.
    ///
    /// - Throws: `ZipDefect.missingEntry`, `ZipDefect.badChecksum`.
    public func withBytes<R>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        guard let position = index[name] else {
            throw ZipDefect.missingEntry.error("the archive has no such entry", at: name).naming(file: self.name)
        }
        let entry = entries[position]
        return try region.withBytes(in: entry.range) { bytes in
            guard let size = entry.inflatedSize else {
                if !verified.withLock({ $0[position] }) {
                    try verify(bytes, entry)
                    verified.withLock { $0[position] = true }
                }
                return try body(bytes)
            }
            return try withInflated(bytes, entry, Inflater.inflate(_:into:), size) { inflated in
                try verify(inflated, entry)
                return try body(inflated)
            }
        }
    }

    /// Calls `body` with the first `count` bytes of an entry, or all of a shorter one, without verifying the checksum.
    func withBeginning<R>(of entry: ZipEntry, count: Int, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        try region.withBytes(in: entry.range) { bytes in
            guard let size = entry.inflatedSize else {
                return try body(UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
            }
            return try withInflated(bytes, entry, Inflater.inflate(beginningOf:into:), min(count, size), body)
        }
    }

    private func withInflated<R>(
        _ bytes: UnsafeRawBufferPointer, _ entry: ZipEntry,
        _ inflate: (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer) throws -> Void, _ size: Int,
        _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        guard let memory = malloc(max(size, 1)) else {
            throw ZipDefect.tooLarge.error(
                "the entry does not fit into memory", at: entry.name, found: "\(size) bytes", kind: .limit
            ).naming(file: name)
        }
        defer { free(memory) }
        let inflated = UnsafeMutableRawBufferPointer(start: memory, count: size)
        do {
            try inflate(bytes, inflated)
        } catch let error as ZooError {
            var error = error
            error.location = "\(entry.name), \(error.location ?? "")"
            throw error.naming(file: name)
        }
        return try body(UnsafeRawBufferPointer(inflated))
    }

    private func verify(_ content: UnsafeRawBufferPointer, _ entry: ZipEntry) throws {
        let checksum = CRC32.checksum(content)
        guard checksum == entry.crc32 else {
            throw ZipDefect.badChecksum.error(
                "the content is damaged", at: entry.name, expected: "CRC-32 \(hexadecimal(entry.crc32))",
                found: hexadecimal(checksum)
            ).naming(file: name)
        }
    }

    /// Tells the kernel that an entry's pages are not needed soon.
    func release(_ entry: ZipEntry) { region.release(entry.range) }
}

private func hexadecimal(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
}
