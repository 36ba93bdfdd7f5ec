/// What a set of repeated measurements says. All times in the unit of the samples.
public struct Statistics: Sendable, Codable, Equatable {
    /// The number of samples.
    public let n: Int
    public let min: Double
    public let median: Double
    public let mean: Double
    /// The sample standard deviation (n - 1); 0 for one sample.
    public let sd: Double
    /// The median of the absolute deviations from the median, not rescaled.
    public let mad: Double
    public let p90: Double
    public let p95: Double
    public let p99: Double

    /// - Precondition: there is at least one sample and none is NaN.
    public init(_ samples: [Double]) {
        precondition(!samples.isEmpty, "statistics of no samples")
        let sorted = samples.sorted()
        let mean = sorted.reduce(0, +) / Double(sorted.count)
        let median = Self.quantile(0.5, ofSorted: sorted)
        let squares = sorted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        n = sorted.count
        min = sorted[0]
        self.median = median
        self.mean = mean
        sd = n > 1 ? (squares / Double(n - 1)).squareRoot() : 0
        mad = Self.quantile(0.5, ofSorted: sorted.map { abs($0 - median) }.sorted())
        p90 = Self.quantile(0.9, ofSorted: sorted)
        p95 = Self.quantile(0.95, ofSorted: sorted)
        p99 = Self.quantile(0.99, ofSorted: sorted)
    }

    /// The quantile by linear interpolation between order statistics (type 7 of Hyndman and Fan, NumPy's default).
    package static func quantile(_ q: Double, ofSorted sorted: [Double]) -> Double {
        let position = q * Double(sorted.count - 1)
        let below = Int(position)
        guard below + 1 < sorted.count else { return sorted[sorted.count - 1] }
        return sorted[below] + (position - Double(below)) * (sorted[below + 1] - sorted[below])
    }

    /// Modified Z-scores: distances from the median in median absolute deviations, rescaled so that normally
    /// distributed samples have standard deviation 1 (Iglewicz and Hoaglin). All 0 where the deviation is 0.
    package static func modifiedZScores(_ samples: [Double]) -> [Double] {
        let statistics = Statistics(samples)
        guard statistics.mad > 0 else { return samples.map { _ in 0 } }
        return samples.map { 0.6745 * ($0 - statistics.median) / statistics.mad }
    }

    /// What a reader should know before trusting the numbers, in words; empty if nothing.
    ///
    /// A sample is an outlier beyond 10 standard deviations of the bulk: benchmarks on shared machines have
    /// tails, and a stricter rule would always warn.
    package static func warnings(_ samples: [Double]) -> [String] {
        let threshold = 10.0
        let scores = modifiedZScores(samples)
        var warnings: [String] = []
        if let first = scores.first, first > threshold {
            warnings.append("the first run was much slower than the others; use more warm-up (--warmup)")
        }
        let outliers = scores.dropFirst().count { abs($0) > threshold }
        if outliers > 0 {
            warnings.append("\(outliers) of \(samples.count) runs are outliers; was something else running?")
        }
        return warnings
    }
}
