import Foundation
import ZooCore

/// The process of a diffusion model: the forward noising, and what a network's output says about the step back.
///
/// Everything here works on flat float32 arrays of one sample each, with one step index for all of their elements. The
/// tables are float64; a value is rounded to float32 where it is used, as in the official code.
///
/// Source: `diffusion/gaussian_diffusion.py` and `respace.py` of facebookresearch/DiT.
public struct GaussianDiffusion: Sendable {
    /// How the variance of a step back is found.
    public enum Variance: Sendable {
        /// The network's second half of the channels interpolates, in the logarithm, between the two bounds.
        case learnedRange
        /// The upper bound, beta.
        case fixedLarge
        /// The lower bound, the posterior's variance.
        case fixedSmall
    }

    /// What the network's first channels are.
    public enum Prediction: Sendable {
        case epsilon, start
    }

    /// p(x_{t-1} | x_t), and the clean sample that it rests on.
    public struct StepBack: Sendable {
        public var mean: [Float]
        public var variance: [Float]
        public var logVariance: [Float]
        /// The predicted x_0.
        public var start: [Float]
    }

    /// The training step of every index: what the network is told.
    public let timesteps: [Int]
    /// Of the respaced process.
    public let tables: DiffusionTables
    public let variance: Variance
    public let prediction: Prediction

    /// - Parameters:
    ///   - schedule: of the training process.
    ///   - respacing: see `Respacing`.
    /// - Throws: `ZooError` of kind `usage` for a respacing that does not exist or has a single step.
    public init(
        schedule: NoiseSchedule, respacing: String = "", variance: Variance = .learnedRange,
        prediction: Prediction = .epsilon
    ) throws(ZooError) {
        timesteps = try Respacing(respacing, of: schedule.betas.count).timesteps
        guard timesteps.count > 1 else {
            throw ZooError(
                .usage, "so short a process has no posterior variance", expected: "at least 2 steps",
                found: "\(timesteps.count)")
        }
        // The kept steps keep their cumulative products.
        var (last, product) = (1.0, 1.0)
        var betas: [Double] = []
        var kept = timesteps.makeIterator()
        var next = kept.next()
        for (step, beta) in schedule.betas.enumerated() {
            product *= 1 - beta
            guard step == next else { continue }
            betas.append(1 - product / last)
            last = product
            next = kept.next()
        }
        tables = DiffusionTables(betas: timesteps.count == schedule.betas.count ? schedule.betas : betas)
        self.variance = variance
        self.prediction = prediction
    }

    /// The number of steps.
    public var steps: Int { timesteps.count }

    // MARK: Forward

    /// x_t = sqrt(A_t) x_0 + sqrt(1 - A_t) noise
    public func noised(_ start: [Float], with noise: [Float], at step: Int) -> [Float] {
        let (keep, add) = (Float(tables.sqrtAlphasCumprod[step]), Float(tables.sqrtOneMinusAlphasCumprod[step]))
        return zip(start, noise).map { keep * $0 + add * $1 }
    }

    /// Mean of q(x_{t-1} | x_t, x_0); its variance is `tables.posteriorVariance`.
    public func posteriorMean(start: [Float], sample: [Float], at step: Int) -> [Float] {
        let (a, b) = (Float(tables.posteriorMeanCoef1[step]), Float(tables.posteriorMeanCoef2[step]))
        return zip(start, sample).map { a * $0 + b * $1 }
    }

    // MARK: Back

    /// What the network's output says about the step back from `sample`.
    ///
    /// - Parameters:
    ///   - output: the network's answer for this sample: as many values as the sample has, and as many again for the
    ///     variance where it is learned.
    ///   - clipped: whether the predicted x_0 is clamped to -1...1.
    public func stepBack(from sample: [Float], output: ArraySlice<Float>, at step: Int, clipped: Bool) -> StepBack {
        let count = sample.count
        let first = output.prefix(count)
        let logVariance = logVariance(output.dropFirst(count), count: count, at: step)
        var start = prediction == .start ? Array(first) : predictedStart(sample, epsilon: first, at: step)
        if clipped { for i in start.indices { start[i] = min(max(start[i], -1), 1) } }
        return StepBack(
            mean: posteriorMean(start: start, sample: sample, at: step), variance: logVariance.map { exp($0) },
            logVariance: logVariance, start: start)
    }

    private func predictedStart(_ sample: [Float], epsilon: ArraySlice<Float>, at step: Int) -> [Float] {
        let (a, b) = (Float(tables.sqrtRecipAlphasCumprod[step]), Float(tables.sqrtRecipm1AlphasCumprod[step]))
        return zip(sample, epsilon).map { a * $0 - b * $1 }
    }

    /// The noise that leads from `start` to `sample`.
    public func epsilon(sample: [Float], start: [Float], at step: Int) -> [Float] {
        let (a, b) = (Float(tables.sqrtRecipAlphasCumprod[step]), Float(tables.sqrtRecipm1AlphasCumprod[step]))
        return zip(sample, start).map { (a * $0 - $1) / b }
    }

    private func logVariance(_ output: ArraySlice<Float>, count: Int, at step: Int) -> [Float] {
        let low = Float(tables.posteriorLogVarianceClipped[step])
        switch variance {
        case .learnedRange:
            let high = Float(tables.logBetas[step])
            return output.prefix(count).map { value in
                let fraction = (value + 1) / 2
                return fraction * high + (1 - fraction) * low
            }
        case .fixedLarge:
            let value = step == 0 ? log(tables.posteriorVariance[1]) : tables.logBetas[step]
            return [Float](repeating: Float(value), count: count)
        case .fixedSmall:
            return [Float](repeating: low, count: count)
        }
    }

    /// DDPM: x_{t-1} drawn from p(x_{t-1} | x_t).
    ///
    /// - Parameter noise: standard normal; not used at step 0.
    public func ancestralStep(_ back: StepBack, noise: [Float], at step: Int) -> [Float] {
        guard step > 0 else { return back.mean }
        return back.mean.indices.map { back.mean[$0] + exp(0.5 * back.logVariance[$0]) * noise[$0] }
    }

    /// DDIM (arXiv 2010.02502): x_{t-1} from the predicted x_0 and the noise that it implies.
    ///
    /// - Parameters:
    ///   - eta: 0 for the deterministic sampler, 1 for as much noise as DDPM has.
    ///   - noise: standard normal; used where eta is not 0 and the step is not 0.
    public func implicitStep(
        _ back: StepBack, sample: [Float], eta: Float, noise: [Float], at step: Int
    ) -> [Float] {
        let implied = epsilon(sample: sample, start: back.start, at: step)
        let (now, before) = (Float(tables.alphasCumprod[step]), Float(tables.alphasCumprodPrev[step]))
        let sigma = eta * ((1 - before) / (1 - now)).squareRoot() * (1 - now / before).squareRoot()
        let (keep, turn) = (before.squareRoot(), (1 - before - sigma * sigma).squareRoot())
        return back.start.indices.map { i in
            let mean = back.start[i] * keep + turn * implied[i]
            return step > 0 && sigma != 0 ? mean + sigma * noise[i] : mean
        }
    }

    /// The deterministic step of DDIM towards more noise: x_{t+1}.
    public func reverseStep(_ back: StepBack, sample: [Float], at step: Int) -> [Float] {
        let implied = epsilon(sample: sample, start: back.start, at: step)
        let next = Float(tables.alphasCumprodNext[step])
        let (keep, turn) = (next.squareRoot(), (1 - next).squareRoot())
        return back.start.indices.map { back.start[$0] * keep + turn * implied[$0] }
    }
}
