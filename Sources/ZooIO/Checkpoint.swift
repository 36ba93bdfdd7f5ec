import ZooCore

/// What can be wrong with a checkpoint before or after its format's own parser.
public enum CheckpointDefect: String, ParserDefect {
    case unknownFormat = "checkpoint.unknown-format"
    case legacyPickle = "checkpoint.legacy-pickle"
    case noTensors = "checkpoint.no-tensors"
    case unknownKey = "checkpoint.unknown-key"
}

/// The file formats that `Checkpoint` reads.
public enum CheckpointFormat: String, Sendable {
    case safetensors
    case shardedSafetensors = "safetensors shards"
    case torch = "PyTorch zip"
}

/// A weights file of any supported format, with known containers and prefixes unwrapped: what models load from.
///
/// The format is told by content, never by the file's extension. Tensor names lose, up to four times,
///
/// - `module.` when all names carry it (data-parallel training), and
/// - `backbone.` when any name carries it: in a detector's or segmenter's file the other names (neck, heads) belong
///   to parts that a backbone does not have; they are left out and listed in `otherEntries`.
public struct Checkpoint: TensorFile {
    /// The file as the user named it.
    public let name: String
    public let names: [String]
    public let format: CheckpointFormat
    /// The size on disk, all shards together.
    public let byteCount: Int
    /// For a PyTorch file: the keys that led to the state dictionary, outermost first.
    public let container: [String]
    /// What was stripped from the front of all tensor names, such as `module.backbone.`.
    public let prefix: String
    /// What the file holds beside the tensors: other entries of a PyTorch file, tensors left out with a prefix.
    public let otherEntries: [CheckpointEntry]
    /// Free text stored in a safetensors file.
    public let metadata: [String: String]

    /// Nobody nests wrappers deeper; the bound keeps hostile names from being walked again and again.
    private static let maxPrefixParts = 4

    private let file: any TensorFile
    /// The files whose content is the checkpoint, for the digest.
    private let regions: [ByteRegion]

    /// Opens the weights file at `path`.
    ///
    /// - Parameters:
    ///   - key: which state dictionary to take: a top-level key of a PyTorch file, or the first part of the tensor
    ///     names of a safetensors file. `nil` chooses by `TorchFile.containerKeys`.
    /// - Throws: the errors of the format's parser; `CheckpointDefect` errors.
    public static func open(
        path: String, key: String? = nil, access: ByteRegion.Access = .mapped,
        safetensorsLimits: SafetensorsLimits = SafetensorsLimits()
    ) throws -> Checkpoint {
        try open(ByteRegion(path: path, access: access), key: key, access: access, safetensorsLimits: safetensorsLimits)
    }

    /// Reads a checkpoint that is in memory, such as an embedded one. Shards of an index are looked for beside the
    /// region's name.
    public static func open(
        _ region: ByteRegion, key: String? = nil, access: ByteRegion.Access = .mapped,
        safetensorsLimits: SafetensorsLimits = SafetensorsLimits()
    ) throws -> Checkpoint {
        let format = try naming(region.name) { try region.withBytes(recognize) }
        switch format {
        case .torch:
            let file = try TorchFile(region, key: key)
            return try Checkpoint(
                file, format, [region], key: nil, container: file.container, otherEntries: file.otherEntries)
        case .safetensors:
            let file = try SafetensorsFile(region, limits: safetensorsLimits)
            return try Checkpoint(file, format, [region], key: key, metadata: file.metadata)
        case .shardedSafetensors:
            let file = try ShardedSafetensors(index: region, access: access, limits: safetensorsLimits)
            let regions = try [region] + file.shardPaths.map { try ByteRegion(path: $0, access: access) }
            return try Checkpoint(file, format, regions, key: key)
        }
    }

