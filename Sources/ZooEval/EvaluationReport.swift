import Foundation
import ZooCore
import ZooDatasets
import ZooNN

/// The result of an evaluation with everything that is needed to judge and repeat it.
///
/// Encodes to the JSON object of `zoo eval --json`, keys in snake case.
public struct EvaluationReport: Codable, Sendable {
    /// Counts up when a key changes its meaning or disappears.
    public var schemaVersion = 1
    public var command = "eval"
    /// The whole command line, as one can paste it into a shell.
    public let commandLine: String
    public let model: ModelCard
    public let weights: WeightsRecord
    public let dataset: DatasetRecord
    public let preprocessing: Preprocessing
    public let environment: Environment
    /// Two results with equal fingerprints agree to the bit in everything but time and memory.
    public let fingerprint: Journal.Fingerprint
    public let results: Results

    /// The dataset that was evaluated.
    public struct DatasetRecord: Codable, Sendable {
        public let name: String
        /// `embedded sample`, or the path that was used.
        public let origin: String
        public let fingerprint: String
        public let images: Int
        public let classes: Int
        /// Files beside the images that are not part of the dataset.
        public let ignored: [IgnoredFile]
    }

    /// Percentages are 0...100.
    public struct Results: Codable, Sendable {
        /// Whether the weights were learned; if not, the accuracy says nothing.
        public let trained: Bool
        public let note: String?
        /// Images in the denominator of the accuracies.
        public let images: Int
        public let top1: Double?
        public let top1Correct: Int
        /// The ends of Wilson's 95 % interval.
        public let top1Interval: [Double]?
        public let top5: Double?
        public let top5Correct: Int
        public let top5Interval: [Double]?
        /// Mean cross-entropy in nats.
        public let loss: Double?
        public let imageStatus: [String: Int]
        public let onBadImage: String
        public let badImages: [Metrics.BadImage]
        public let speed: Speed
        public let peakResidentBytes: Int
        public let perClass: [ClassResult]?
        /// The most frequent ones.
        public let confusions: [Confusion]
        public let perImage: PerImage
    }

    /// How long the run took; images from a journal are not counted.
    public struct Speed: Codable, Sendable {
        public let images: Int
        public let seconds: Double
        public let imagesPerSecond: Double?
        public let decodeSeconds: Double
        public let preprocessSeconds: Double
        public let modelSeconds: Double
        /// Shares of the work of all threads, which add up to 1.
        public let decodeShare: Double?
        public let preprocessShare: Double?
        public let modelShare: Double?
        /// Seconds per image that the model took, over up to `EvaluationReport.timeSamples` equal parts of the run.
        public let samples: [Double]
    }

    /// The accuracy on one class.
    public struct ClassResult: Codable, Sendable {
        public let index: Int
        public let wnid: String?
        public let name: String
        public let images: Int
        public let correct: Int
        public let top1: Double?
    }

    /// How often one class was taken for another.
    public struct Confusion: Codable, Sendable {
        public let label: String
        public let predicted: String
        public let count: Int
        /// The first images that it happened with.
        public let examples: [String]
    }

    /// Confused pairs that are listed.
    public static let listedConfusions = 20
    /// Times that a result keeps, enough for a confidence interval.
    public static let timeSamples = 64

    /// - Parameter details: adds the accuracy of each class.
    public init(
        _ evaluation: Evaluation, _ metrics: Metrics, _ timing: Evaluation.Timing, commandLine: String, details: Bool
    ) {
        let card = evaluation.card
        let dataset = evaluation.dataset
        self.commandLine = commandLine
        model = card
        weights = evaluation.weights
        self.dataset = DatasetRecord(dataset)
        preprocessing = evaluation.preprocessing
        environment = evaluation.environment
        fingerprint = evaluation.fingerprint
        results = Results(
            trained: evaluation.weights.trained,
            note: evaluation.weights.trained
                ? nil : "untrained weights: the accuracy is meaningless, speed and memory are real",
            images: metrics.top1.total,
            top1: metrics.top1.percent, top1Correct: metrics.top1.count, top1Interval: Self.ends(metrics.top1),
            top5: metrics.top5.percent, top5Correct: metrics.top5.count, top5Interval: Self.ends(metrics.top5),
            loss: metrics.loss,
            imageStatus: Dictionary(
                uniqueKeysWithValues: DecodingStatus.allCases.map { ($0.rawValue, metrics.statuses[$0] ?? 0) }),
            onBadImage: metrics.policy.rawValue, badImages: metrics.badImages, speed: Speed(timing),
            peakResidentBytes: ProcessUsage.peakBytes,
            perClass: details
                ? metrics.perClass.map { label, top1 in
                    ClassResult(
                        index: label, wnid: LabelMap.wnid(label, of: card), name: LabelMap.className(label, of: card),
                        images: top1.total, correct: top1.count, top1: top1.percent)
                } : nil,
            confusions: metrics.confusions(limit: Self.listedConfusions).map {
                Confusion(
                    label: LabelMap.className($0.label, of: card),
                    predicted: LabelMap.className($0.predicted, of: card), count: $0.count, examples: $0.examples)
            },
            perImage: metrics.perImage)
    }

    /// Of the model's weights and products.
    var precision: Precision { environment.precision ?? .fp32 }

    /// What to say beside the model's name because it is not the ordinary case.
    package var tags: [String] {
        (results.trained ? [] : ["untrained"]) + (precision == .fp32 ? [] : [precision.rawValue])
    }

    /// The model's name, with its tags in brackets.
    package var title: String { model.name + (tags.isEmpty ? "" : " (\(tags.joined(separator: ", ")))") }

    private static func ends(_ proportion: Proportion) -> [Double]? {
        proportion.wilson95.map { [$0.lowerBound, $0.upperBound] }
    }
}

extension EvaluationReport.DatasetRecord {
    init(_ dataset: any ImageDataset) {
        self.init(
            name: dataset.name, origin: dataset.origin.description, fingerprint: dataset.fingerprint,
            images: dataset.samples.count, classes: dataset.classes.count, ignored: dataset.ignored)
    }
}

extension EvaluationReport.Speed {
    init(_ timing: Evaluation.Timing) {
        let work = timing.decodeSeconds + timing.preprocessSeconds + timing.modelSeconds
        func share(_ seconds: Double) -> Double? { work > 0 ? seconds / work : nil }
        self.init(
            images: timing.images, seconds: timing.wallSeconds,
            imagesPerSecond: timing.images > 0 && timing.wallSeconds > 0
                ? Double(timing.images) / timing.wallSeconds : nil,
            decodeSeconds: timing.decodeSeconds, preprocessSeconds: timing.preprocessSeconds,
            modelSeconds: timing.modelSeconds, decodeShare: share(timing.decodeSeconds),
            preprocessShare: share(timing.preprocessSeconds), modelShare: share(timing.modelSeconds),
            samples: Self.means(timing.batches, parts: EvaluationReport.timeSamples))
    }

    /// The means of at most `parts` consecutive, nearly equal parts.
    private static func means(_ values: [Double], parts: Int) -> [Double] {
        let parts = min(parts, values.count)
        return (0..<parts).map { part in
            let slice = values[(part * values.count / parts)..<((part + 1) * values.count / parts)]
            return slice.reduce(0, +) / Double(slice.count)
        }
    }
}
