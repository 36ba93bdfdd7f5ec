import ZooCore
import ZooDatasets
import ZooImage
import ZooModels
import ZooNN

/// How an evaluation is carried out.
public struct EvaluationOptions: Sendable {
    /// Images that the model gets at a time. Results do not depend on it.
    public var batchSize = 8
    /// Threads of the model, `nil` for all usable cores. Results do not depend on it.
    public var threads: Int?
    /// Threads that decode and preprocess, `nil` for half as many as the model has.
    public var decodeThreads: Int?
    public var instructionSet: InstructionSet?
    public var precision = Precision.fp32
    /// Images to evaluate, spread evenly over the dataset's order; `nil` for all.
    public var limit: Int?
    /// Whether answers are chosen among the dataset's classes only, as is usual for ImageNet-A and ImageNet-R.
    public var amongDatasetClasses = false
    public var badImages = BadImagePolicy.wrong
    public var limits = ResourceLimits()

    public init() {}
}

/// A model, its weights, a dataset and a way to measure the one on the other.
public struct Evaluation {
    public let card: ModelCard
    public let preprocessing: Preprocessing
    public let weights: WeightsRecord
    public let dataset: any ImageDataset
    public let options: EvaluationOptions
    /// Where and with what it runs.
    public let environment: Environment
    /// The samples that are evaluated, in order.
    public let samples: [ImageSample]
    private let labels: LabelMap
    private let model: any ImageClassifier
    private let preprocessor: Preprocessor
    private let runtime: Runtime
    private let decodeThreads: Int

    /// How far a run has got.
    public struct Progress: Sendable {
        public let done: Int
        public let total: Int
    }

    /// What a run took.
    public struct Timing: Sendable, Equatable {
        /// Images that this run computed; those from a journal are not among them.
        public var images = 0
        public var wallSeconds = 0.0
        /// Summed over the decoding threads.
        public var decodeSeconds = 0.0
        public var preprocessSeconds = 0.0
        public var modelSeconds = 0.0
        /// The model's seconds per image of every batch that this run computed, in order.
        public var batches: [Double] = []
    }

    /// How a run ended.
    public enum Ending: Sendable {
        case complete(Metrics, Timing)
        /// Stopped on request after `done` images.
        case interrupted(done: Int)
    }

    /// The largest batch, in pixels: 334 images of 224 x 224, or one of 4096 x 4096.
    public static let maximumBatchPixels = 1 << 24

    /// Loads the model and checks that everything fits together before anything is computed.
    ///
    /// - Parameter preprocessing: `nil` for the card's.
    /// - Throws: `ZooError`: options out of range, weights that do not fit, labels that the model does not have.
    public init(
        card: ModelCard, weights: ResolvedWeights, dataset: any ImageDataset, preprocessing: Preprocessing? = nil,
        options: EvaluationOptions = EvaluationOptions()
    ) throws {
        let preprocessing = preprocessing ?? card.preprocessing
        preprocessor = try Preprocessor(preprocessing)
        try Self.require(1...65536, options.batchSize, "--batch-size")
        try Self.require(1...Int.max, options.limit, "--limit")
        try Self.require(1...1024, options.decodeThreads, "--decode-threads")
        let pixels = options.batchSize * preprocessing.inputHeight * preprocessing.inputWidth
        guard pixels <= Self.maximumBatchPixels else {
            throw ZooError(
                .usage, "the batch is too large", expected: "at most \(Self.maximumBatchPixels) pixels",
                found: "\(options.batchSize) x \(preprocessing.inputHeight) x \(preprocessing.inputWidth)",
                hint: "choose a smaller --batch-size or --image-size")
        }
        labels = try LabelMap(from: dataset, to: card)
        runtime = try Runtime(threads: options.threads, instructionSet: options.instructionSet)
        model = try Registry.load(card, from: weights.source, precision: options.precision)
        decodeThreads = options.decodeThreads ?? max(1, runtime.threads / 2)
        self.card = card
        self.preprocessing = preprocessing
        self.weights = weights.record()
        self.dataset = dataset
        self.options = options
        samples = Self.spread(dataset.samples, limit: options.limit)
        environment = .current.running(
            on: runtime, precision: options.precision, decodeThreads: decodeThreads,
            libraries: ImageLibraries.versions)
    }

    public var instructionSet: InstructionSet { runtime.instructionSet }

    /// What identifies this evaluation: two runs with equal fingerprints give the same outcomes to the bit.
    public var fingerprint: Journal.Fingerprint {
        Self.fingerprint(
            of: card, weights, on: dataset, preprocessing, options, instructionSet: runtime.instructionSet)
    }

