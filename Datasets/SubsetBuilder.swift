import Foundation
import ZooCore
import ZooIO

/// Builds a subset of a dataset: some classes, the same number of images from each, chosen by a hash.
///
/// The rule: the images of a class are ordered by SHA-256 of the text `SEED:NAME`, where NAME is the file's name
/// without folders, and the first `perClass` are taken. The choice therefore depends on nothing but the seed and the
/// names: not on the machine, the order of the folder, or which other images are there; and asking for more images
/// only adds some.
public struct SubsetBuilder: Sendable {
    public var selection: ClassSelection
    public var perClass: Int
    public var seed: UInt64

    /// - Throws: `ZooError` of kind `usage` unless `perClass` is positive.
    public init(selection: ClassSelection, perClass: Int, seed: UInt64) throws {
        guard perClass > 0 else {
            throw ZooError(
                .usage, "a subset needs images", at: "--per-class", expected: "1 or more", found: "\(perClass)")
        }
        self.selection = selection
        self.perClass = perClass
        self.seed = seed
    }

    /// The chosen samples, class by class, each class in natural order.
    public func choose(from dataset: any ImageDataset) throws -> [ImageSample] {
        let classes = try selection.resolve(in: dataset)
        let byClass = Dictionary(grouping: dataset.samples) { $0.label }
        return classes.flatMap { label in
            (byClass[label] ?? []).map { (rank: rank($0), sample: $0) }
                .sorted { ($0.rank, $0.sample.id) < ($1.rank, $1.sample.id) }
                .prefix(perClass).map(\.sample)
                .sorted { naturallyPrecedes($0.id, $1.id) }
        }
    }

    /// Copies the chosen images into `output/CLASS/NAME` and writes the manifest. The folder appears whole or not at
    /// all.
    ///
    /// - Parameter shouldStop: asked before every image.
    /// - Throws: `ZooError` of kind `cannotCreate` if `output` exists or cannot be made; of kind `interrupted` on request;
    ///   what reading images throws.
    public func build(
        from dataset: any ImageDataset, to output: String, limits: ResourceLimits = ResourceLimits(),
        shouldStop: () -> Bool = { false }
    ) throws -> SubsetManifest {
        let files = FileManager.default
        guard !files.fileExists(atPath: output) else {
            throw ZooError(
                .cannotCreate, "exists already", file: output, hint: "choose another folder or remove this one",
                code: "dataset.output-exists")
        }
        let chosen = try choose(from: dataset)
        let partial = output.droppingTrailingSlashes + ".partial-\(ProcessInfo.processInfo.processIdentifier)"
        try creating(partial) { try files.createDirectory(atPath: partial, withIntermediateDirectories: true) }
        do {
            var listed: [SubsetManifest.File] = []
            var taken = Set<String>()
            for sample in chosen {
                guard !shouldStop() else {
                    throw ZooError(
                        .interrupted, "interrupted after \(listed.count) of \(chosen.count) images", file: output)
                }
                let className = sample.label.map { dataset.classes[$0] } ?? ""
                let path = className + "/" + fileName(sample)
                guard taken.insert(path).inserted else {
                    throw ZooError(
                        .badData, "two images of a class have the same file name", file: dataset.name, found: path,
                        code: "dataset.name-clash")
                }
                try creating(partial) {
                    try files.createDirectory(
                        atPath: partial + "/" + className, withIntermediateDirectories: true)
                }
                try dataset.withBytes(of: sample, limit: limits.maxFileBytes) { bytes in
                    guard files.createFile(atPath: partial + "/" + path, contents: Data(bytes)) else {
                        throw ZooError(.inputOutput, "the image cannot be written", file: partial + "/" + path)
                    }
                    var hash = SHA256()
                    hash.update(bytes)
                    listed.append(.init(path: path, size: bytes.count, sha256: hash.finalizeHex()))
                }
            }
            let classes = Set(chosen.compactMap(\.label)).sorted().map { dataset.classes[$0] }
            let manifest = SubsetManifest(
                source: dataset.name, sourceFingerprint: dataset.fingerprint, seed: seed, perClass: perClass,
                classes: classes, files: listed)
            let text = try manifest.json()
            try AtomicFile.write(to: partial + "/" + SubsetManifest.fileName) { try $0.write(text) }
            try creating(output) { try files.moveItem(atPath: partial, toPath: output.droppingTrailingSlashes) }
            return manifest
        } catch {
            try? files.removeItem(atPath: partial)
            throw error
        }
    }

    private func rank(_ sample: ImageSample) -> String {
        SHA256.hex("\(seed):\(fileName(sample))".utf8)
    }

    private func fileName(_ sample: ImageSample) -> Substring {
        sample.id[(sample.id.lastIndex(of: "/").map(sample.id.index(after:)) ?? sample.id.startIndex)...]
    }

    private func creating(_ path: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            throw ZooError(.cannotCreate, "the folder cannot be made: \(error.localizedDescription)", file: path)
        }
    }
}

extension String {
    fileprivate var droppingTrailingSlashes: String {
        var text = self
        while text.count > 1, text.last == "/" { text.removeLast() }
        return text
    }
}
