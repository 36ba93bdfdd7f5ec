import Foundation
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// The weights that a command computes with.
public struct ResolvedWeights: Sendable {
    /// Where weights come from.
    public enum Kind: Sendable, Equatable {
        /// Shipped with the package.
        case embedded
        /// A checkpoint file, at this path.
        case file(String)
        /// The seeded rule: untrained, because the user asked for it.
        case seeded
        /// The seeded rule, because there is no checkpoint and the run only checks the installation.
        case installationCheck
    }

    public let kind: Kind
    public let source: any TensorSource
    private let digest: @Sendable () -> String?

    fileprivate init(_ kind: Kind, _ source: any TensorSource, digest: @escaping @Sendable () -> String?) {
        self.kind = kind
        self.source = source
        self.digest = digest
    }

    /// Whether the weights were learned.
    public var isTrained: Bool {
        switch kind {
        case .embedded, .file: true
        case .seeded, .installationCheck: false
        }
    }

    /// What a result says about the weights. Computes the SHA-256 digest, which reads the whole file.
    public func record() -> WeightsRecord {
        let source =
            switch kind {
            case .embedded: "embedded"
            case .file, .seeded, .installationCheck: self.source.name
            }
        return WeightsRecord(source: source, sha256: digest(), trained: isTrained)
    }
}

/// The weights as a result reports them.
public struct WeightsRecord: Codable, Sendable, Equatable {
    /// `embedded`, the file's path, or the seeded rule.
    public let source: String
    /// The digest of the file; `nil` for the seeded rule.
    public let sha256: String?
    public let trained: Bool
}

/// Finds the weights of a model: what `--weights` names, else a checkpoint that ships with the package, else one in the
/// user's folder.
public struct WeightsResolver: Sendable {
    /// What to do when there is no checkpoint.
    public enum Fallback: Sendable {
        /// Stop, and say where the official file is published.
        case none
        /// Take the seeded rule, to check that everything runs.
        case installationCheck
    }

    /// Untrained weights whose activations stay in the range of trained ones.
    public static let installationCheckRule = "seeded:1,.pos.weight=0.25"

    public let home: ZooHome

    public init(home: ZooHome = .current) {
        self.home = home
    }

    /// - Parameters:
    ///   - weights: a file, an index of shards, or `seeded:SEED[,SUFFIX=FACTOR...]`; `nil` searches.
    ///   - key: which state dictionary of a file to take.
    /// - Throws: `ZooError` of kind `missingInput` with advice if nothing is found; what the parsers throw.
    public func resolve(
        _ card: ModelCard, weights: String? = nil, key: String? = nil, fallback: Fallback = .none
    ) throws -> ResolvedWeights {
        if let weights {
            if let seeded = try SeededSource(specification: weights) {
                try refuse(key, because: "the seeded rule has no keys")
                try refuseIdleFactors(seeded, card)
                return ResolvedWeights(.seeded, seeded) { nil }
            }
            return try open(weights, key: key)
        }
        if let bytes = Registry.embeddedCheckpoint(of: card) {
            try refuse(key, because: "the embedded checkpoint has no keys")
            let checkpoint = try Checkpoint.open(ByteRegion(program: bytes, name: card.name + ".safetensors"))
            return ResolvedWeights(.embedded, checkpoint) { checkpoint.sha256() }
        }
        if let path = find(card) { return try open(path, key: key) }
        switch fallback {
        case .none:
            throw ZooError(
                .missingInput, "no weights for \(card.name)", hint: advice(for: card), code: "weights.not-found")
        case .installationCheck:
            guard let seeded = try SeededSource(specification: Self.installationCheckRule) else {
                throw ZooError(.internal, "the seeded rule of the installation check is malformed")
            }
            return ResolvedWeights(.installationCheck, seeded) { nil }
        }
    }

    /// A factor whose suffix no tensor ends in is a slip of the pen, not a request.
    private func refuseIdleFactors(_ seeded: SeededSource, _ card: ModelCard) throws {
        let names = try Registry.tensors(of: card).map(\.name)
        for (suffix, _) in seeded.factors where !names.contains(where: { $0.hasSuffix(suffix) }) {
            throw ZooError(
                .usage, "no tensor's name ends in this suffix", at: seeded.name, found: suffix,
                hint: "'zoo info \(card.name) --tensors' lists the names", code: "weights.idle-factor")
        }
    }

    /// The path of a checkpoint in the user's folder: by the model's name or the official file's name.
    public func find(_ card: ModelCard) -> String? {
        let extensions = ["safetensors", "safetensors.index.json", "pth", "pt"]
        let names = extensions.map { "\(card.name).\($0)" } + [ownFile(of: card)].compactMap(\.self)
        return names.map { "\(home.weights)/\($0)" }.first { FileManager.default.fileExists(atPath: $0) }
    }

    /// The official file's name, unless several models' files are called so, as `model.safetensors` is.
    private func ownFile(of card: ModelCard) -> String? {
        guard let file = card.checkpoint?.file else { return nil }
        return Registry.cards.count { $0.checkpoint?.file == file } == 1 ? file : nil
    }

    /// Where the official checkpoint is published and where to put it.
    public func advice(for card: ModelCard) -> String {
        guard let checkpoint = card.checkpoint else {
            return "give --weights FILE, or put a checkpoint at \(home.weights)/\(card.name).safetensors"
        }
        let kind = checkpoint.file?.split(separator: ".").last.map(String.init) ?? "pth"
        let file = ownFile(of: card) ?? "\(card.name).\(kind)"
        return "the official file \(checkpoint.file.map { "\($0) " } ?? "")is published at \(checkpoint.page); "
            + "put it at \(home.weights)/\(file) or give --weights FILE"
    }

    private func open(_ path: String, key: String?) throws -> ResolvedWeights {
        let checkpoint = try Checkpoint.open(path: path, key: key)
        return ResolvedWeights(.file(path), checkpoint) { checkpoint.sha256() }
    }

    private func refuse(_ key: String?, because reason: String) throws {
        if let key { throw ZooError(.usage, "\(reason)", at: "--weights-key", found: key) }
    }
}
