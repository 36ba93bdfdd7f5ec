import Glibc
import ZooCore

/// A folder that `zoo data subset` has made: exactly the images that its manifest lists.
public struct ImageSubset: ImageDataset {
    public let name: String
    public let origin: DatasetOrigin
    public let classes: [String]
    public let samples: [ImageSample]
    public let ignored: [IgnoredFile] = []
    public let manifest: SubsetManifest
    private let path: String

    /// - Throws: `ZooError` if the manifest is malformed, or an image is missing or has another size.
    public init(path: String, name: String? = nil) throws {
        manifest = try SubsetManifest(folder: path)
        for file in manifest.files {
            var status = stat()
            let fullPath = path + "/" + file.path
            guard stat(fullPath, &status) == 0 else {
                throw ZooError(
                    .missingInput, "the manifest lists an image that is not there", file: fullPath,
                    code: "dataset.subset-missing")
            }
            guard status.st_mode & S_IFMT == S_IFREG, Int(status.st_size) == file.size else {
                throw ZooError(
                    .badData, "the image is not the one that the manifest lists", file: fullPath,
                    expected: "\(file.size) bytes", found: "\(status.st_size)", code: "dataset.subset-changed")
            }
        }
        let files = manifest.files.map { file in
            (id: file.path, className: String(file.path.prefix { $0 != "/" }), byteCount: file.size)
        }
        guard !files.isEmpty else {
            throw ZooError(.badData, "the subset is empty", file: path, code: "dataset.empty")
        }
        self.name = name ?? path
        origin = .path(path)
        (classes, samples) = labelled(files)
        self.path = path
    }

    public func withBytes<R>(
        of sample: ImageSample, limit: Int, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        try withFile(path + "/" + sample.id, limit: limit, body)
    }
}
