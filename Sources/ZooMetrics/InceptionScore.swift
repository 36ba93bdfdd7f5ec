import Foundation
import ZooCore

/// How the inception score divides its samples.
public enum InceptionSplits: Sendable, Equatable {
    /// Consecutive chunks in file order, the last one perhaps shorter: 5000 in the ADM evaluator.
    case chunks(of: Int)
    /// So many parts whose sizes differ by at most one, after numpy's `RandomState(seed).permutation` where there is a
    /// seed: 10 and 2020 in torch-fidelity.
    case parts(Int, shuffleSeed: UInt32?)

    public static let adm = chunks(of: 5000)
    public static let torchFidelity = parts(10, shuffleSeed: 2020)
}

/// The inception score, arXiv 1606.03498: over each split `exp(mean KL(p || mean p))`, p the softmax of an image's
/// logits (without bias), in float64.
public struct InceptionScore: Sendable, Equatable {
    /// The mean over the splits.
    public let mean: Double
    /// The population's standard deviation over the splits.
    public let deviation: Double

    /// - Parameter logits: (images, classes)
    /// - Throws: `MetricDefect.tooFew` if a split would be empty.
    public init(logits: FeatureMatrix, splits: InceptionSplits = .adm) throws {
        let scores = try Self.rows(logits.rows, splits).map { Self.score(logits, $0) }
        let mean = scores.reduce(0, +) / Double(scores.count)
        self.mean = mean
        deviation = (scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(scores.count)).squareRoot()
    }

    private static func rows(_ count: Int, _ splits: InceptionSplits) throws -> [[Int]] {
        func require(_ least: Int) throws {
            guard least > 0, count >= least else {
                throw MetricDefect.tooFew.error(
                    "too few images for the splits of the inception score", expected: "at least \(max(least, 1))",
                    found: "\(count)")
            }
        }
        switch splits {
        case .chunks(let size):
            try require(size > 0 ? 1 : 0)
            return stride(from: 0, to: count, by: size).map { Array($0..<min($0 + size, count)) }
        case .parts(let parts, let seed):
            try require(parts)
            let order = seed.map { seed in
                var generator = NumpyRandomState(seed: seed)
                return generator.permutation(count)
            }
            return (0..<parts).map { part in
                (part * count / parts..<(part + 1) * count / parts).map { order?[$0] ?? $0 }
            }
        }
    }

    /// The mean over rows of `sum p ln p`, minus the same of the mean; 0 ln 0 is 0.
    private static func score(_ logits: FeatureMatrix, _ rows: [Int]) -> Double {
        let classes = logits.dimensions
        var marginal = [Double](repeating: 0, count: classes)
        var negativeEntropy = 0.0
        for row in rows {
            let values = logits[row].map(Double.init)
            let highest = values.max() ?? 0
            let exponentials = values.map { exp($0 - highest) }
            let sum = exponentials.reduce(0, +)
            for (index, value) in exponentials.enumerated() {
                let p = value / sum
                marginal[index] += p
                if p > 0 { negativeEntropy += p * log(p) }
            }
        }
        let count = Double(rows.count)
        let common = marginal.reduce(0) { $1 > 0 ? $0 + $1 / count * log($1 / count) : $0 }
        return exp(negativeEntropy / count - common)
    }
}
