import Foundation
import ZooCore

/// The normal distribution of latents that images are encoded to, its variances apart for every value.
public struct LatentDistribution: Sendable {
    /// [batch, height, width, C]; the most likely latents too, which the official code calls the mode.
    public let mean: Tensor
    /// The logarithms of the variances, within -30...20; shaped as the mean.
    public let logVariance: Tensor

    /// - Parameter moments: what an autoencoder's encoder gives, [batch, height, width, 2 C]: means, then logarithms of
    ///   variances.
    /// - Throws: `ZooError` of kind `usage` for another shape.
    public init(moments: Tensor) throws(ZooError) {
        guard moments.shape.count == 4, moments.shape[3] > 0, moments.shape[3].isMultiple(of: 2) else {
            throw ZooError(
                .usage, "moments have the wrong shape", expected: "[batch, height, width, 2 C]",
                found: "\(moments.shape)")
        }
        let channels = moments.shape[3] / 2
        let shape = moments.shape.dropLast() + [channels]
        func half(_ isVariance: Bool) -> [Float] {
            moments.values.indices.filter { $0 / channels % 2 == (isVariance ? 1 : 0) }.map { moments.values[$0] }
        }
        mean = Tensor(shape: Array(shape), values: half(false))
        logVariance = Tensor(shape: Array(shape), values: half(true).map { min(max($0, -30), 20) })
    }

    /// exp(log variance / 2), shaped as the mean.
    public var standardDeviation: Tensor {
        Tensor(shape: mean.shape, values: logVariance.values.map { exp(0.5 * $0) })
    }

    /// mean + standard deviation * noise: latents that a diffusion model takes multiplied with its scaling factor.
    ///
    /// - Parameter noise: standard normal numbers, shaped as the mean.
    /// - Throws: `ZooError` of kind `usage` for noise of another shape.
    public func sample(noise: Tensor) throws(ZooError) -> Tensor {
        guard noise.shape == mean.shape else {
            throw ZooError(
                .usage, "noise has the wrong shape", expected: "\(mean.shape)", found: "\(noise.shape)")
        }
        let deviations = standardDeviation.values
        return Tensor(
            shape: mean.shape,
            values: mean.values.indices.map { mean.values[$0] + deviations[$0] * noise.values[$0] })
    }
}
