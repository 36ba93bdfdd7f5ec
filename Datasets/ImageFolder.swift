import ZooCore

/// A folder with one sub-folder per class, named by WordNet id, class name or number.
///
/// File names and extensions do not matter; a class may have folders inside. Symbolic links to files and to class
/// folders are followed.
public struct ImageFolder: ImageDataset {
    public let name: String
    public let origin: DatasetOrigin
    public let classes: [String]
    public let samples: [ImageSample]
    public let ignored: [IgnoredFile]
    private let path: String

    /// - Throws: `ZooError` if the folder is missing or no sub-folder holds an image.
    public init(path: String, name: String? = nil) throws {
        let root = try FolderListing(path)
        var files: [(id: String, className: String, byteCount: Int)] = []
        var ignored = root.ignored
        ignored += root.images.map { IgnoredFile(path: $0.path, reason: "not in a class folder") }
        for className in root.folders {
            let listing = try FolderListing.below(path + "/" + className)
            files += listing.images.map { ("\(className)/\($0.path)", className, $0.byteCount) }
            ignored += listing.ignored.map { IgnoredFile(path: "\(className)/\($0.path)", reason: $0.reason) }
            if listing.images.isEmpty { ignored.append(IgnoredFile(path: className, reason: "no image inside")) }
        }
        guard !files.isEmpty else {
            throw ZooError(
                .badData, "no class folder with images", file: path, expected: "one sub-folder per class",
                hint: "point --data to the folder that holds the class folders", code: "dataset.empty")
        }
        self.name = name ?? path
        origin = .path(path)
        (classes, samples) = labelled(files)
        self.ignored = ignored
        self.path = path
    }

    public func withBytes<R>(
        of sample: ImageSample, limit: Int, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        try withFile(path + "/" + sample.id, limit: limit, body)
    }
}
