import Glibc
import ZooCore

/// What can be wrong with a file before its content is looked at.
public enum FileDefect: String, ParserDefect {
    case missing = "file.missing"
    case notRegular = "file.not-regular"
    case unreadable = "file.unreadable"
}

/// An immutable run of bytes that parsers look at: a mapped file, a file read into memory, or data linked into
/// the program. Safe to share between threads.
///
/// A mapped file must not be shortened while it is in use: the kernel answers an access behind the new end with
/// SIGBUS, which the command line turns into a message and exit code 74. `Access.read` avoids the condition.
public final class ByteRegion: @unchecked Sendable {
    /// How a file gets into memory.
    public enum Access: Sendable {
        /// `mmap`: pages are loaded when touched and can be given back.
        case mapped
        /// Read at once into allocated memory.
        case read
    }

    private enum Owner { case mapping, allocation, program }

    /// What error messages call these bytes.
    public let name: String
    /// The number of bytes.
    public var count: Int { storage.count }

    private let storage: UnsafeRawBufferPointer
    private let owner: Owner

    private init(name: String, storage: UnsafeRawBufferPointer, owner: Owner) {
        self.name = name
        self.storage = storage
        self.owner = owner
    }

    /// Opens a regular file. Its size is taken from the descriptor that is then mapped or read.
    ///
    /// - Throws: `FileDefect` errors: no such file, a folder or device, not readable.
    public convenience init(path: String, access: Access = .mapped) throws {
        // O_NONBLOCK: opening a pipe must not wait for a writer only to be refused afterwards.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.openingError(path, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.openingError(path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileDefect.notRegular.error(
                status.st_mode & S_IFMT == S_IFDIR ? "is a folder, not a file" : "is not a regular file"
            ).naming(file: path)
        }
        let size = Int(status.st_size)
        guard size > 0 else {
            self.init(copying: [], name: path)
            return
        }
        switch access {
        case .mapped:
            guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
                throw Self.openingError(path, errno)
            }
            self.init(name: path, storage: UnsafeRawBufferPointer(start: address, count: size), owner: .mapping)
        case .read:
            self.init(name: path, storage: try Self.readAll(descriptor, size: size, path: path), owner: .allocation)
        }
    }

    /// A copy of `bytes`.
    public convenience init(copying bytes: [UInt8], name: String) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
        copy.copyBytes(from: bytes)
        self.init(name: name, storage: UnsafeRawBufferPointer(copy), owner: .allocation)
    }

    /// Data that lives as long as the program, such as an embedded file; nothing is copied.
    public convenience init(program bytes: UnsafeRawBufferPointer, name: String) {
        self.init(name: name, storage: bytes, owner: .program)
    }

    deinit {
        switch owner {
        case .mapping: munmap(UnsafeMutableRawPointer(mutating: storage.baseAddress), storage.count)
        case .allocation: storage.deallocate()
        case .program: break
        }
    }

    /// Calls `body` with all bytes; the pointer is valid only inside.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withExtendedLifetime(self) { try body(storage) }
    }

    /// Calls `body` with the bytes of `range`.
    ///
    /// - Precondition: `range` lies inside `0..<count`; parsers check it before they keep a range.
    func withBytes<R>(in range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withExtendedLifetime(self) { try body(UnsafeRawBufferPointer(rebasing: storage[range])) }
    }

    /// Tells the kernel that `range` of a mapped file is not needed soon, so that weights which have been
    /// copied into a model do not count twice in the resident size. Reading the range again stays correct.
    func release(_ range: Range<Int>) {
        guard owner == .mapping, let base = storage.baseAddress else { return }
        let page = Int(getpagesize())
        let first = (range.lowerBound + page - 1) / page * page
        let last = range.upperBound / page * page
        guard first < last else { return }
        madvise(UnsafeMutableRawPointer(mutating: base + first), last - first, MADV_DONTNEED)
    }

    private static func readAll(_ descriptor: Int32, size: Int, path: String) throws -> UnsafeRawBufferPointer {
        guard let memory = malloc(size) else {
            throw ZooError(
                .limit, "the file does not fit into memory", file: path, found: "\(size) bytes",
                code: FileDefect.unreadable.rawValue)
        }
        var filled = 0
        while filled < size {
            let count = Glibc.read(descriptor, memory + filled, size - filled)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let reason = count < 0 ? describe(errno) : "it became shorter while it was read"
                free(memory)
                throw ZooError(
                    .inputOutput, "reading failed: \(reason)", file: path, at: byteLocation(filled),
                    code: FileDefect.unreadable.rawValue)
            }
            filled += count
        }
        return UnsafeRawBufferPointer(start: memory, count: size)
    }

    private static func openingError(_ path: String, _ code: Int32) -> ZooError {
        switch code {
        case ENOENT, ENOTDIR:
            FileDefect.missing.error("no such file", kind: .missingInput).naming(file: path)
        default:
            FileDefect.unreadable.error("cannot be opened: \(describe(code))", kind: .missingInput).naming(file: path)
        }
    }
}

/// The system's text for an `errno` value.
func describe(_ code: Int32) -> String { String(cString: strerror(code)) }
