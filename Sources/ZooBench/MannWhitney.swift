import Foundation

/// The Mann-Whitney U test: could two sets of samples come from the same distribution?
public struct MannWhitney: Sendable, Equatable {
    /// How often a sample of the first set exceeds one of the second, ties counting one half.
    public let u: Double
    /// Two-sided.
    public let p: Double

    /// Exact without ties for up to `exactLimit` pairs, otherwise the normal approximation with corrections for ties
    /// and continuity.
    ///
    /// - Precondition: both sets have samples.
    public init(_ a: [Double], _ b: [Double]) {
        precondition(!a.isEmpty && !b.isEmpty, "a test of no samples")
        let pooled = (a.map { ($0, true) } + b.map { ($0, false) }).sorted { $0.0 < $1.0 }
        var rankSum = 0.0
        var tieTerm = 0.0
        var first = 0
        while first < pooled.count {
            var last = first
            while last + 1 < pooled.count, pooled[last + 1].0 == pooled[first].0 { last += 1 }
            let count = Double(last - first + 1)
            let rank = Double(first + last) / 2 + 1
            rankSum += rank * Double(pooled[first...last].count { $0.1 })
            tieTerm += count * count * count - count
            first = last + 1
        }
        let (m, n) = (Double(a.count), Double(b.count))
        u = rankSum - m * (m + 1) / 2
        if tieTerm == 0, a.count * b.count <= Self.exactLimit {
            p = Self.exact(u: Int(min(u, m * n - u)), a.count, b.count)
        } else {
            p = Self.approximate(u: u, m, n, tieTerm: tieTerm)
        }
    }

    private static let exactLimit = 900

    /// Twice the share of orderings with a smaller or equal U, from the recurrence of Mann and Whitney (1947):
    /// the largest of all samples is either one of the first set, exceeding all n of the second, or not.
    private static func exact(u: Int, _ m: Int, _ n: Int) -> Double {
        // counts[j][v]: orderings of i and j samples with U = v, for growing i.
        var counts = [[Double]](repeating: [1] + [Double](repeating: 0, count: m * n), count: n + 1)
        for _ in 0..<m {
            var next = counts
            for j in 0...n {
                for v in 0...(m * n) {
                    let fromFirst = v >= j ? counts[j][v - j] : 0
                    let fromSecond = j > 0 ? next[j - 1][v] : 0
                    next[j][v] = fromFirst + fromSecond
                }
            }
            counts = next
        }
        let total = counts[n].reduce(0, +)
        return min(1, 2 * counts[n][...u].reduce(0, +) / total)
    }

    private static func approximate(u: Double, _ m: Double, _ n: Double, tieTerm: Double) -> Double {
        let total = m + n
        let variance = m * n / 12 * (total + 1 - tieTerm / (total * (total - 1)))
        guard variance > 0 else { return 1 }
        let z = max(0, abs(u - m * n / 2) - 0.5) / variance.squareRoot()
        return min(1, erfc(z / 2.0.squareRoot()))
    }
}
