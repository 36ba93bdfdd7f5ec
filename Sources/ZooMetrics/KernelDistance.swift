import ZooCore

/// The kernel inception distance, arXiv 1801.01401: the unbiased estimate of the squared maximum mean discrepancy with
/// the kernel `(x . y / d + 1)^3`, over random subsets. In float64.
public struct KernelDistance: Sendable, Equatable {
    /// The mean over the subsets.
    public let mean: Double
    /// The population's standard deviation over the subsets.
    public let deviation: Double
    public let subsets: Int
    public let subsetSize: Int

    /// - Parameters:
    ///   - subsets: drawn without repetition by numpy's `RandomState(seed)`, as in torch-fidelity.
    ///   - subsetSize: images of each set in a subset.
    /// - Throws: `MetricDefect.differentDimensions`; `.tooFew` if a set is smaller than a subset.
    public init(
        reference: FeatureMatrix, samples: FeatureMatrix, subsets: Int = 100, subsetSize: Int = 1000,
        seed: UInt32 = 2020
    ) throws {
        try requireEqualDimensions(reference.dimensions, samples.dimensions)
        guard subsets > 0, subsetSize > 1, min(reference.rows, samples.rows) >= subsetSize else {
            throw MetricDefect.tooFew.error(
                "too few images for the subsets of the kernel distance", expected: "at least \(max(subsetSize, 2))",
                found: "\(min(reference.rows, samples.rows))")
        }
        var generator = NumpyRandomState(seed: seed)
        let values = (0..<subsets).map { _ in
            // torch-fidelity draws from the generated set, its first argument, before the reference.
            let drawn = samples.doubles(generator.choice(subsetSize, of: samples.rows))
            let known = reference.doubles(generator.choice(subsetSize, of: reference.rows))
            return Self.discrepancy(drawn, known, dimensions: reference.dimensions)
        }
        let mean = values.reduce(0, +) / Double(subsets)
        self.mean = mean
        deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(subsets)).squareRoot()
        self.subsets = subsets
        self.subsetSize = subsetSize
    }

    /// The unbiased estimate over two sets of rows, which may have different sizes.
    package static func discrepancy(_ x: [Double], _ y: [Double], dimensions: Int) -> Double {
        func kernels(_ a: [Double], _ b: [Double]) -> [Double] {
            rowProducts(a, b, dimensions: dimensions).map { product in
                let base = product / Double(dimensions) + 1
                return base * base * base
            }
        }
        func meanOfOthers(_ a: [Double]) -> Double {
            let rows = a.count / dimensions
            let k = kernels(a, a)
            let diagonal = (0..<rows).reduce(0) { $0 + k[$1 * rows + $1] }
            return (k.reduce(0, +) - diagonal) / Double(rows * (rows - 1))
        }
        let mixed = kernels(x, y)
        return meanOfOthers(x) + meanOfOthers(y) - 2 * mixed.reduce(0, +) / Double(mixed.count)
    }
}
