import ZooCore

/// What can be wrong with an index of safetensors shards.
public enum ShardIndexDefect: String, ParserDefect {
    case tooLong = "shards.index-too-long"
    case noWeightMap = "shards.no-weight-map"
    case duplicateTensor = "shards.duplicate-tensor"
    case badFileName = "shards.bad-file-name"
    case tooManyShards = "shards.too-many-shards"
    case missingTensor = "shards.missing-tensor"
    case unlistedTensor = "shards.unlisted-tensor"
    case trailingBytes = "shards.trailing-bytes"
}

/// A checkpoint split over several safetensors files, opened by its `….safetensors.index.json`.
public struct ShardedSafetensors: TensorFile {
    public let name: String
    public let names: [String]
    /// The shards in the order of their file names.
    public let shards: [SafetensorsFile]
    /// The paths of the shards, in the same order.
    public let shardPaths: [String]

    private static let maxIndexBytes = 32 << 20
    private static let maxShards = 1024
    private let shardOfTensor: [String: Int]

    /// Opens the index in `region`, whose name is its path, and all shards beside it.
    ///
    /// - Throws: `ShardIndexDefect` and `JSONDefect` errors, and those of the shards.
    public init(
        index region: ByteRegion, access: ByteRegion.Access = .mapped, limits: SafetensorsLimits = SafetensorsLimits()
    ) throws {
        let fileOfTensor = try naming(region.name) {
            try region.withBytes { try Self.parse($0, limits: limits) }
        }
        let files = Set(fileOfTensor.values).sorted()
        guard files.count <= Self.maxShards else {
            throw ShardIndexDefect.tooManyShards.error(
                "the index names too many files", expected: "at most \(Self.maxShards)", found: "\(files.count)"
            ).naming(file: region.name)
        }
        let folder = region.name.lastIndex(of: "/").map { String(region.name[...$0]) } ?? ""
        let paths = files.map { folder + $0 }
        let shards = try paths.map { try SafetensorsFile(path: $0, access: access, limits: limits) }
        let shardOfFile = Dictionary(uniqueKeysWithValues: zip(files, files.indices))
        let shardOfTensor = fileOfTensor.compactMapValues { shardOfFile[$0] }
        for (tensor, shard) in shardOfTensor where shards[shard].info(tensor) == nil {
            throw ShardIndexDefect.missingTensor.error(
                "the shard lacks a tensor that the index puts there", at: tensor
            ).naming(file: paths[shard])
        }
        for (number, shard) in shards.enumerated() {
            guard let stray = shard.names.first(where: { shardOfTensor[$0] != number }) else { continue }
            throw ShardIndexDefect.unlistedTensor.error(
                "the shard has a tensor that the index does not put there", at: stray
            ).naming(file: paths[number])
        }
        name = region.name
        self.shards = shards
        shardPaths = paths
        self.shardOfTensor = shardOfTensor
        names = shardOfTensor.keys.sorted()
    }

    public func info(_ tensor: String) -> TensorInfo? { shardOfTensor[tensor].flatMap { shards[$0].info(tensor) } }

    public func withBytes<R>(of tensor: String, _ body: (TensorInfo, UnsafeRawBufferPointer) throws -> R) throws -> R {
        guard let shard = shardOfTensor[tensor] else { throw missing(tensor) }
        return try shards[shard].withBytes(of: tensor, body)
    }

    /// Tensor name to file name.
    private static func parse(_ bytes: UnsafeRawBufferPointer, limits: SafetensorsLimits) throws -> [String: String] {
        guard bytes.count <= maxIndexBytes else {
            throw ShardIndexDefect.tooLong.error(
                "the index is too long", expected: "at most \(maxIndexBytes) bytes", found: "\(bytes.count)")
        }
        var scanner = JSONScanner(bytes, in: 0..<bytes.count)
        var fileOfTensor: [String: String]?
        try scanner.object("the index", maxKey: limits.maxNameBytes) { scanner, key in
            guard key == "weight_map" else { return try scanner.skipValue(key, maxDepth: 16) }
            guard fileOfTensor == nil else {
                throw ShardIndexDefect.duplicateTensor.error("a key occurs twice", at: key)
            }
            fileOfTensor = try parseMap(&scanner, limits: limits)
        }
        guard scanner.peek() == nil else {
            throw ShardIndexDefect.trailingBytes.error("text follows the index", at: byteLocation(scanner.offset))
        }
        guard let fileOfTensor, !fileOfTensor.isEmpty else {
            throw ShardIndexDefect.noWeightMap.error("the index has no weight_map")
        }
        return fileOfTensor
    }

    private static func parseMap(_ scanner: inout JSONScanner, limits: SafetensorsLimits) throws -> [String: String] {
        var map: [String: String] = [:]
        try scanner.object("weight_map", maxKey: limits.maxNameBytes) { scanner, tensor in
            let file = try scanner.string("the file of \(tensor)", maxBytes: 255)
            guard !file.isEmpty, !file.contains("/"), !file.contains("\0"), file != ".", file != ".." else {
                throw ShardIndexDefect.badFileName.error(
                    "a shard must be a file in the same folder", at: tensor, found: file)
            }
            guard map.updateValue(file, forKey: tensor) == nil else {
                throw ShardIndexDefect.duplicateTensor.error("a name occurs twice", at: tensor)
            }
        }
        return map
    }
}
