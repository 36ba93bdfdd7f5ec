import Glibc
import ZooCore

/// Reading image files without Foundation: regular files only, of bounded size.
enum ImageFile {
    /// Calls `body` with the content of the file at `path`; errors from `body` get the file's name.
    static func withBytes<R>(
        of path: String, limits: ResourceLimits, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        do {
            return try read(path, limits: limits).withUnsafeBytes(body)
        } catch let error as ZooError {
            throw error.naming(file: path)
        }
    }

    private static func read(_ path: String, limits: ResourceLimits) throws -> [UInt8] {
        // Without O_NONBLOCK, opening a FIFO would wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let reason = errno
            throw ZooError(
                reason == ENOENT || reason == ENOTDIR ? .missingInput : .inputOutput,
                "cannot open the file: \(String(cString: strerror(reason)))", code: "file.cannot-open")
        }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            throw ZooError(.badData, "not a regular file", code: "file.not-regular")
        }
        let size = Int(information.st_size)
        guard size <= limits.maxFileBytes else {
            throw ImageDefect.fileTooLarge.error(
                expected: "at most \(limits.maxFileBytes) bytes", found: "\(size) bytes")
        }
        return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
                if got < 0 && errno == EINTR { continue }
                guard got >= 0 else {
                    throw ZooError(
                        .inputOutput, "cannot read the file: \(String(cString: strerror(errno)))",
                        code: "file.cannot-read")
                }
                guard got > 0 else { break }
                count += got
            }
        }
    }
}
