import ZooCore

/// The Frechet distance of two normal distributions, arXiv 1706.08500:
/// `|mu1 - mu2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))`. Of pool features it is called FID, of spatial ones sFID.
///
/// The last trace is that of the square root of `R S2 R`, `R = S1^(1/2)`, which is symmetric: no complex numbers, no
/// offset for singular covariances. For equal distributions the result may be a rounding below zero.
///
/// - Complexity: O(d^3) for d dimensions.
/// - Throws: `MetricDefect.differentDimensions`, `.noConvergence`.
public func frechetDistance(_ a: GaussianStatistics, _ b: GaussianStatistics) throws -> Double {
    try requireEqualDimensions(a.dimensions, b.dimensions)
    let size = a.dimensions
    let first = SymmetricMatrix(size: size, values: a.covariance)
    let second = SymmetricMatrix(size: size, values: b.covariance)
    let common = try first.squareRoot().sandwiching(second).eigen(vectors: false)
    let root = common.values.reduce(0) { $0 + max($1, 0).squareRoot() }
    let shift = zip(a.mean, b.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    return shift + first.trace + second.trace - 2 * root
}
