import ZooCore
import ZooIO

/// A zip archive of stored image files; the folder an image lies in is its class. Nothing is extracted to disk.
public struct ImageArchive: ImageDataset {
    public let name: String
    public let origin: DatasetOrigin
    public let labelSet: String?
    public let classes: [String]
    public let samples: [ImageSample]
    public let ignored: [IgnoredFile]
    private let archive: ZipArchive
    private let prefix: String

    /// A user's archive.
    ///
    /// - Throws: `ZooError` if the archive is malformed, holds no images, or class folders at several places.
    public init(path: String) throws {
        let archive = try ZipArchive(ByteRegion(path: path))
        let parents = Set(archive.entries.compactMap { Self.parts($0.name)?.parent })
        guard parents.count <= 1 else {
            let listed = parents.sorted(by: naturallyPrecedes).prefix(3).map { "'\($0)'" }.joined(separator: ", ")
            throw ZooError(
                .badData, "class folders lie at several places", file: path, found: listed,
                hint: "make one archive for each split", code: "dataset.several-roots")
        }
        try self.init(archive, name: path, origin: .path(path), labelSet: nil, prefix: parents.first ?? "")
    }

    /// The images of an embedded archive below `prefix`, which is empty or ends in `/`.
    init(embedded file: String, prefix: String, name: String, labelSet: String) throws {
        guard let bytes = embeddedBytes(file) else {
            throw ZooError(.internal, "the embedded file \(file) is missing")
        }
        try self.init(
            ZipArchive(ByteRegion(program: bytes, name: file)), name: name, origin: .embedded, labelSet: labelSet,
            prefix: prefix)
    }

    private init(
        _ archive: ZipArchive, name: String, origin: DatasetOrigin, labelSet: String?, prefix: String
    ) throws {
        var files: [(id: String, className: String, byteCount: Int)] = []
        var ignored: [IgnoredFile] = []
        for entry in archive.entries where entry.name.hasPrefix(prefix) && !Self.isHidden(entry.name) {
            let id = String(entry.name.dropFirst(prefix.count))
            guard let parts = Self.parts(id), parts.parent.isEmpty else {
                ignored.append(IgnoredFile(path: id, reason: "not in a class folder"))
                continue
            }
            let isImage = try isImageName(id) || archive.withBytes(of: entry.name) { beginsLikeImage($0) }
            if isImage {
                files.append((id, parts.className, entry.range.count))
            } else {
                ignored.append(IgnoredFile(path: id, reason: "neither JPEG nor PNG"))
            }
        }
        guard !files.isEmpty else {
            throw ZooError(
                .badData, "no images in class folders inside the archive", file: name, code: "dataset.empty")
        }
        files.sort { naturallyPrecedes($0.id, $1.id) }
        self.name = name
        self.origin = origin
        self.labelSet = labelSet
        (classes, samples) = labelled(files)
        self.ignored = ignored
        self.archive = archive
        self.prefix = prefix
    }

    public func withBytes<R>(
        of sample: ImageSample, limit: Int, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        guard sample.byteCount <= limit else {
            throw ZooError(
                .limit, "the file is too large for an image", file: archive.name, at: sample.id,
                expected: "at most \(limit) bytes", found: "\(sample.byteCount)", code: "dataset.file-too-large")
        }
        return try archive.withBytes(of: prefix + sample.id, body)
    }

    /// `a/b/c.png` is `a/`, class `b`; `nil` for a file in no folder and for hidden files.
    private static func parts(_ path: String) -> (parent: String, className: String)? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 2, !isHidden(path) else { return nil }
        return (parts.dropLast(2).map { $0 + "/" }.joined(), String(parts[parts.count - 2]))
    }

    private static func isHidden(_ path: String) -> Bool {
        path.split(separator: "/").contains { $0.hasPrefix(".") || $0 == "__MACOSX" }
    }
}
