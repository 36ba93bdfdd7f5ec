import Foundation
import ZooCore
import ZooIO

/// What a subset consists of and how it was chosen: the file `subset.json` in its folder.
public struct SubsetManifest: Codable, Sendable, Equatable {
    /// One image of the subset.
    public struct File: Codable, Sendable, Equatable {
        /// Relative to the manifest's folder: `CLASS/NAME`.
        public let path: String
        public let size: Int
        public let sha256: String
    }

    public static let fileName = "subset.json"
    public static let currentVersion = 1

    public let schemaVersion: Int
    /// What `--from` named.
    public let source: String
    /// The fingerprint of the dataset that the subset was taken from.
    public let sourceFingerprint: String
    public let seed: UInt64
    /// Images asked for from each class; a class that has fewer gave all.
    public let perClass: Int
    public let classes: [String]
    public let files: [File]

    private static let maximumBytes = 256 << 20

    /// Reads the manifest of a subset's folder.
    ///
    /// - Throws: `ZooError` naming the file: not JSON, another version, paths that leave the folder.
    public init(folder: String) throws {
        let path = folder + "/" + Self.fileName
        let region = try ByteRegion(path: path, access: .read)
        guard region.count <= Self.maximumBytes else {
            throw ZooError(.limit, "the manifest is too large", file: path, found: "\(region.count) bytes")
        }
        do {
            self = try Self.decoder.decode(Self.self, from: region.withBytes { Data($0) })
        } catch {
            throw ZooError(
                .badData, "not a subset manifest: \(explain(error))", file: path, code: "dataset.bad-manifest")
        }
        guard schemaVersion == Self.currentVersion else {
            throw ZooError(
                .badData, "another version of the manifest", file: path, expected: "\(Self.currentVersion)",
                found: "\(schemaVersion)", code: "dataset.manifest-version")
        }
        var seen = Set<String>()
        for file in files {
            guard isInside(file.path), file.path.split(separator: "/").count == 2, file.size >= 0 else {
                throw ZooError(
                    .badData, "a path must be CLASS/NAME inside the folder", file: path, found: file.path,
                    code: "dataset.manifest-traversal")
            }
            guard seen.insert(file.path).inserted else {
                throw ZooError(
                    .badData, "a file is listed twice", file: path, found: file.path, code: "dataset.manifest-duplicate"
                )
            }
        }
    }

    init(
        source: String, sourceFingerprint: String, seed: UInt64, perClass: Int, classes: [String], files: [File]
    ) {
        schemaVersion = Self.currentVersion
        self.source = source
        self.sourceFingerprint = sourceFingerprint
        self.seed = seed
        self.perClass = perClass
        self.classes = classes
        self.files = files
    }

    /// The manifest as JSON text; equal subsets give equal bytes.
    func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
    }

    private static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return decoder
    }
}

/// The reason of a decoding error in one line.
private func explain(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "'\(key.stringValue)' is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
        "'\(context.codingPath.map(\.stringValue).joined(separator: "."))' has another type"
    default: "malformed JSON"
    }
}