    private init(
        _ file: any TensorFile, _ format: CheckpointFormat, _ regions: [ByteRegion], key: String?,
        container: [String] = [], otherEntries: [CheckpointEntry] = [], metadata: [String: String] = [:]
    ) throws {
        let (prefix, kept) = try Self.unwrap(file.names, key: key, file: file.name)
        self.file = file
        self.format = format
        self.regions = regions
        self.container = container
        self.prefix = prefix
        self.metadata = metadata
        name = file.name
        names = kept
        byteCount = regions.reduce(0) { $0 + $1.count }
        let leftOut = file.names.filter { !$0.hasPrefix(prefix) }
        self.otherEntries =
            otherEntries
            + leftOut.map { CheckpointEntry(name: $0, summary: "tensor \(file.info($0)?.shape ?? [])") }
    }

    public func info(_ tensor: String) -> TensorInfo? { file.info(prefix + tensor) }

    public func withBytes<R>(of tensor: String, _ body: (TensorInfo, UnsafeRawBufferPointer) throws -> R) throws -> R {
        try file.withBytes(of: prefix + tensor, body)
    }

    /// The SHA-256 digest of the file, in hexadecimal; for shards, of the index followed by the shards in the
    /// order of their names. Reads everything.
    public func sha256() -> String {
        var hash = SHA256()
        for region in regions { region.forEachPiece { hash.update($0) } }
        return hash.finalizeHex()
    }

    /// Finds the format from the first bytes, and tells people what the file is if it is another one.
    private static func recognize(_ bytes: UnsafeRawBufferPointer) throws -> CheckpointFormat {
        if starts(bytes, with: "PK\u{3}\u{4}") || starts(bytes, with: "PK\u{5}\u{6}") { return .torch }
        if bytes.count > 8, bytes[8] == UInt8(ascii: "{") { return .safetensors }
        if bytes.prefix(4096).first(where: { !isSpace($0) }) == UInt8(ascii: "{") { return .shardedSafetensors }
        if bytes.count > 1, bytes[0] == 0x80, (1...5).contains(bytes[1]) {
            throw CheckpointDefect.legacyPickle.error(
                "the file is a bare pickle, the format of PyTorch before 1.6, which is not read",
                expected: "a PyTorch zip or a safetensors file", hint: PickleMachine.resave)
        }
        throw CheckpointDefect.unknownFormat.error(
            "the format is not known", expected: "a safetensors file, its index of shards, or a PyTorch zip",
            found: describe(bytes))
    }

    private static func describe(_ bytes: UnsafeRawBufferPointer) -> String {
        let known = [
            ("GGUF", "a GGUF file"), ("\u{89}HDF", "an HDF5 file"), ("\u{93}NUMPY", "a numpy array"),
            ("<", "a web page or XML text, perhaps a failed download"),
            ("version https://git-lfs", "a Git LFS pointer instead of the file itself"),
        ]
        if bytes.isEmpty { return "an empty file" }
        if let match = known.first(where: { starts(bytes, with: $0.0) }) { return match.1 }
        return "a file that begins with bytes \(bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: " "))"
    }

    private static func starts(_ bytes: UnsafeRawBufferPointer, with text: String) -> Bool {
        bytes.starts(with: text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    /// The prefix to strip and the names that remain, sorted.
    private static func unwrap(_ all: [String], key: String?, file: String) throws -> (String, [String]) {
        var prefix = ""
        var names = all
        func strip(_ part: String) {
            names = names.filter { $0.hasPrefix(part) }.map { String($0.dropFirst(part.count)) }
            prefix += part
        }
        if let key {
            guard names.contains(where: { $0.hasPrefix(key + ".") }) else {
                throw CheckpointDefect.unknownKey.error("no tensor name begins with this key", at: key, kind: .usage)
                    .naming(file: file)
            }
            strip(key + ".")
        }
        for _ in 0..<maxPrefixParts {
            if !names.isEmpty, names.allSatisfy({ $0.hasPrefix("module.") }) {
                strip("module.")
            } else if names.contains(where: { $0.hasPrefix("backbone.") }) {
                strip("backbone.")
            } else {
                break
            }
        }
        guard !names.isEmpty else {
            throw CheckpointDefect.noTensors.error("the checkpoint holds no tensors").naming(file: file)
        }
        return (prefix, names.sorted())
    }
}
