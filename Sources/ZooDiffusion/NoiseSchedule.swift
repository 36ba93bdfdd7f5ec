import Foundation
import ZooCore

/// How much noise each of the training steps adds: `betas`, in float64.
///
/// Source: `diffusion/gaussian_diffusion.py` of facebookresearch/DiT (the arithmetic of arXiv 2006.11239 and 2102.09672).
public struct NoiseSchedule: Sendable, Equatable {
    /// One value in 0..<1 per training step, the least noisy step first.
    public let betas: [Double]

    /// Equally spaced values from 0.0001 to 0.02, scaled so that any number of steps ends equally noisy.
    ///
    /// - Throws: `ZooError` of kind `usage` for a number of steps out of 21...100 000 (a beta above 1 otherwise).
    public static func linear(steps: Int = 1000) throws(ZooError) -> NoiseSchedule {
        guard (21...100_000).contains(steps) else {
            throw ZooError(
                .usage, "a linear noise schedule of this length does not exist", expected: "21...100000 steps",
                found: "\(steps)")
        }
        let scale = 1000 / Double(steps)
        let (first, last) = (scale * 0.0001, scale * 0.02)
        let step = (last - first) / Double(steps - 1)
        return NoiseSchedule(betas: (0..<steps).map { $0 == steps - 1 ? last : first + Double($0) * step })
    }

    /// The cosine schedule of arXiv 2102.09672, betas capped at 0.999.
    ///
    /// - Throws: `ZooError` of kind `usage` for a number of steps out of 1...100 000.
    public static func cosine(steps: Int = 1000) throws(ZooError) -> NoiseSchedule {
        guard (1...100_000).contains(steps) else {
            throw ZooError(
                .usage, "a noise schedule of this length does not exist", expected: "1...100000 steps",
                found: "\(steps)")
        }
        func kept(_ u: Double) -> Double { pow(cos((u + 0.008) / 1.008 * .pi / 2), 2) }
        return NoiseSchedule(
            betas: (0..<steps).map { step in
                let (from, to) = (Double(step) / Double(steps), Double(step + 1) / Double(steps))
                return min(1 - kept(to) / kept(from), 0.999)
            })
    }

    private init(betas: [Double]) { self.betas = betas }
}
