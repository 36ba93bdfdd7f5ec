import CEmbedded
import ZooCore
import ZooNN

/// A family of models: one file beside this one, one line in `Registry.families`.
public struct ModelFamily: Sendable {
    /// Lower case, `ravlt`.
    public let name: String
    /// Other spellings of the family's name, such as `mala` for `mavit`.
    public let aliases: [String]
    /// The variant that the bare family name means.
    public let defaultVariant: String
    public let cards: [ModelCard]
    /// Builds a variant's network. A user's hyper-parameters replace the variant's own; the network
    /// reads its tensors from the given scope.
    package let build:
        @Sendable (_ variant: String, _ replacing: Hyperparameters?, _ weights: Weights) throws
            -> any Network
    /// Tensors that a checkpoint may carry although the network recomputes or does not need them.
    package let isBuffer: @Sendable (_ tensor: String) -> Bool
}

/// The catalogue of all models.
public enum Registry {
    /// One line per family, sorted by name.
    public static let families: [ModelFamily] = [
        AutoencoderKL.family,
        DeiT.family,
        DiT.family,
        Inception.family,
        InLineCSwin.family,
        InLineDeiT.family,
        InLinePVT.family,
        InLineSwin.family,
        L2ViT.family,
        LiT.family,
        MAViT.family,
        RAVLT.family,
        Swin.family,
        ViT.family,
    ]

    /// Every variant's card.
    public static var cards: [ModelCard] { families.flatMap(\.cards) }

    /// The cards of the models that generate.
    public static var generators: [ModelCard] { cards.filter { $0.task == .generate } }

    /// Finds a variant by its name, an alias or a bare family name; case, `_` and `/` do not matter.
    ///
    /// - Throws: `ZooError` of kind `usage` that names the nearest three.
    public static func card(named name: String) throws(ZooError) -> ModelCard {
        let wanted = canonical(name)
        for family in families {
            for card in family.cards where ([card.name] + card.aliases).map(canonical).contains(wanted) { return card }
            if ([family.name] + family.aliases).map(canonical).contains(wanted) {
                return try card(named: family.defaultVariant)
            }
        }
        throw ZooError(
            .usage, "unknown model '\(name)'", hint: Suggestion.hint(for: wanted, among: cards.map(\.name)),
            code: "registry.unknown-model")
    }

    /// Loads a classifier whole or not at all.
    ///
    /// - Parameters:
    ///   - card: from `card(named:)`.
    ///   - source: a checkpoint or the seeded rule.
    ///   - hyperparameters: what replaces the variant's hyper-parameters.
    ///   - precision: what weights, and the inputs of the layers that multiply them, are rounded to.
    /// - Throws: `ZooError` that lists missing, unexpected and wrongly shaped tensors, or names the bad value; of kind
    ///   `usage` for a model with another task.
    public static func load(
        _ card: ModelCard, from source: any TensorSource, hyperparameters: Hyperparameters? = nil,
        precision: Precision = .fp32
    ) throws -> any ImageClassifier {
        try require(.classify, of: card)
        return try classifier(network(card, from: source, hyperparameters: hyperparameters, precision: precision), card)
    }

    /// Loads the network of a generator; as `load`.
    public static func loadDenoiser(
        _ card: ModelCard, from source: any TensorSource, hyperparameters: Hyperparameters? = nil,
        precision: Precision = .fp32
    ) throws -> any Denoiser {
        try require(.generate, of: card)
        return try denoiser(network(card, from: source, hyperparameters: hyperparameters, precision: precision), card)
    }

    /// Loads the network behind FID; as `load`.
    public static func loadInception(
        from source: any TensorSource, precision: Precision = .fp32
    ) throws -> InceptionNetwork {
        guard let network = try network(Inception.card, from: source, precision: precision) as? InceptionNetwork else {
            throw wrongTask(.features, Inception.card)
        }
        return network
    }

