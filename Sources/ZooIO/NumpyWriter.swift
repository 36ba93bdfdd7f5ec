import ZooCore

/// Writes a `.npz` archive of stored arrays as they come, so that a batch of images may be larger than memory.
///
/// Entries have data descriptors and 64-bit sizes, which numpy and this package read.
public struct NumpyWriter {
    private struct Entry {
        let name: [UInt8]
        let offset: Int
        let size: Int
        let crc32: UInt32
    }

    private let sink: AtomicFile.Sink
    private let path: String
    private var offset = 0
    private var entries: [Entry] = []

    /// Creates or replaces the file at `path` with the arrays that `body` adds: complete or not at all.
    ///
    /// - Throws: `OutputDefect` errors, or what `body` throws.
    public static func write(to path: String, _ body: (inout NumpyWriter) throws -> Void) throws {
        try AtomicFile.write(to: path) { sink in
            var writer = NumpyWriter(sink: sink, path: path)
            try body(&writer)
            try writer.finish()
        }
    }

    private init(sink: AtomicFile.Sink, path: String) {
        self.sink = sink
        self.path = path
    }

    /// Adds an array from the in-memory form of its elements in row-major order.
    ///
    /// - Precondition: `values.count` is the product of `shape`.
    public mutating func add<Element: SafetensorsElement>(_ name: String, shape: [Int], _ values: [Element]) throws {
        try add(name, shape: shape, Element.self) { write in try values.withUnsafeBytes { try write($0) } }
    }

    /// Adds an array whose elements `emit` hands over in row-major order, in as many pieces as it likes.
    ///
    /// - Throws: `ZooError` of kind `usage` if the archive has an array of this name.
    /// - Precondition: `emit` hands over as many bytes as the shape says.
    public mutating func add<Element: SafetensorsElement>(
        _ name: String, shape: [Int], _: Element.Type, emit: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let info = TensorInfo(shape: shape, dtype: Element.dtype)
        let nameBytes = Array("\(name).npy".utf8)
        guard !entries.contains(where: { $0.name == nameBytes }) else {
            throw ZooError(.usage, "a file cannot hold two arrays of this name", file: path, at: name)
        }
        let header = NumpyHeader.bytes(for: info)
        let size = header.count + info.count * info.dtype.size
        let start = offset
        try put(localHeader(nameBytes, size: size))
        var checksum = CRC32()
        header.withUnsafeBytes { checksum.update($0) }
        try put(header)
        let first = offset
        try emit { bytes in
            checksum.update(bytes)
            try put(bytes)
        }
        precondition(offset - first == size - header.count, "\(name): \(offset - first) bytes for \(info)")
        try put(le(Self.descriptorSignature) + le(checksum.value) + le(UInt64(size)) + le(UInt64(size)))
        entries.append(Entry(name: nameBytes, offset: start, size: size, crc32: checksum.value))
    }

    private static let descriptorSignature: UInt32 = 0x0807_4B50
    private static let zip64Version: UInt16 = 45
    private static let hasDescriptor: UInt16 = 1 << 3
    /// 1 January 1980: the same content always gives the same bytes.
    private static let date: UInt32 = 33 << 16

    private func localHeader(_ name: [UInt8], size: Int) -> [UInt8] {
        le(UInt32(0x0403_4B50)) + le(Self.zip64Version) + le(Self.hasDescriptor) + le(UInt16(0)) + le(Self.date)
            + le(UInt32(0)) + le(UInt32.max) + le(UInt32.max) + le(UInt16(name.count)) + le(UInt16(20)) + name
            + le(UInt16(1)) + le(UInt16(16)) + le(UInt64(size)) + le(UInt64(size))
    }

    private mutating func finish() throws {
        let directory = offset
        for entry in entries {
            try put(
                le(UInt32(0x0201_4B50)) + le(Self.zip64Version) + le(Self.zip64Version) + le(Self.hasDescriptor)
                    + le(UInt16(0)) + le(Self.date) + le(entry.crc32) + le(UInt32.max) + le(UInt32.max)
                    + le(UInt16(entry.name.count)) + le(UInt16(28)) + [UInt8](repeating: 0, count: 10) + le(UInt32.max)
                    + entry.name + le(UInt16(1)) + le(UInt16(24)) + le(UInt64(entry.size)) + le(UInt64(entry.size))
                    + le(UInt64(entry.offset)))
        }
        let end = offset
        let (size, count) = (UInt64(end - directory), UInt64(entries.count))
        try put(
            le(UInt32(0x0606_4B50)) + le(UInt64(44)) + le(Self.zip64Version) + le(Self.zip64Version) + le(UInt32(0))
                + le(UInt32(0)) + le(count) + le(count) + le(size) + le(UInt64(directory)))
        try put(le(UInt32(0x0706_4B50)) + le(UInt32(0)) + le(UInt64(end)) + le(UInt32(1)))
        try put(
            le(UInt32(0x0605_4B50)) + le(UInt16(0)) + le(UInt16(0)) + le(UInt16.max) + le(UInt16.max) + le(UInt32.max)
                + le(UInt32.max) + le(UInt16(0)))
    }

    private mutating func put(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try put($0) }
    }

    private mutating func put(_ bytes: UnsafeRawBufferPointer) throws {
        try sink.write(bytes)
        offset += bytes.count
    }
}

/// The little-endian bytes of a number.
private func le(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
