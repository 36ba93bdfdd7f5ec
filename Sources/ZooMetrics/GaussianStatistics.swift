import ZooCore

/// The mean and the covariance of a set's features: what FID and sFID compare.
public struct GaussianStatistics: Sendable, Equatable {
    public let mean: [Double]
    /// Row-major, symmetric, divided by n - 1.
    public let covariance: [Double]
    /// Images behind the numbers, `nil` where a file does not say.
    public let count: Int?

    public var dimensions: Int { mean.count }

    /// Statistics from somewhere else, such as a reference file.
    ///
    /// - Throws: `MetricDefect.badShape`, `.notFinite`, `.notSymmetric`, `.negativeVariance`.
    public init(mean: [Double], covariance: [Double], count: Int? = nil) throws {
        guard !mean.isEmpty, covariance.count == mean.count * mean.count else {
            throw MetricDefect.badShape.error(
                "mean and covariance do not fit together", expected: "d and d x d numbers",
                found: "\(mean.count) and \(covariance.count)")
        }
        guard mean.allSatisfy(\.isFinite), covariance.allSatisfy(\.isFinite) else {
            throw MetricDefect.notFinite.error("mean or covariance is not finite")
        }
        let size = mean.count
        let largest = covariance.reduce(0) { max($0, abs($1)) }
        for row in 0..<size {
            let variance = covariance[row * size + row]
            guard variance >= -1e-5 * largest else {
                throw MetricDefect.negativeVariance.error(
                    "a variance is negative", at: "row \(row)", expected: "at least 0", found: "\(variance)")
            }
            for column in 0..<row {
                // Files store float32 or the last bits of other summation orders.
                let difference = abs(covariance[row * size + column] - covariance[column * size + row])
                guard difference <= 1e-5 * largest else {
                    throw MetricDefect.notSymmetric.error(
                        "the covariance is not symmetric", at: "row \(row), column \(column)")
                }
            }
        }
        self.mean = mean
        self.covariance = covariance
        self.count = count
    }

    /// The statistics of all rows.
    ///
    /// - Throws: `MetricDefect.tooFew` for less than two rows.
    public init(of features: FeatureMatrix) throws {
        var accumulator = GaussianAccumulator(dimensions: features.dimensions)
        accumulator.add(features.values)
        self = try accumulator.statistics()
    }
}

/// Adds up means and covariances row by row, in float64, whatever the pieces they come in.
///
/// The sums are those of the distances from the first row, so that a mean far from zero costs no digits.
public struct GaussianAccumulator: Sendable {
    public let dimensions: Int
    public private(set) var count = 0
    private var origin: [Double] = []
    private var sums: [Double]
    private var squares: SymmetricMatrix
    /// Rows that wait until there are enough for one product.
    private var pending: [Double] = []

    /// Rows of one product: fixed, so that results do not depend on the pieces.
    private static let block = 256

    /// - Precondition: `dimensions` is positive.
    public init(dimensions: Int) {
        precondition(dimensions > 0, "features have no \(dimensions) dimensions")
        self.dimensions = dimensions
        sums = [Double](repeating: 0, count: dimensions)
        squares = SymmetricMatrix(size: dimensions)
    }

    /// - Precondition: `rows` holds whole rows.
    public mutating func add(_ rows: some Collection<Float>) {
        precondition(rows.count.isMultiple(of: dimensions), "\(rows.count) values are no rows of \(dimensions)")
        if origin.isEmpty { origin = rows.prefix(dimensions).map(Double.init) }
        var column = 0
        for value in rows {
            pending.append(Double(value) - origin[column])
            column = column + 1 == dimensions ? 0 : column + 1
            if pending.count == Self.block * dimensions { flush() }
        }
        count += rows.count / dimensions
    }

    private mutating func flush() {
        var column = 0
        for value in pending {
            sums[column] += value
            column = column + 1 == dimensions ? 0 : column + 1
        }
        squares.addSquares(of: pending)
        pending.removeAll(keepingCapacity: true)
    }

    /// The statistics of what was added so far.
    ///
    /// - Throws: `MetricDefect.tooFew` for less than two rows.
    public func statistics() throws -> GaussianStatistics {
        guard count >= 2 else {
            throw MetricDefect.tooFew.error(
                "a covariance needs several images", expected: "at least 2", found: "\(count)")
        }
        var total = self
        if !pending.isEmpty { total.flush() }
        let n = Double(count)
        let mean = total.sums.map { $0 / n }
        var covariance = total.squares.values
        for row in 0..<dimensions {
            for column in row..<dimensions {
                let value = (covariance[row * dimensions + column] - n * mean[row] * mean[column]) / (n - 1)
                covariance[row * dimensions + column] = value
                covariance[column * dimensions + row] = value
            }
        }
        return try GaussianStatistics(
            mean: zip(origin, mean).map(+), covariance: covariance, count: count)
    }
}
