import ZooCore

/// What a feature network makes of a set of images: one row of finite numbers per image.
public struct FeatureMatrix: Sendable, Equatable {
    /// Features of one image.
    public let dimensions: Int
    /// Row after row.
    public private(set) var values: [Float] = []

    public var rows: Int { values.count / dimensions }

    /// An empty set.
    ///
    /// - Precondition: `dimensions` is positive.
    public init(dimensions: Int) {
        precondition(dimensions > 0, "features have no \(dimensions) dimensions")
        self.dimensions = dimensions
    }

    /// - Parameter name: what an error calls the features.
    /// - Throws: `ZooError` of kind `badData` unless `tensor` is (rows, dimensions) and all values are finite.
    public init(_ tensor: Tensor, name: String) throws {
        guard tensor.shape.count == 2, tensor.count > 0 else {
            throw ZooError(
                .badData, "features have the wrong shape", at: name, expected: "(images, dimensions)",
                found: "\(tensor.shape)", code: MetricDefect.badShape.rawValue)
        }
        self.init(dimensions: tensor.shape[1])
        try append(tensor.values, name: name)
    }

    /// Adds whole rows.
    ///
    /// - Throws: `ZooError` of kind `badData` that names row and column of the first value that is not finite.
    /// - Precondition: `rows` holds whole rows.
    public mutating func append(_ rows: some Collection<Float>, name: String = "features") throws {
        precondition(rows.count.isMultiple(of: dimensions), "\(rows.count) values are no rows of \(dimensions)")
        for (index, value) in rows.enumerated() where !value.isFinite {
            throw ZooError(
                .badData, "a feature is not finite",
                at: "\(name), row \(self.rows + index / dimensions), "
                    + "column \(index % dimensions)", found: "\(value)", code: MetricDefect.notFinite.rawValue)
        }
        values.append(contentsOf: rows)
    }

    /// The features of one image.
    public subscript(row: Int) -> ArraySlice<Float> { values[row * dimensions..<(row + 1) * dimensions] }

    /// The given rows, in the given order, as float64.
    func doubles(_ rows: some Collection<Int>) -> [Double] {
        var result: [Double] = []
        result.reserveCapacity(rows.count * dimensions)
        for row in rows { for value in self[row] { result.append(Double(value)) } }
        return result
    }
}

/// What metrics refuse. Raw values are the stable codes of the errors.
public enum MetricDefect: String, CaseIterable, Sendable {
    case badShape = "metrics.bad-shape"
    case notFinite = "metrics.not-finite"
    case tooFew = "metrics.too-few"
    case differentDimensions = "metrics.different-dimensions"
    case notSymmetric = "metrics.not-symmetric"
    case negativeVariance = "metrics.negative-variance"
    case noConvergence = "metrics.no-convergence"

    func error(_ problem: String, at location: String? = nil, expected: String? = nil, found: String? = nil) -> ZooError
    {
        ZooError(.badData, problem, at: location, expected: expected, found: found, code: rawValue)
    }
}

/// Refuses sets that cannot be compared.
func requireEqualDimensions(_ a: Int, _ b: Int) throws(ZooError) {
    guard a == b else {
        throw MetricDefect.differentDimensions.error(
            "reference and samples have features of different kinds", expected: "\(a) dimensions", found: "\(b)")
    }
}