    /// The fingerprint that an evaluation would have, without loading the model.
    ///
    /// - Parameter instructionSet: what a runtime with these options computes on.
    public static func fingerprint(
        of card: ModelCard, _ weights: WeightsRecord, on dataset: any ImageDataset, _ preprocessing: Preprocessing,
        _ options: EvaluationOptions, instructionSet: InstructionSet
    ) -> Journal.Fingerprint {
        [
            "model": card.name,
            "weights": weights.sha256 ?? weights.source,
            "dataset": dataset.fingerprint,
            "images": "\(min(options.limit ?? .max, dataset.samples.count))",
            "preprocessing": "\(preprocessing)",
            "instruction set": instructionSet.rawValue,
            "precision": options.precision.rawValue,
            "among": options.amongDatasetClasses ? "the dataset's classes" : "all classes",
            "zoo": Environment.version,
        ]
    }

    /// Evaluates all samples in order.
    ///
    /// - Parameters:
    ///   - journal: receives every outcome; what it already holds is not computed again.
    ///   - progress: called after every batch.
    ///   - shouldStop: asked after every batch.
    /// - Throws: `ZooError`: a failed image under the policy `fail`, an input size that the model cannot take, a
    ///   journal that cannot be written.
    public func run(
        journal: Journal? = nil, progress: (Progress) -> Void = { _ in }, shouldStop: () -> Bool = { false }
    ) throws -> Ending {
        var metrics = Metrics(policy: options.badImages)
        let earlier = journal?.earlier.prefix(samples.count) ?? []
        for outcome in earlier { try count(outcome, in: &metrics) }
        var timing = Timing()
        let start = ContinuousClock.now
        let rest = Array(samples[earlier.count...])
        let pipeline = ImagePipeline(
            dataset: dataset, samples: rest, preprocessor: preprocessor, batchSize: options.batchSize,
            workers: decodeThreads, limits: options.limits)
        defer { pipeline.stop() }
        var logits = [Float](repeating: 0, count: options.batchSize * model.classes)
        while metrics.images < samples.count {
            if shouldStop() {
                try journal?.flush()
                return .interrupted(done: metrics.images)
            }
            let outcomes = try pipeline.withNextBatch { batch in
                try evaluate(batch, offset: earlier.count, logits: &logits, timing: &timing)
            }
            for outcome in outcomes ?? [] {
                try journal?.add(outcome)
                try count(outcome, in: &metrics)
            }
            progress(Progress(done: metrics.images, total: samples.count))
        }
        timing.images = rest.count
        timing.wallSeconds = (ContinuousClock.now - start).seconds
        return .complete(metrics, timing)
    }

    private func evaluate(
        _ batch: ImagePipeline.Batch, offset: Int, logits: inout [Float], timing: inout Timing
    ) throws -> [ImageOutcome] {
        let input = ImageBatch(
            batch: batch.images.count, height: preprocessing.inputHeight, width: preprocessing.inputWidth,
            values: batch.values)
        let start = ContinuousClock.now
        let classes = model.classes
        return try logits.withUnsafeMutableBufferPointer { logits in
            try model.forward(input, into: ClassifierOutput(logits: logits.baseAddress), on: runtime)
            let seconds = (ContinuousClock.now - start).seconds
            timing.modelSeconds += seconds
            timing.batches.append(seconds / Double(batch.images.count))
            return batch.images.enumerated().map { place, image in
                timing.decodeSeconds += image.decodeSeconds
                timing.preprocessSeconds += image.preprocessSeconds
                let row = UnsafeBufferPointer(rebasing: logits[(place * classes)..<((place + 1) * classes)])
                return outcome(of: image, at: offset + batch.first + place, logits: row)
            }
        }
    }

    private func outcome(
        of image: ImagePipeline.Preprocessed, at index: Int, logits: UnsafeBufferPointer<Float>
    ) -> ImageOutcome {
        let label = labels.modelClasses[samples[index].label ?? 0]
        let score =
            image.status == .failed
            ? nil : Score(logits, label: label, among: options.amongDatasetClasses ? labels.present : nil)
        return ImageOutcome(
            index: index, status: image.status, problem: image.problem, label: label, top: score?.top ?? [],
            rank: score?.rank, loss: score?.loss)
    }

    private func count(_ outcome: ImageOutcome, in metrics: inout Metrics) throws {
        let id = samples[outcome.index].id
        if outcome.status == .failed, options.badImages == .fail {
            throw ZooError(
                .badData, "the image cannot be decoded: \(outcome.problem ?? "")", file: dataset.name, at: id,
                code: "eval.bad-image")
        }
        metrics.add(outcome, id: id)
    }

    /// `limit` samples at even distances, the first one included.
    private static func spread(_ samples: [ImageSample], limit: Int?) -> [ImageSample] {
        guard let limit, limit < samples.count else { return samples }
        return evenlySpread(limit, over: samples.count).map { samples[$0] }
    }

    private static func require(_ range: ClosedRange<Int>, _ value: Int?, _ flag: String) throws {
        guard let value, !range.contains(value) else { return }
        throw ZooError(
            .usage, "out of range", at: flag,
            expected: range.upperBound == .max
                ? "\(range.lowerBound) or more" : "\(range.lowerBound)...\(range.upperBound)", found: "\(value)")
    }
}

/// `count` of the numbers below `total` at even distances, 0 included.
func evenlySpread(_ count: Int, over total: Int) -> [Int] { (0..<count).map { $0 * total / count } }
