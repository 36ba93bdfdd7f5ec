import Glibc
import ZooCore
import ZooIO

/// The image files of a folder, in natural order, and what else lies there.
struct FolderListing {
    struct File {
        /// Relative to the folder that was listed.
        let path: String
        let byteCount: Int
    }

    var folders: [String] = []
    var images: [File] = []
    var ignored: [IgnoredFile] = []

    /// Lists one folder without descending. Hidden entries are skipped; symbolic links count as what they point to.
    ///
    /// A file is an image if its name says so (then a broken one is a broken image) or if its first bytes do.
    ///
    /// - Throws: `ZooError` of kind `missingInput` if the folder cannot be read.
    init(_ folder: String) throws {
        guard let directory = opendir(folder) else {
            throw ZooError(
                .missingInput, "the folder cannot be read: \(String(cString: strerror(errno)))", file: folder,
                code: "dataset.unreadable-folder")
        }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { add(name, in: folder) }
        }
        folders.sort(by: naturallyPrecedes)
        images.sort { naturallyPrecedes($0.path, $1.path) }
        ignored.sort { naturallyPrecedes($0.path, $1.path) }
    }

    private mutating func add(_ name: String, in folder: String) {
        let path = folder + "/" + name
        var status = stat()
        guard stat(path, &status) == 0 else {
            ignored.append(IgnoredFile(path: name, reason: String(cString: strerror(errno))))
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: folders.append(name)
        case S_IFREG where isImageName(name) || beginsLikeImage(path):
            images.append(File(path: name, byteCount: Int(status.st_size)))
        case S_IFREG: ignored.append(IgnoredFile(path: name, reason: "neither JPEG nor PNG"))
        default: ignored.append(IgnoredFile(path: name, reason: "not a regular file"))
        }
    }

    /// The images below `folder`, however deep; linked folders inside are not entered, so there is no loop.
    static func below(_ folder: String) throws -> FolderListing {
        var result = try FolderListing(folder)
        let folders = result.folders
        result.folders = []
        for name in folders {
            var status = stat()
            guard lstat(folder + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                result.ignored.append(IgnoredFile(path: name, reason: "a link to a folder inside a class"))
                continue
            }
            let inner = try below(folder + "/" + name)
            result.images += inner.images.map { File(path: "\(name)/\($0.path)", byteCount: $0.byteCount) }
            result.ignored += inner.ignored.map { IgnoredFile(path: "\(name)/\($0.path)", reason: $0.reason) }
        }
        result.images.sort { naturallyPrecedes($0.path, $1.path) }
        return result
    }
}

/// Whether a file's name promises an image.
func isImageName(_ name: String) -> Bool {
    let lower = name.lowercased()
    return [".jpg", ".jpeg", ".png"].contains { lower.hasSuffix($0) }
}

/// Whether bytes begin like a JPEG or a PNG file.
func beginsLikeImage(_ bytes: some Collection<UInt8>) -> Bool {
    bytes.starts(with: [0xFF, 0xD8, 0xFF]) || bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
}

private func beginsLikeImage(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return withUnsafeTemporaryAllocation(byteCount: 8, alignment: 1) { head in
        beginsLikeImage(head.prefix(max(read(descriptor, head.baseAddress, 8), 0)))
    }
}

/// Reads one file of a dataset whole. Not mapped: an image that shrinks meanwhile is a failed image, not a signal.
package func withFile<R>(_ path: String, limit: Int, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
    var status = stat()
    if stat(path, &status) == 0, Int(status.st_size) > limit {
        throw ZooError(
            .limit, "the file is too large for an image", file: path, expected: "at most \(limit) bytes",
            found: "\(status.st_size)", code: "dataset.file-too-large")
    }
    return try ByteRegion(path: path, access: .read).withBytes(body)
}
