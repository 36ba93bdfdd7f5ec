import ZooCore
import ZooDatasets
import ZooDiffusion
import ZooImage
import ZooMetrics
import ZooModels
import ZooNN

/// How well a generator's samples match a data set: distances of features, and whether a classifier recognises what was
/// to be drawn.
public final class GeneratorEvaluation {
    /// What a run found.
    public struct Results: Codable, Sendable {
        /// Whether all weights were learned; if not, the numbers say nothing.
        public let trained: Bool
        public let samples: Int
        /// The network whose features are compared.
        public let features: FeatureExtractor.Choice
        /// `fd` is the Fréchet distance; FID only if `features` is inception.
        public let fd: Double
        /// That of spatial features, sFID; `nil` where the network has none.
        public let sfd: Double?
        /// The kernel distance over random subsets of at most 1000 images.
        public let kd: Double
        public let precision: Double
        public let recall: Double
        public let inceptionScore: Double
        /// Samples that the classifier takes for what they were to be, and their share in percent; `nil` where no
        /// classifier knows the classes.
        public let recognised: Int?
        public let accuracy: Double?
        /// Images of the data set that were decoded with warnings, and count as what the decoder made of them.
        public let badImages: [Metrics.BadImage]
        /// Of drawing alone, without the samples that a journal brought; `nil` if it brought all.
        public let imagesPerSecond: Double?
        public let seconds: Double
        public let peakResidentBytes: Int
    }

    /// How far a run has got.
    public struct Progress: Sendable {
        public let done: Int
        public let total: Int
    }

    public let card: ModelCard
    public let weights: WeightsRecord
    public let options: GenerationOptions
    public let samples: Int
    private let generator: Generator
    private let extractor: FeatureExtractor
    private let reference: MetricInput
    private let decoder: LatentDecoder?
    /// The side to which the data set is cropped.
    private let crop: Int?
    private let batchSize: Int
    private let classes: Int
    private let isTrained: Bool

    /// - Parameters:
    ///   - samples: to draw, the classes in turn.
    ///   - decoder: for a model that draws latents.
    /// - Throws: `ZooError` if the model draws captions, or latents that nothing decodes; what the generator throws.
    public init(
        card: ModelCard, weights: ResolvedWeights, dataset: any ImageDataset, samples: Int, batchSize: Int,
        options: GenerationOptions, extractor: FeatureExtractor, decoder: LatentDecoder?, runtime: Runtime
    ) throws {
        guard samples > Self.neighbours else {
            throw ZooError(
                .usage, "too few samples to compare", at: "--count", expected: "more than \(Self.neighbours)",
                found: "\(samples)")
        }
        generator = try Generator(card: card, weights: weights.source, options: options, runtime: runtime)
        guard case .labels(let classes) = generator.conditioning else {
            throw ZooError(.usage, "\(card.name) draws captions, which no data set here has")
        }
        self.card = card
        self.options = options
        self.samples = samples
        self.extractor = extractor
        self.decoder = decoder
        self.batchSize = batchSize
        self.classes = classes
        self.weights = weights.record()
        // Models of latents learn from crops of photographs, models of pictures from pictures of their size.
        crop = decoder == nil ? nil : card.preprocessing.inputHeight
        reference = MetricInput(dataset, name: dataset.name, crop: crop)
        isTrained = weights.isTrained && extractor.weights.trained && decoder?.weights.trained ?? true
    }

    private static let neighbours = 3

    /// How the samples are drawn and become pictures.
    fileprivate var drawing: [String: String] { options.parameters.merging(decoder?.parameters ?? [:]) { $1 } }

    /// The network that compares samples and data set, and how their images come to it.
    fileprivate var network: FeatureExtractor.Record { extractor.record(crop: crop) }

    /// The settings that a journal is kept for.
    public var parameters: [String: String] {
        options.parameters(of: card, weights, decoder: decoder).merging(["class": "all"]) { $1 }
    }

