import ZooCore

/// A safetensors file, opened strictly: whatever the format forbids is an error, and so is a duplicate name,
/// which the format's reference reader accepts.
///
/// Opening costs the header only; elements are read, and converted to float32, when they are asked for.
public struct SafetensorsFile: TensorFile {
    public let name: String
    public let names: [String]
    /// The file's `__metadata__`.
    public let metadata: [String: String]

    private let region: ByteRegion
    private let records: [String: SafetensorsHeader.Record]

    /// Opens the file at `path`.
    ///
    /// - Throws: `FileDefect`, `SafetensorsDefect` and `JSONDefect` errors that name file, tensor or byte.
    public init(
        path: String, access: ByteRegion.Access = .mapped, limits: SafetensorsLimits = SafetensorsLimits()
    ) throws {
        try self.init(ByteRegion(path: path, access: access), limits: limits)
    }

    /// Reads a file that is in memory already, such as an embedded checkpoint.
    public init(_ region: ByteRegion, limits: SafetensorsLimits = SafetensorsLimits()) throws {
        let header = try naming(region.name) {
            try region.withBytes { try SafetensorsHeader($0, limits: limits) }
        }
        self.region = region
        name = region.name
        records = header.tensors
        metadata = header.metadata
        names = records.keys.sorted()
    }

    public func info(_ tensor: String) -> TensorInfo? { records[tensor]?.info }

    public func withBytes<R>(of tensor: String, _ body: (TensorInfo, UnsafeRawBufferPointer) throws -> R) throws -> R {
        guard let record = records[tensor] else { throw missing(tensor) }
        defer { region.release(record.range) }
        return try region.withBytes(in: record.range) { try body(record.info, $0) }
    }
}
