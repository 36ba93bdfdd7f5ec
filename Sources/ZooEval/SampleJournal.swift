import Foundation
import ZooCore
import ZooImage

/// What a running evaluation of a generator has drawn, from which an interrupted run is taken up again: a `SampleFolder`,
/// which refuses a run with other settings.
///
/// Pictures are collected in memory and written twice a minute, so a short run touches no disk: each is a file of its
/// own, whose sync may take longer than drawing a small picture.
public final class SampleJournal {
    public let path: String
    /// Whether a further run could take up this one: false once writing has failed.
    public private(set) var isUsable = true
    private let parameters: [String: String]
    private let policy: Journal.FlushPolicy
    private let onFailure: ((ZooError) -> Void)?
    /// `nil` until there is something to read or write.
    private var folder: SampleFolder?
    private var pending: [(number: Int, picture: RGBImage)] = []
    private var lastFlush = ContinuousClock.now

    /// - Parameters:
    ///   - parameters: of the run.
    ///   - resume: takes up the journal at `path` if there is one; else there must be none.
    ///   - onFailure: told if the journal cannot be written, which then ends the journal but not the run; `nil` lets
    ///     `add` and `flush` throw.
    /// - Throws: `ZooError` of kind `usage` if the journal belongs to another run, or is there and not to be taken up; of
    ///   kind `cannotCreate` for a file.
    public init(
        path: String, parameters: [String: String], resume: Bool,
        policy: Journal.FlushPolicy = .init(seconds: 30, outcomes: 4096),
        onFailure: ((ZooError) -> Void)? = nil
    ) throws {
        self.path = path
        self.parameters = parameters
        self.policy = policy
        self.onFailure = onFailure
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return }
        guard isFolder.boolValue else {
            throw ZooError(.cannotCreate, "is a file, and a journal of samples is a folder", file: path)
        }
        guard resume || SampleFolder.isFree(path) else {
            throw ZooError(
                .usage, "a journal of samples is there already", file: path, hint: "--resume takes it up")
        }
        if !SampleFolder.isFree(path) { folder = try SampleFolder(path, parameters: parameters) }
    }

    /// How many of the first `count` pictures an earlier run has drawn.
    public func earlier(of count: Int) -> Int { folder.map { folder in (0..<count).count(where: folder.has) } ?? 0 }

    /// A picture that an earlier run has drawn.
    ///
    /// - Throws: `ZooError` that names the file if it is damaged or an image of another size.
    package func picture(_ number: Int, side: Int) throws -> RGBImage? {
        guard let folder, folder.has(number) else { return nil }
        return try folder.read(number, height: side, width: side)
    }

    /// Adds a picture, and writes what has been collected when it is time.
    ///
    /// - Throws: `ZooError` of kind `cannotCreate` or `inputOutput`.
    package func add(_ number: Int, _ picture: RGBImage) throws {
        guard isUsable else { return }
        pending.append((number, picture))
        let elapsed = (ContinuousClock.now - lastFlush).seconds
        if pending.count >= policy.outcomes || elapsed >= policy.seconds { try flush() }
    }

    /// Writes what has been collected.
    ///
    /// - Throws: `ZooError` of kind `cannotCreate` or `inputOutput`.
    public func flush() throws {
        guard isUsable, !pending.isEmpty else { return }
        do {
            let folder = try self.folder ?? SampleFolder(path, parameters: parameters)
            self.folder = folder
            for (number, picture) in pending { try folder.write(picture, number, text: []) }
        } catch let error as ZooError {
            guard let onFailure else { throw error }
            isUsable = false
            onFailure(error)
        }
        pending = []
        lastFlush = .now
    }

    /// Removes the journal of a run that is complete.
    public func remove() {
        if folder != nil { SampleFolder.remove(path) }
        folder = nil
    }
}
