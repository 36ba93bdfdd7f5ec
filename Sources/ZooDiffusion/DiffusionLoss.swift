import Foundation

/// What a network is trained on, for one sample; also the bits per dimension of its likelihood bound.
///
/// Source: `training_losses`, `_vb_terms_bpd` and `diffusion_utils.py` of facebookresearch/DiT.
public struct DiffusionLoss: Sendable {
    /// Which terms make the loss.
    public enum Kind: Sendable {
        /// Squared error, plus the variational term where the variance is learned.
        case squaredError
        /// The same with the variational term scaled by steps / 1000.
        case rescaledSquaredError
        /// The variational term alone, times the number of steps.
        case rescaledVariational
    }

    /// Mean squared error of the predicted noise (or x_0); absent from a purely variational loss.
    public var meanSquaredError: Float?
    /// The variational term, bits per dimension; absent where it is not part of the loss.
    public var variational: Float?
    public var total: Float
}

extension GaussianDiffusion {
    /// The loss of one sample.
    ///
    /// - Parameters:
    ///   - start: x_0; `noise`: what was added to it; `output`: the network's answer to `noised(start, with: noise)`.
    public func loss(
        _ kind: DiffusionLoss.Kind, start: [Float], noise: [Float], output: ArraySlice<Float>, at step: Int
    ) -> DiffusionLoss {
        let sample = noised(start, with: noise, at: step)
        if kind == .rescaledVariational {
            let bound = variationalBound(start: start, sample: sample, output: output, at: step)
            return DiffusionLoss(variational: nil, total: bound * Float(steps))
        }
        let target = prediction == .start ? start : noise
        let error = Self.mean(zip(target, output).map { ($0 - $1) * ($0 - $1) })
        guard variance == .learnedRange else { return DiffusionLoss(meanSquaredError: error, total: error) }
        let scale = kind == .rescaledSquaredError ? Float(steps) / 1000 : 1
        let bound = scale * variationalBound(start: start, sample: sample, output: output, at: step)
        return DiffusionLoss(meanSquaredError: error, variational: bound, total: error + bound)
    }

    /// One term of the variational bound, bits per dimension: the KL divergence of the step back from the true
    /// posterior, or at step 0 the negative log-likelihood of the 8-bit data.
    public func variationalBound(start: [Float], sample: [Float], output: ArraySlice<Float>, at step: Int) -> Float {
        let back = stepBack(from: sample, output: output, at: step, clipped: false)
        let terms: [Float]
        if step == 0 {
            terms = start.indices.map {
                -Self.discretizedLogLikelihood(start[$0], mean: back.mean[$0], logScale: 0.5 * back.logVariance[$0])
            }
        } else {
            let mean = posteriorMean(start: start, sample: sample, at: step)
            let logVariance = Float(tables.posteriorLogVarianceClipped[step])
            terms = mean.indices.map { i in
                Self.divergence(mean[i], logVariance, back.mean[i], back.logVariance[i])
            }
        }
        return Self.mean(terms) / Float(log(2.0))
    }

    /// KL divergence of q(x_T | x_0) from the standard normal distribution, bits per dimension.
    public func priorBound(start: [Float]) -> Float {
        let last = steps - 1
        let (keep, logVariance) = (
            Float(tables.sqrtAlphasCumprod[last]), Float(tables.logOneMinusAlphasCumprod[last])
        )
        return Self.mean(start.map { Self.divergence(keep * $0, logVariance, 0, 0) }) / Float(log(2.0))
    }

    static func mean(_ values: [Float]) -> Float {
        Float(values.reduce(0.0) { $0 + Double($1) } / Double(max(values.count, 1)))
    }

    /// KL divergence of one normal distribution from another, nats.
    private static func divergence(_ mean1: Float, _ log1: Float, _ mean2: Float, _ log2: Float) -> Float {
        0.5 * (-1 + log2 - log1 + exp(log1 - log2) + (mean1 - mean2) * (mean1 - mean2) * exp(-log2))
    }

    /// Log-probability of an 8-bit value scaled to -1...1 under a normal distribution.
    private static func discretizedLogLikelihood(_ x: Float, mean: Float, logScale: Float) -> Float {
        func distribution(_ z: Float) -> Float {
            0.5 * (1 + tanh(Float((2 / Double.pi).squareRoot()) * (z + 0.044715 * z * z * z)))
        }
        let (centred, sharpness) = (x - mean, exp(-logScale))
        let above = distribution(sharpness * (centred + 1 / 255))
        let below = distribution(sharpness * (centred - 1 / 255))
        let probability = x < -0.999 ? above : x > 0.999 ? 1 - below : above - below
        return log(max(probability, 1e-12))
    }
}

/// What a student is to learn from a frozen teacher that sees the same sample, timestep and condition, for one sample;
/// it is added to the student's own loss.
///
/// Source: "LiT: Delving into a Simple Linear Diffusion Transformer", arXiv 2501.12976, section on hybrid distillation.
public struct DistillationLoss: Sendable {
    /// Mean squared difference of the predicted noise.
    public let noise: Float
    /// Mean squared difference of the raw variance channels.
    public let variance: Float

    /// - Parameters:
    ///   - student, teacher: the networks' answers, the noise channels before as many variance channels.
    public init(student: ArraySlice<Float>, teacher: ArraySlice<Float>) {
        let half = student.count / 2
        func distance(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Float {
            GaussianDiffusion.mean(zip(a, b).map { ($0 - $1) * ($0 - $1) })
        }
        noise = distance(student.prefix(half), teacher.prefix(half))
        variance = distance(student.dropFirst(half), teacher.dropFirst(half))
    }

    /// The sum with the weights of the class-conditional models, unless told otherwise.
    public func weighted(noise noiseWeight: Float = 0.5, variance varianceWeight: Float = 0.05) -> Float {
        noiseWeight * noise + varianceWeight * variance
    }
}
