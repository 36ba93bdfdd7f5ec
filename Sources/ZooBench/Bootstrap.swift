/// Confidence intervals by resampling; the same samples always give the same interval.
package enum Bootstrap {
    /// The 95 % percentile interval of `median(after) / median(before)`.
    package static func medianRatio(_ before: [Double], _ after: [Double], resamples: Int = 2000) -> ClosedRange<Double>
    {
        var random = SplitMix64(state: 1)
        let ratios = (0..<resamples).map { _ in
            resampledMedian(after, &random) / resampledMedian(before, &random)
        }.sorted()
        return Statistics.quantile(0.025, ofSorted: ratios)...Statistics.quantile(0.975, ofSorted: ratios)
    }

    private static func resampledMedian(_ samples: [Double], _ random: inout SplitMix64) -> Double {
        let drawn = samples.indices.map { _ in samples[Int.random(in: samples.indices, using: &random)] }
        return Statistics.quantile(0.5, ofSorted: drawn.sorted())
    }

    /// Steele, Lea and Flood's generator.
    private struct SplitMix64: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