    /// Loads an image autoencoder; as `load`.
    ///
    /// - Parameter parts: what of it is wanted. The checkpoint must have all of it.
    public static func loadAutoencoder(
        _ card: ModelCard, from source: any TensorSource, hyperparameters: Hyperparameters? = nil,
        precision: Precision = .fp32, parts: Autoencoder.Parts = .both
    ) throws -> Autoencoder {
        try require(.autoencode, of: card)
        return try read(source, precision, family(of: card)) { weights in
            try AutoencoderKL.network(hyperparameters, weights, parts)
        }
    }

    private static func denoiser(_ network: any Network, _ card: ModelCard) throws(ZooError) -> any Denoiser {
        guard let denoiser = network as? any Denoiser else { throw wrongTask(.generate, card) }
        return denoiser
    }

    /// Refuses a model before its weights are read.
    ///
    /// - Throws: `ZooError` of kind `usage` for a model of another task.
    public static func require(_ task: ModelTask, of card: ModelCard) throws(ZooError) {
        guard card.task == task else { throw wrongTask(task, card) }
    }

    private static func wrongTask(_ task: ModelTask, _ card: ModelCard) -> ZooError {
        ZooError(
            .usage, "\(card.name) does not \(task.rawValue)", expected: "a model of zoo list --task \(task.rawValue)",
            found: card.task.rawValue)
    }

    /// Loads a model of any task; as `load`.
    package static func network(
        _ card: ModelCard, from source: any TensorSource, hyperparameters: Hyperparameters? = nil,
        precision: Precision = .fp32
    ) throws -> any Network {
        let family = try family(of: card)
        return try read(source, precision, family) { try family.build(card.name, hyperparameters, $0) }
    }

    private static func read<Model>(
        _ source: any TensorSource, _ precision: Precision, _ family: ModelFamily, _ build: (Weights) throws -> Model
    ) throws -> Model {
        let reader = WeightReader(source, precision: precision)
        let model = try build(reader.root)
        try reader.finish(isBuffer: family.isBuffer)
        return model
    }

    private static func classifier(_ network: any Network, _ card: ModelCard) throws(ZooError) -> any ImageClassifier {
        guard let classifier = network as? any ImageClassifier else { throw wrongTask(.classify, card) }
        return classifier
    }

    /// The checkpoint tensors of a variant in the order of its definition, without loading anything.
    public static func tensors(
        of card: ModelCard, hyperparameters: Hyperparameters? = nil
    ) throws -> [(name: String, shape: [Int])] {
        let reader = WeightReader(nil)
        _ = try family(of: card).build(card.name, hyperparameters, reader.root)
        return reader.requested
    }

    /// A classifier without weights, for its shapes and cost.
    package static func skeleton(
        of card: ModelCard, hyperparameters: Hyperparameters? = nil
    ) throws -> any ImageClassifier {
        try classifier(family(of: card).build(card.name, hyperparameters, WeightReader(nil).root), card)
    }

    /// A generator's network without weights, for its cost.
    package static func denoiserSkeleton(
        of card: ModelCard, hyperparameters: Hyperparameters? = nil
    ) throws -> any Denoiser {
        try denoiser(family(of: card).build(card.name, hyperparameters, WeightReader(nil).root), card)
    }

    /// The bytes of the checkpoint that ships with the package (safetensors), `nil` for other models.
    public static func embeddedCheckpoint(of card: ModelCard) -> UnsafeRawBufferPointer? {
        guard let file = zoo_embedded(card.name + ".safetensors") else { return nil }
        return UnsafeRawBufferPointer(start: file.pointee.bytes, count: file.pointee.size)
    }

    private static func family(of card: ModelCard) throws(ZooError) -> ModelFamily {
        guard let family = families.first(where: { $0.name == card.family }) else {
            throw ZooError(.usage, "unknown model family '\(card.family)'")
        }
        return family
    }

    private static func canonical(_ name: String) -> String {
        String(name.lowercased().map { $0 == "_" || $0 == "/" ? "-" : $0 })
    }
}
