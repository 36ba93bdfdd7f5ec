import Glibc
import ZooCore

/// A text file with a line `PATH LABEL` for every image; paths are relative to the list's folder and stay inside it.
public struct ImageList: ImageDataset {
    public let name: String
    public let origin: DatasetOrigin
    public let classes: [String]
    public let samples: [ImageSample]
    public let ignored: [IgnoredFile] = []
    private let folder: String

    /// - Throws: `ZooError` that names the line: a path that leaves the folder, a missing file, a file listed twice.
    public init(path: String) throws {
        let list = try LabelList(path: path)
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        var files: [(id: String, className: String, byteCount: Int)] = []
        var seen = Set<String>()
        for line in list.lines {
            func refuse(_ kind: ZooError.Kind, _ problem: String, _ code: String) -> ZooError {
                ZooError(kind, problem, file: path, at: "line \(line.number)", found: line.name, code: code)
            }
            guard let file = line.name else {
                throw refuse(.badData, "the line has no path; expected PATH LABEL", "dataset.list-no-path")
            }
            guard isInside(file) else {
                throw refuse(.badData, "the path leaves the list's folder", "dataset.list-traversal")
            }
            guard seen.insert(file).inserted else {
                throw refuse(.badData, "the image is listed twice", "dataset.list-duplicate")
            }
            var status = stat()
            guard stat(folder + "/" + file, &status) == 0 else {
                throw refuse(.missingInput, "no such image", "dataset.list-missing")
            }
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw refuse(.badData, "not a regular file", "dataset.list-not-a-file")
            }
            files.append((file, line.label, Int(status.st_size)))
        }
        name = path
        origin = .path(path)
        (classes, samples) = labelled(files)
        self.folder = folder
    }

    public func withBytes<R>(
        of sample: ImageSample, limit: Int, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        try withFile(folder + "/" + sample.id, limit: limit, body)
    }
}

/// Whether a relative path names something below its base: not absolute, no `..`, no empty part, no NUL.
func isInside(_ path: String) -> Bool {
    path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { $0 != ".." && !$0.isEmpty }
        && !path.utf8.contains(0)
}

/// Whether `path` leads to a regular file.
func isRegularFile(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
}

/// Whether `path` leads to a folder.
func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}
