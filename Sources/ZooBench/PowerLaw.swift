import Foundation

/// How a quantity grows: `y = factor * x^exponent`, fitted by least squares of the logarithms.
public struct PowerLaw: Sendable, Equatable {
    public let exponent: Double
    public let factor: Double

    /// - Returns: `nil` for fewer than two different positive x.
    public init?(fitting points: [(x: Double, y: Double)]) {
        let logs = points.filter { $0.x > 0 && $0.y > 0 }.map { (x: log($0.x), y: log($0.y)) }
        guard !logs.isEmpty else { return nil }
        let meanX = logs.reduce(0) { $0 + $1.x } / Double(logs.count)
        let meanY = logs.reduce(0) { $0 + $1.y } / Double(logs.count)
        let spread = logs.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
        guard spread > 0 else { return nil }
        exponent = logs.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread
        factor = exp(meanY - exponent * meanX)
    }
}
