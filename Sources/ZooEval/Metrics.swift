import ZooCore

/// What a failed image counts as.
public enum BadImagePolicy: String, Sendable, CaseIterable {
    /// A wrong answer: it stays in the denominator.
    case wrong
    /// Nothing: it leaves the denominator.
    case skip
    /// The end of the run.
    case fail
}

/// A proportion with its uncertainty.
public struct Proportion: Sendable, Equatable {
    public let count: Int
    public let total: Int

    public init(count: Int, total: Int) {
        self.count = count
        self.total = total
    }

    /// In percent; `nil` when there is nothing to count.
    public var percent: Double? { total > 0 ? 100 * Double(count) / Double(total) : nil }

    /// Wilson's score interval at 95 % in percent, which unlike the normal approximation stays inside 0...100 and is
    /// right at the ends and for few images.
    public var wilson95: ClosedRange<Double>? {
        guard total > 0 else { return nil }
        let z = 1.959963984540054
        let n = Double(total)
        let p = Double(count) / n
        let centre = p + z * z / (2 * n)
        let half = z * (p * (1 - p) / n + z * z / (4 * n * n)).squareRoot()
        let scale = 1 + z * z / n
        return 100 * max((centre - half) / scale, 0)...100 * min((centre + half) / scale, 1)
    }
}

/// Collects outcomes, in the fixed order of evaluation, into the numbers of a result.
///
/// The sums depend on the outcomes and their order alone: a run that was interrupted and resumed gives the same bits
/// as one that was not.
public struct Metrics: Sendable, Equatable {
    /// An image that is not `ok`.
    public struct BadImage: Codable, Sendable, Equatable {
        public let id: String
        public let status: DecodingStatus
        public let problem: String
    }

    /// How often one class was taken for another.
    public struct Confusion: Sendable, Equatable {
        public let label: Int
        public let predicted: Int
        public let count: Int
        /// The first images that were taken for the other class, at most `listedExamples`.
        public let examples: [String]
    }

    /// Images that a confusion names.
    public static let listedExamples = 3

    public let policy: BadImagePolicy
    public private(set) var statuses: [DecodingStatus: Int] = [:]
    public private(set) var badImages: [BadImage] = []
    private var correct1 = 0
    private var correct5 = 0
    private var counted = 0
    private var lossSum = 0.0
    private var lossCount = 0
    /// Whether an image had logits that are no numbers.
    public private(set) var hasNonFinite = false
    private var perClassCorrect: [Int: Int] = [:]
    private var perClassTotal: [Int: Int] = [:]
    private var confused: [Pair: Confused] = [:]
    private var ranks: [UInt8] = []

    private struct Pair: Hashable { let label, predicted: Int }

    private struct Confused: Equatable {
        var count = 0
        var examples: [String] = []
    }

    public init(policy: BadImagePolicy) {
        self.policy = policy
    }

    /// Adds the next outcome; `id` is the image's name.
    public mutating func add(_ outcome: ImageOutcome, id: String) {
        statuses[outcome.status, default: 0] += 1
        if outcome.status != .ok {
            badImages.append(BadImage(id: id, status: outcome.status, problem: outcome.problem ?? ""))
        }
        ranks.append(PerImage.character(of: outcome))
        if outcome.status == .failed && policy == .skip { return }
        counted += 1
        perClassTotal[outcome.label, default: 0] += 1
        guard let rank = outcome.rank else { return }
        if rank == 0 {
            correct1 += 1
            perClassCorrect[outcome.label, default: 0] += 1
        } else if let predicted = outcome.top.first {
            let pair = Pair(label: outcome.label, predicted: predicted)
            var entry = confused[pair] ?? Confused()
            entry.count += 1
            if entry.examples.count < Self.listedExamples { entry.examples.append(id) }
            confused[pair] = entry
        }
        if rank < 5 { correct5 += 1 }
        if let loss = outcome.loss {
            lossSum += loss
            lossCount += 1
        } else {
            hasNonFinite = true
        }
    }

    public var top1: Proportion { Proportion(count: correct1, total: counted) }
    public var top5: Proportion { Proportion(count: correct5, total: counted) }
    /// Mean cross-entropy over the decoded images; `nil` without any, or if a logit was not finite.
    public var loss: Double? { lossCount > 0 && !hasNonFinite ? lossSum / Double(lossCount) : nil }
    /// Whether each image was right, in order.
    public var perImage: PerImage { PerImage(characters: ranks) }
    /// The images that have been added, whatever became of them.
    public var images: Int { statuses.values.reduce(0, +) }

    /// Top-1 of each class that has images, by the model's class index.
    public var perClass: [(label: Int, top1: Proportion)] {
        perClassTotal.keys.sorted().map { label in
            (label, Proportion(count: perClassCorrect[label] ?? 0, total: perClassTotal[label] ?? 0))
        }
    }

    /// The `limit` most frequent confusions; among equals the lower classes first.
    public func confusions(limit: Int) -> [Confusion] {
        confused
            .map {
                Confusion(
                    label: $0.key.label, predicted: $0.key.predicted, count: $0.value.count,
                    examples: $0.value.examples)
            }
            .sorted { (-$0.count, $0.label, $0.predicted) < (-$1.count, $1.label, $1.predicted) }
            .prefix(limit).map(\.self)
    }
}
