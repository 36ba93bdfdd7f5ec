import ZooCore

/// A `.npz` archive of numpy arrays: reference statistics and image batches of the evaluators of generated images.
///
/// An array is named by its key, `mu` for the entry `mu.npy`. Element types are little-endian numbers and bytes; pickled
/// objects are refused. Stored arrays are views into the file; deflated ones, and those in Fortran's order, are copied at
/// each reading.
public final class NumpyArchive: TensorFile {
    public let name: String
    public let names: [String]
    private let archive: ZipArchive
    private let headers: [String: NumpyHeader]
    /// Arrays of types that are not read: an error only for who asks for them.
    private let unreadable: [String: ZooError]

    /// The limits under which arrays are read: compressed ones may become 4 GiB.
    public static var limits: ZipLimits {
        var limits = ZipLimits()
        limits.maxEntries = 4096
        limits.maxInflatedBytes = 4 << 30
        return limits
    }

    /// Parses the directory and the header of every array. An array of a type that is not read, such as text, is left out
    /// of `names` and refused when it is asked for.
    ///
    /// - Throws: `FileDefect`, `ZipDefect` and `NumpyDefect` errors that name the entry.
    public convenience init(path: String) throws {
        try self.init(ByteRegion(path: path))
    }

    /// - Parameter limits: what the archive may claim.
    public init(_ region: ByteRegion, limits: ZipLimits = NumpyArchive.limits) throws {
        let archive = try ZipArchive(region, limits: limits)
        var headers: [String: NumpyHeader] = [:]
        var unreadable: [String: ZooError] = [:]
        try naming(region.name) {
            for entry in archive.entries {
                guard entry.name.hasSuffix(Self.suffix) else {
                    throw NumpyDefect.unknownEntry.error(
                        "the entry is no numpy array", at: entry.name, expected: "a name that ends in .npy")
                }
                let name = String(entry.name.dropLast(Self.suffix.count))
                do {
                    headers[name] = try Self.header(of: entry, archive)
                } catch let error as ZooError where Self.isDeferred(error) {
                    unreadable[name] = error.naming(file: region.name)
                }
            }
        }
        self.headers = headers
        self.unreadable = unreadable
        self.archive = archive
        name = region.name
        names = headers.keys.sorted()
    }

    private static let suffix = ".npy"

    private static func isDeferred(_ error: ZooError) -> Bool {
        [NumpyDefect.objects, .unsupportedType].contains { $0.rawValue == error.code }
    }

    private static func header(of entry: ZipEntry, _ archive: ZipArchive) throws -> NumpyHeader {
        do {
            return try archive.withBeginning(of: entry, count: NumpyHeader.maxBytes) {
                try NumpyHeader($0, total: entry.size)
            }
        } catch let error as ZooError where !(error.location ?? "").hasPrefix(entry.name) {
            var error = error
            error.location = error.location.map { "\(entry.name), \($0)" } ?? entry.name
            throw error
        }
    }

    public func info(_ tensor: String) -> TensorInfo? { headers[tensor]?.info }

    public func withBytes<R>(of tensor: String, _ body: (TensorInfo, UnsafeRawBufferPointer) throws -> R) throws -> R {
        guard let header = headers[tensor] else { throw unreadable[tensor] ?? missing(tensor) }
        return try archive.withBytes(of: tensor + Self.suffix) { bytes in
            let elements = UnsafeRawBufferPointer(rebasing: bytes[header.byteCount...])
            guard header.isFortranOrder, header.info.shape.count > 1 else { return try body(header.info, elements) }
            return try Self.rowMajor(elements, header.info).withUnsafeBytes { try body(header.info, $0) }
        }
    }

    /// Reorders elements whose first index runs fastest, so that the last one does.
    private static func rowMajor(_ bytes: UnsafeRawBufferPointer, _ info: TensorInfo) -> [UInt8] {
        guard info.count > 0 else { return [] }
        let size = info.dtype.size
        var strides = [size]
        for side in info.shape.dropLast() { strides.append(strides[strides.count - 1] * side) }
        return [UInt8](unsafeUninitializedCapacity: bytes.count) { result, count in
            var index = [Int](repeating: 0, count: info.shape.count)
            var from = 0
            while count < bytes.count {
                for byte in 0..<size { result[count + byte] = bytes[from + byte] }
                count += size
                for axis in index.indices.reversed() {
                    index[axis] += 1
                    from += strides[axis]
                    if index[axis] < info.shape[axis] { break }
                    from -= index[axis] * strides[axis]
                    index[axis] = 0
                }
            }
        }
    }
}
