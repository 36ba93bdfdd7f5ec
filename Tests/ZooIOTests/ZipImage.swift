import ZooIO

/// Builds zip archives byte by byte, so that each field can be made wrong.
struct ZipImage {
    struct Entry {
        var name: [UInt8]
        var content: [UInt8]
        var flags: UInt16 = 0
        var method: UInt16 = 0
        var attributes: UInt32 = 0
        var localExtra: [UInt8] = []
        var centralExtra: [UInt8] = []
        /// What the directory says about size and place; `nil` is the truth.
        var centralSizes: (compressed: UInt32, size: UInt32)?
        var centralOffset: UInt32?
        /// Follows the content.
        var descriptor: [UInt8] = []

        init(_ name: String, _ content: [UInt8] = []) {
            self.name = Array(name.utf8)
            self.content = content
        }
    }

    private(set) var bytes: [UInt8] = []
    /// Where the local headers begin.
    private(set) var locals: [Int] = []
    /// Where the directory entries begin.
    private(set) var centrals: [Int] = []
    /// Where the end record begins, and its zip64 form if there is one.
    private(set) var end = 0
    private(set) var end64 = 0

    init(_ entries: [Entry], zip64: Bool = false) {
        for entry in entries { appendLocal(entry) }
        let directory = bytes.count
        for (entry, offset) in zip(entries, locals) { appendCentral(entry, offset) }
        let size = bytes.count - directory
        end64 = bytes.count
        if zip64 {
            bytes += le(UInt32(0x0606_4B50)) + le(UInt64(44)) + le(UInt16(45)) + le(UInt16(45))
            bytes += le(UInt32(0)) + le(UInt32(0)) + le(UInt64(entries.count)) + le(UInt64(entries.count))
            bytes += le(UInt64(size)) + le(UInt64(directory))
            bytes += le(UInt32(0x0706_4B50)) + le(UInt32(0)) + le(UInt64(end64)) + le(UInt32(1))
        }
        end = bytes.count
        let count = zip64 ? UInt16.max : UInt16(entries.count)
        bytes += le(UInt32(0x0605_4B50)) + le(UInt16(0)) + le(UInt16(0)) + le(count) + le(count)
        bytes += le(zip64 ? UInt32.max : UInt32(size)) + le(zip64 ? UInt32.max : UInt32(directory)) + le(UInt16(0))
    }

    /// The archive with `value` written over the bytes at `offset`.
    func patched(_ offset: Int, _ value: [UInt8]) -> [UInt8] {
        var copy = bytes
        copy.replaceSubrange(offset..<(offset + value.count), with: value)
        return copy
    }

    private mutating func appendLocal(_ entry: Entry) {
        locals.append(bytes.count)
        bytes += le(UInt32(0x0403_4B50)) + le(UInt16(20)) + le(entry.flags) + le(entry.method) + le(UInt32(0))
        let deferred = entry.flags & 8 != 0
        let size = UInt32(entry.content.count)
        bytes += le(deferred ? 0 : checksum(entry.content)) + le(deferred ? 0 : size) + le(deferred ? 0 : size)
        bytes += le(UInt16(entry.name.count)) + le(UInt16(entry.localExtra.count)) + entry.name + entry.localExtra
        bytes += entry.content + entry.descriptor
    }

    private mutating func appendCentral(_ entry: Entry, _ offset: Int) {
        centrals.append(bytes.count)
        let unix: UInt16 = 3 << 8
        bytes += le(UInt32(0x0201_4B50)) + le(unix | 20) + le(UInt16(20)) + le(entry.flags) + le(entry.method)
        bytes += le(UInt32(0)) + le(checksum(entry.content))
        let size = UInt32(entry.content.count)
        bytes += le(entry.centralSizes?.compressed ?? size) + le(entry.centralSizes?.size ?? size)
        bytes += le(UInt16(entry.name.count)) + le(UInt16(entry.centralExtra.count)) + le(UInt16(0)) + le(UInt16(0))
        bytes += le(UInt16(0)) + le(entry.attributes) + le(entry.centralOffset ?? UInt32(offset))
        bytes += entry.name + entry.centralExtra
    }

    private func checksum(_ content: [UInt8]) -> UInt32 { content.withUnsafeBytes { CRC32.checksum($0) } }
}
