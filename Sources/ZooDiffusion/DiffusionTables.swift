import Foundation

/// What the steps of a process need of its betas, in float64; a step rounds the value it uses to float32.
///
/// Index 0 is the least noisy step. Names as in the official code.
public struct DiffusionTables: Sendable {
    public let betas: [Double]
    /// The running product of `1 - beta`.
    public let alphasCumprod: [Double]
    /// The same of the step before; 1 before the first.
    public let alphasCumprodPrev: [Double]
    /// The same of the step after; 0 after the last.
    public let alphasCumprodNext: [Double]
    public let sqrtAlphasCumprod: [Double]
    public let sqrtOneMinusAlphasCumprod: [Double]
    public let logOneMinusAlphasCumprod: [Double]
    public let sqrtRecipAlphasCumprod: [Double]
    public let sqrtRecipm1AlphasCumprod: [Double]
    /// Variance of q(x_{t-1} | x_t, x_0); exactly 0 at index 0.
    public let posteriorVariance: [Double]
    /// Its logarithm, with the infinite first value replaced by the second.
    public let posteriorLogVarianceClipped: [Double]
    /// Weight of x_0 in the mean of q(x_{t-1} | x_t, x_0).
    public let posteriorMeanCoef1: [Double]
    /// Weight of x_t in it.
    public let posteriorMeanCoef2: [Double]
    /// log(beta), for the learned range of variances.
    public let logBetas: [Double]

    /// - Precondition: at least two betas, each in 0..<1.
    package init(betas: [Double]) {
        precondition(betas.count > 1)
        self.betas = betas
        var product = 1.0
        let cumulative = betas.map { beta in
            product *= 1 - beta
            return product
        }
        let previous = [1] + cumulative.dropLast()
        let steps = betas.indices
        let variance = steps.map { betas[$0] * (1 - previous[$0]) / (1 - cumulative[$0]) }
        alphasCumprod = cumulative
        alphasCumprodPrev = previous
        alphasCumprodNext = cumulative.dropFirst() + [0]
        sqrtAlphasCumprod = cumulative.map { $0.squareRoot() }
        sqrtOneMinusAlphasCumprod = cumulative.map { (1 - $0).squareRoot() }
        logOneMinusAlphasCumprod = cumulative.map { log(1 - $0) }
        sqrtRecipAlphasCumprod = cumulative.map { (1 / $0).squareRoot() }
        sqrtRecipm1AlphasCumprod = cumulative.map { (1 / $0 - 1).squareRoot() }
        posteriorVariance = variance
        posteriorLogVarianceClipped = steps.map { log(variance[max($0, 1)]) }
        posteriorMeanCoef1 = steps.map { betas[$0] * previous[$0].squareRoot() / (1 - cumulative[$0]) }
        posteriorMeanCoef2 = steps.map { (1 - previous[$0]) * (1 - betas[$0]).squareRoot() / (1 - cumulative[$0]) }
        logBetas = betas.map { log($0) }
    }
}
