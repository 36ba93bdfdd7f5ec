import ZooCore

/// All images below a folder, without labels: what a generator has drawn, or a reference to compare it with.
public struct PlainFolder: ImageDataset {
    public let name: String
    public let origin: DatasetOrigin
    public var classes: [String] { [] }
    public let samples: [ImageSample]
    public let ignored: [IgnoredFile]
    private let path: String

    /// - Throws: `ZooError` if the folder cannot be read or has no images.
    public init(path: String, name: String? = nil) throws {
        let listing = try FolderListing.below(path)
        guard !listing.images.isEmpty else {
            throw ZooError(.badData, "no images in the folder", file: path, code: "dataset.empty")
        }
        self.name = name ?? path
        self.path = path
        origin = .path(path)
        samples = listing.images.map { ImageSample(id: $0.path, label: nil, byteCount: $0.byteCount) }
        ignored = listing.ignored
    }

    public func withBytes<R>(
        of sample: ImageSample, limit: Int, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        try withFile(path + "/" + sample.id, limit: limit, body)
    }
}
