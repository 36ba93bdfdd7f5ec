import Glibc
import Synchronization
import ZooCore

/// What can go wrong while a file is written.
public enum OutputDefect: String, ParserDefect {
    case cannotCreate = "output.cannot-create"
    case writeFailed = "output.write-failed"
}

/// Writes files that are either complete or not there.
public enum AtomicFile {
    /// Where the bytes of a file in the making go.
    public struct Sink {
        fileprivate let descriptor: Int32
        fileprivate let path: String

        /// Appends `bytes`.
        ///
        /// - Throws: `OutputDefect.writeFailed`, for instance on a full disk.
        public func write(_ bytes: UnsafeRawBufferPointer) throws {
            var rest = bytes
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw failure(path, errno) }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }

        /// Appends `bytes`.
        public func write(_ bytes: some Sequence<UInt8>) throws {
            try Array(bytes).withUnsafeBytes { try write($0) }
        }
    }

    /// Creates or replaces the file at `path` with what `body` writes.
    ///
    /// The bytes go to a temporary file in the same folder, which is synced, renamed over `path`, and made durable
    /// by syncing the folder. If anything throws, an earlier file at `path` is untouched. A pipe or device is
    /// written directly, because it cannot be replaced.
    ///
    /// - Throws: `OutputDefect.cannotCreate` (exit code 73), `.writeFailed` (74), or what `body` throws.
    public static func write(to path: String, _ body: (Sink) throws -> Void) throws {
        var status = stat()
        let exists = stat(path, &status) == 0
        if exists, status.st_mode & S_IFMT != S_IFREG {
            try writeDirectly(to: path, body)
            return
        }
        // A symbolic link stays one: its target is replaced.
        let target = exists ? resolved(path) : path
        let (descriptor, temporary) = try createTemporary(beside: target)
        defer { _ = unfinished.withLock { $0.remove(temporary) } }
        do {
            defer { close(descriptor) }
            try body(Sink(descriptor: descriptor, path: path))
            if exists, fchmod(descriptor, status.st_mode & 0o777) != 0 { throw failure(path, errno) }
            guard fsync(descriptor) == 0 else { throw failure(path, errno) }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, target) == 0 else {
            let code = errno
            unlink(temporary)
            throw creationFailure(path, code)
        }
        try syncFolder(of: target)
    }

    /// Ends the program at once and leaves no temporary file behind: for a signal, which unwinds nothing.
    public static func abandonAll(exitCode: Int32) -> Never {
        unfinished.withLock { paths in
            for path in paths { unlink(path) }
            // Inside the lock, so that no further file is begun.
            _exit(exitCode)
        }
    }

    /// The temporary files that have not become what they are for.
    private static let unfinished = Mutex<Set<String>>([])

    /// Creates a hidden file in the folder of `target`; a number tells it from leftovers of a killed process.
    private static func createTemporary(beside target: String) throws -> (descriptor: Int32, path: String) {
        for number in 0..<1000 {
            let path = "\(folder(of: target))/.\(lastComponent(of: target)).\(getpid())-\(number).tmp"
            let (descriptor, code) = unfinished.withLock { paths in
                let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
                let code = errno
                if descriptor >= 0 { paths.insert(path) }
                return (descriptor, code)
            }
            if descriptor >= 0 { return (descriptor, path) }
            guard code == EEXIST else { throw creationFailure(target, code) }
        }
        throw creationFailure(target, EEXIST)
    }

    private static func writeDirectly(to path: String, _ body: (Sink) throws -> Void) throws {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw creationFailure(path, errno) }
        defer { close(descriptor) }
        try body(Sink(descriptor: descriptor, path: path))
    }

    private static func syncFolder(of path: String) throws {
        let descriptor = open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path, errno) }
        defer { close(descriptor) }
        // Some file systems cannot sync a folder and say so; the rename has happened all the same.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure(path, errno) }
    }

    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func lastComponent(of path: String) -> Substring {
        path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]
    }

    private static func creationFailure(_ path: String, _ code: Int32) -> ZooError {
        OutputDefect.cannotCreate.error("cannot be created: \(describe(code))", kind: .cannotCreate)
            .naming(file: path)
    }
}

private func failure(_ path: String, _ code: Int32) -> ZooError {
    OutputDefect.writeFailed.error("writing failed: \(describe(code))", kind: .inputOutput).naming(file: path)
}
