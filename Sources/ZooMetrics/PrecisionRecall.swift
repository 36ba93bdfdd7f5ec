import ZooCore

/// Precision and recall of generated images by k-nearest-neighbour manifolds, arXiv 1904.06991, in float64.
public struct PrecisionRecall: Sendable, Equatable {
    /// The part of the samples that lie within the radius of some reference image.
    public let precision: Double
    /// The part of the reference images that lie within the radius of some sample.
    public let recall: Double

    /// - Parameter neighbours: k. An image's radius is the distance of its k-th neighbour in its own set.
    /// - Complexity: O(n^2 d) for n images and d dimensions; memory O(n).
    /// - Throws: `MetricDefect.differentDimensions`; `.tooFew` if a set has no k-th neighbour.
    public init(reference: FeatureMatrix, samples: FeatureMatrix, neighbours: Int = 3) throws {
        try requireEqualDimensions(reference.dimensions, samples.dimensions)
        let known = Manifold(reference, radii: try Self.squaredRadii(reference, neighbours: neighbours))
        let drawn = Manifold(samples, radii: try Self.squaredRadii(samples, neighbours: neighbours))
        precision = known.share(of: samples)
        recall = drawn.share(of: reference)
    }

    /// `2 P R / (P + R)`, with torch-fidelity's guard against 0 / 0.
    public var fScore: Double { 2 * precision * recall / max(1e-5, precision + recall) }

    /// For each image the squared distance of its k-th neighbour in the same set, itself not counted.
    package static func squaredRadii(_ features: FeatureMatrix, neighbours: Int) throws -> [Double] {
        guard neighbours > 0, features.rows > neighbours else {
            throw MetricDefect.tooFew.error(
                "too few images for precision and recall", expected: "more than \(neighbours)",
                found: "\(features.rows)")
        }
        return Blocks(features).rows.flatMap { block -> [Double] in
            // The smallest distances so far of every row of the block, rising; the first is that to itself.
            var nearest = [[Double]](repeating: [], count: block.rows)
            for other in Blocks(features).rows {
                let distances = block.squaredDistances(to: other)
                for row in 0..<block.rows {
                    for distance in distances[row * other.rows..<(row + 1) * other.rows] {
                        if nearest[row].count > neighbours, distance >= nearest[row][neighbours] { continue }
                        let place = nearest[row].firstIndex { distance < $0 } ?? nearest[row].count
                        nearest[row].insert(distance, at: place)
                        if nearest[row].count > neighbours + 1 { nearest[row].removeLast() }
                    }
                }
            }
            return nearest.map { $0[neighbours] }
        }
    }
}

/// The union of balls around the images of a set.
private struct Manifold {
    let features: FeatureMatrix
    /// Squared.
    let radii: [Double]

    init(_ features: FeatureMatrix, radii: [Double]) {
        self.features = features
        self.radii = radii
    }

    /// The part of `others` that lie in a ball.
    func share(of others: FeatureMatrix) -> Double {
        var inside = 0
        for block in Blocks(others).rows {
            var isInside = [Bool](repeating: false, count: block.rows)
            for own in Blocks(features).rows {
                let distances = block.squaredDistances(to: own)
                for row in 0..<block.rows where !isInside[row] {
                    isInside[row] = (0..<own.rows).contains { column in
                        let rounding = block.rounding(row, own, column)
                        return distances[row * own.rows + column] <= radii[own.first + column] + rounding
                    }
                }
            }
            inside += isInside.count { $0 }
        }
        return Double(inside) / Double(others.rows)
    }
}

/// A set cut into pieces, so that the distances between two of them fit into the cache.
private struct Blocks {
    private static let size = 512
    private let features: FeatureMatrix

    init(_ features: FeatureMatrix) { self.features = features }

    var rows: some Sequence<Block> {
        stride(from: 0, to: features.rows, by: Self.size).lazy.map { first in
            Block(features, first..<min(first + Self.size, features.rows))
        }
    }
}

private struct Block {
    let first: Int
    let rows: Int
    private let dimensions: Int
    private let values: [Double]
    private let squaredNorms: [Double]

    init(_ features: FeatureMatrix, _ range: Range<Int>) {
        first = range.lowerBound
        rows = range.count
        dimensions = features.dimensions
        values = features.doubles(range)
        squaredNorms = range.map { row in features[row].reduce(0) { $0 + Double($1) * Double($1) } }
    }

    /// `max(|u|^2 - 2 u.v + |v|^2, 0)` for every row u of this block and v of the other.
    func squaredDistances(to other: Block) -> [Double] {
        var result = rowProducts(values, other.values, dimensions: dimensions)
        for row in 0..<rows {
            for column in 0..<other.rows {
                let index = row * other.rows + column
                result[index] = max(squaredNorms[row] - 2 * result[index] + other.squaredNorms[column], 0)
            }
        }
        return result
    }

    /// More than rounding may change a distance by. Distances this close are equal: where an image of one set is also in
    /// the other, a radius and a distance are the same number, computed twice.
    func rounding(_ row: Int, _ other: Block, _ column: Int) -> Double {
        1e-12 * (squaredNorms[row] + other.squaredNorms[column])
    }
}