    /// Draws, compares, and counts.
    ///
    /// - Parameter journal: where pictures are kept, and found if it has them.
    /// - Throws: `ZooError` of kind `interrupted` on request.
    public func run(
        journal: SampleJournal? = nil, progress: (Progress) -> Void = { _ in }, shouldStop: () -> Bool = { false }
    ) throws -> Results {
        let kinds = extractor.kinds
        var needs: MetricSet.Needs = [.pooledStatistics, .pooledFeatures]
        if kinds.contains(.spatial) { needs.insert(.spatialStatistics) }
        let known = try MetricSet(reference, needs, extractor: { extractor }, shouldStop: shouldStop)
        var pooled = FeatureMatrix(dimensions: extractor.dimensions(of: .pooled))
        var logits = FeatureMatrix(dimensions: extractor.dimensions(of: .logits))
        var spatial =
            kinds.contains(.spatial) ? GaussianAccumulator(dimensions: extractor.dimensions(of: .spatial)) : nil
        let clock = ContinuousClock()
        let start = clock.now
        var (drawing, drawn) = (Duration.zero, 0)
        for first in stride(from: 0, to: samples, by: batchSize) {
            let numbers = Array(first..<min(first + batchSize, samples))
            func check() throws {
                guard !shouldStop() else {
                    throw ZooError(.interrupted, "interrupted after \(first) of \(samples) samples")
                }
            }
            try check()
            var batch = try numbers.map { try journal?.picture($0, side: card.preprocessing.inputHeight) }
            let missing = batch.indices.filter { batch[$0] == nil }
            let begin = clock.now
            let new = try draw(missing.map { numbers[$0] }, step: check)
            drawing += clock.now - begin
            drawn += new.count
            for (index, picture) in zip(missing, new) {
                batch[index] = picture
                try journal?.add(numbers[index], picture)
            }
            let pictures = batch.compactMap(\.self)
            for part in stride(from: 0, to: pictures.count, by: extractor.batchSize) {
                let features = try extractor.features(
                    of: Array(pictures[part..<min(part + extractor.batchSize, pictures.count)]), kinds)
                try pooled.append(features[.pooled] ?? [], name: "samples")
                try logits.append(features[.logits] ?? [], name: "samples")
                spatial?.add(features[.spatial] ?? [])
            }
            progress(Progress(done: first + numbers.count, total: samples))
        }
        let others = try known.features(.pooled)
        let manifolds = try PrecisionRecall(reference: others, samples: pooled, neighbours: Self.neighbours)
        let kernel = try KernelDistance(
            reference: others, samples: pooled, subsetSize: min(1000, others.rows, pooled.rows))
        let recognised = card.labels == DatasetCatalog.digits.name ? Self.recognised(logits, classes: classes) : nil
        return Results(
            trained: isTrained, samples: samples, features: extractor.choice,
            fd: try frechetDistance(known.statistics(.pooled), GaussianStatistics(of: pooled)),
            sfd: try spatial.map { try frechetDistance(known.statistics(.spatial), $0.statistics()) }, kd: kernel.mean,
            precision: manifolds.precision, recall: manifolds.recall,
            inceptionScore: try InceptionScore(logits: logits).mean, recognised: recognised,
            accuracy: recognised.map { 100 * Double($0) / Double(samples) }, badImages: known.source.badImages,
            imagesPerSecond: drawn > 0 ? Double(drawn) / max(drawing.seconds, 1e-9) : nil,
            seconds: (clock.now - start).seconds,
            peakResidentBytes: ProcessUsage.peakBytes)
    }

    private func draw(_ numbers: [Int], step: () throws -> Void) throws -> [RGBImage] {
        guard !numbers.isEmpty else { return [] }
        let labels = numbers.map { $0 % classes }
        let samples = try generator.samples(numbers, .labels(labels)) { _, _ in try step() }
        return try decoder?.pictures(of: samples) ?? SamplePicture.digits(samples)
    }

    /// Samples whose highest logit is that of the class they were to be.
    fileprivate static func recognised(_ logits: FeatureMatrix, classes: Int) -> Int {
        (0..<logits.rows).count { row in
            let own = logits[row]
            let best = own.indices.max { own[$0] < own[$1] }
            return best.map { $0 - own.startIndex } == row % classes
        }
    }
}

/// The result of `zoo eval` for a generator, one JSON object.
public struct GeneratorReport: Codable, Sendable {
    public var schemaVersion = 1
    public var command = "eval"
    /// The whole command line, as one can paste it into a shell.
    public let commandLine: String
    public let model: ModelCard
    public let weights: WeightsRecord
    public let dataset: EvaluationReport.DatasetRecord
    public let environment: Environment
    /// How the samples were drawn.
    public let parameters: [String: String]
    /// What compared them with the data set; `nil` in results of versions that did not say.
    public let network: FeatureExtractor.Record?
    public let results: GeneratorEvaluation.Results

    public init(
        _ evaluation: GeneratorEvaluation, _ results: GeneratorEvaluation.Results, dataset: any ImageDataset,
        environment: Environment, commandLine: String
    ) {
        self.commandLine = commandLine
        model = evaluation.card
        weights = evaluation.weights
        self.dataset = EvaluationReport.DatasetRecord(dataset)
        self.environment = environment
        parameters = evaluation.drawing
        network = evaluation.network
        self.results = results
    }

    /// `sampler ddpm, steps 50, ...`
    private var drawnWith: String {
        ["sampler", "steps", "guidance", "seed"].compactMap { name in parameters[name].map { "\(name) \($0)" } }
            .joined(separator: ", ")
    }

    /// The result for people.
    public var text: String {
        func number(_ value: Double) -> String { fixed(value, 4) }
        let name = results.features.name
        var pairs = [
            ("model", model.name), ("weights", weights.source), ("data", "\(dataset.name), \(dataset.images) images"),
            ("samples", "\(results.samples)"), ("drawn with", drawnWith),
        ]
        if let network { pairs.append(("features", network.text)) }
        pairs.append((name("FID", "FD"), number(results.fd)))
        if let sfd = results.sfd { pairs.append((name("sFID", "sFD"), number(sfd))) }
        pairs += [
            (name("KID", "KD"), number(results.kd)), ("precision", number(results.precision)),
            ("recall", number(results.recall)), (name("IS", "IS"), number(results.inceptionScore)),
        ]
        if let recognised = results.recognised, let accuracy = results.accuracy {
            pairs.append(("recognised", "\(recognised) of \(results.samples), \(fixed(accuracy, 2)) %"))
        }
        let speed = results.imagesPerSecond.map { "\(fixed($0, 2)) images a second" }
        pairs.append(("speed", speed ?? "nothing drawn in this run"))
        for image in results.badImages.prefix(10) {
            pairs.append(("bad image", "\(image.id): \(image.status.rawValue): \(image.problem)"))
        }
        if results.badImages.count > 10 { pairs.append(("", "and \(results.badImages.count - 10) more")) }
        if !results.trained { pairs.append(("note", "untrained weights: the numbers mean nothing")) }
        return Table(pairs: pairs.map { (name: $0.0, value: $0.1) }).rendered(.text)
    }
}
