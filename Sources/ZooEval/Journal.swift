import Foundation
import ZooCore
import ZooIO

/// The record of a running evaluation: an append-only text file with one JSON object per line, from which an
/// interrupted run is taken up again.
///
/// The first line holds the fingerprint of the run, every further line one outcome. Each line ends in its own CRC-32
/// and carries a sequence number, so a torn or damaged tail is recognised and dropped; what it held is computed again.
/// Lines are collected in memory and appended with a sync every few seconds, so a short run touches no disk.
public final class Journal {
    /// What identifies a run: a journal is continued only if every field agrees.
    public typealias Fingerprint = [String: String]

    /// When collected lines are written.
    public struct FlushPolicy: Sendable {
        public var seconds: Double
        public var outcomes: Int

        public init(seconds: Double = 5, outcomes: Int = 256) {
            self.seconds = seconds
            self.outcomes = outcomes
        }
    }

    private struct Line: Codable {
        let seq: Int
        var fingerprint: Fingerprint?
        var outcome: ImageOutcome?
    }

    public let path: String
    /// What an earlier run has computed already, in order from the first image on.
    public let earlier: [ImageOutcome]
    /// Whether a further run could take up this one: false once writing has failed.
    public private(set) var isUsable = true
    private let policy: FlushPolicy
    private let onFailure: ((ZooError) -> Void)?
    private var descriptor: Int32?
    private var pending: [UInt8] = []
    private var pendingOutcomes = 0
    private var sequence: Int
    private var lastFlush = ContinuousClock.now
    private let encoder: JSONEncoder

    /// - Parameters:
    ///   - resume: takes up the journal at `path` if there is one; else an older one is replaced.
    ///   - onFailure: told if the journal cannot be written, which then ends the journal but not the run; `nil` lets
    ///     `add` and `flush` throw.
    /// - Throws: `ZooError` of kind `badData` if the journal belongs to another run.
    public init(
        path: String, fingerprint: Fingerprint, resume: Bool, policy: FlushPolicy = FlushPolicy(),
        onFailure: ((ZooError) -> Void)? = nil
    ) throws {
        self.path = path
        self.policy = policy
        self.onFailure = onFailure
        encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let found = resume ? try Self.read(path, expecting: fingerprint) : nil
        if let found {
            earlier = found.outcomes
            sequence = found.outcomes.count + 1
            descriptor = try Self.open(path, keeping: found.byteCount)
        } else {
            earlier = []
            sequence = 0
            try append(Line(seq: 0, fingerprint: fingerprint))
        }
    }

    deinit {
        if let descriptor { close(descriptor) }
    }

    /// Adds the next outcome, and writes what has been collected when it is time.
    ///
    /// - Throws: `ZooError` of kind `cannotCreate` or `inputOutput`.
    public func add(_ outcome: ImageOutcome) throws {
        guard isUsable else { return }
        try append(Line(seq: sequence, outcome: outcome))
        pendingOutcomes += 1
        if pendingOutcomes >= policy.outcomes || (ContinuousClock.now - lastFlush).seconds >= policy.seconds {
            try flush()
        }
    }

    /// Writes everything collected so far and syncs the file.
    public func flush() throws {
        guard isUsable else { return }
        do {
            try write()
        } catch let error as ZooError {
            isUsable = false
            guard let onFailure else { throw error }
            onFailure(error)
        }
    }

    private func write() throws {
        let file = try descriptor ?? Self.open(path, keeping: 0)
        descriptor = file
        var rest = pending[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(.inputOutput, "the journal cannot be written", path) }
            rest = rest.dropFirst(count)
        }
        guard fdatasync(file) == 0 || errno == EINVAL else {
            throw Self.failure(.inputOutput, "the journal cannot be synced", path)
        }
        pending.removeAll(keepingCapacity: true)
        pendingOutcomes = 0
        lastFlush = .now
    }

    /// Removes the file of a run that has come to its end.
    public func remove() {
        if descriptor != nil { unlink(path) }
    }

    private func append(_ line: Line) throws {
        pending += Self.seal(Array(try encoder.encode(line)))
        sequence += 1
    }

    /// `{...}` becomes `{...,"crc32":"xxxxxxxx"}` and a line feed; the checksum is that of the text before.
    static func seal(_ text: [UInt8]) -> [UInt8] {
        let digits = String(text.withUnsafeBytes { CRC32.checksum($0) }, radix: 16)
        let checksum = String(repeating: "0", count: 8 - digits.count) + digits
        return text.dropLast() + Array(",\"crc32\":\"\(checksum)\"}\n".utf8)
    }

    /// The text that `seal` was given, without the line feed; `nil` if the line is not intact.
    static func unseal(_ line: some Collection<UInt8>) -> [UInt8]? {
        let tail = ",\"crc32\":\"00000000\"}".utf8.count
        guard line.count > tail else { return nil }
        let text = Array(line.dropLast(tail)) + [UInt8(ascii: "}")]
        return seal(text).dropLast().elementsEqual(line) ? text : nil
    }

    /// The intact beginning of a journal; `nil` if there is no journal or not even its first line is intact.
    private static func read(
        _ path: String, expecting fingerprint: Fingerprint
    ) throws -> (outcomes: [ImageOutcome], byteCount: Int)? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let region = try ByteRegion(path: path, access: .read)
        return try region.withBytes { bytes in
            let decoder = JSONDecoder()
            var outcomes: [ImageOutcome] = []
            var position = 0
            while let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) {
                guard let text = unseal(bytes[position..<end]),
                    let line = try? decoder.decode(Line.self, from: Data(text))
                else { break }
                if position == 0 {
                    guard line.seq == 0, let found = line.fingerprint else { return nil }
                    try compare(found, with: fingerprint, path)
                } else {
                    guard line.seq == outcomes.count + 1, let outcome = line.outcome, outcome.index == outcomes.count
                    else { break }
                    outcomes.append(outcome)
                }
                position = end + 1
            }
            return position == 0 ? nil : (outcomes, position)
        }
    }

    private static func compare(_ found: Fingerprint, with expected: Fingerprint, _ path: String) throws {
        let fields = Set(found.keys).union(expected.keys).sorted()
        guard let field = fields.first(where: { found[$0] != expected[$0] }) else { return }
        throw ZooError(
            .badData, "the journal belongs to another run", file: path, at: field, expected: expected[field] ?? "none",
            found: found[field] ?? "none", hint: "run without --resume to start anew", code: "journal.other-run")
    }

    /// Opens the file for appending after its first `byteCount` bytes and locks it against a second run.
    private static func open(_ path: String, keeping byteCount: Int) throws -> Int32 {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try? FileManager.default.createDirectory(
                atPath: String(path[..<slash]), withIntermediateDirectories: true)
        }
        let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failure(.cannotCreate, "the journal cannot be created", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw ZooError(.inputOutput, "another run is writing this journal", file: path, code: "journal.locked")
        }
        guard ftruncate(descriptor, off_t(byteCount)) == 0 else {
            defer { close(descriptor) }
            throw failure(.inputOutput, "the journal cannot be shortened", path)
        }
        return descriptor
    }

    private static func failure(_ kind: ZooError.Kind, _ problem: String, _ path: String) -> ZooError {
        ZooError(kind, "\(problem): \(String(cString: strerror(errno)))", file: path, code: "journal.write")
    }
}
