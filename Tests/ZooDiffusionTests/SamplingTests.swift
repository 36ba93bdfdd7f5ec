import Foundation
import TestSupport
import Testing
import ZooCore
import ZooDiffusion

/// Whole sampling runs, single steps and losses against the official code, on its analytic network.
@Suite struct SamplingTests {
    static let runs = [
        "ddim10", "ddim10-clip", "ddim10-eta0.5", "ddim-on-10", "ddpm10", "ddpm10-clip", "ddpm10-fixedlarge",
        "ddpm10-fixedsmall",
    ]

    @Test(arguments: runs) func fidelityOfRuns(name: String) throws {
        let file = try golden("sampling")
        let json = try Fixtures.json(Fixtures.path("diffusion/sampling.json"))
        let run = try #require((json["runs"] as? [String: [String: Any]])?[name])
        let floors = try #require((json["noise_floor_fp32_vs_fp64"] as? [String: [String: [String: Any]]])?[name])
        let learned = run["learn_sigma"] as? Bool ?? true
        let process = try GaussianDiffusion(
            schedule: .linear(), respacing: try #require(run["timestep_respacing"] as? String),
            variance: learned ? .learnedRange : run["sigma_small"] as? Bool == true ? .fixedSmall : .fixedLarge)
        let expected = (
            samples: try file.tensor("\(name).samples"), starts: try file.tensor("\(name).pred_xstart")
        )
        let noise = try file.tensor("noise")
        let size = noise.count / 10
        var draws = 0
        var steps = 0
        let eta = try #require(run["eta"] as? Double)
        _ = try process.sample(
            run["sampler"] as? String == "ddim" ? .ddim(eta: Float(eta)) : .ddpm, from: try file.tensor("z"),
            clipped: try #require(run["clip_denoised"] as? Bool),
            noise: { shape in
                defer { draws += 1 }
                return Tensor(shape: shape, values: Array(noise.values[draws * size..<(draws + 1) * size]))
            },
            network: { samples, timestep in
                let image = samples.count / samples.shape[0]
                let values = (0..<samples.shape[0]).flatMap { index in
                    analyticNetwork(
                        samples.values[index * image..<(index + 1) * image], at: timestep, withVariance: learned)
                }
                var shape = samples.shape
                shape[1] *= learned ? 2 : 1
                return Tensor(shape: shape, values: values)
            },
            step: { index, samples, starts in
                let range = (9 - index) * size..<(10 - index) * size
                for (own, golden, floor) in [
                    (samples, expected.samples, "samples"), (starts, expected.starts, "pred_xstart"),
                ] {
                    let bound = 4 * (try #require(floors[floor]?["max_abs_diff"] as? Double))
                    let distance = largestDistance(own.values, golden.values[range])
                    #expect(distance <= bound, "\(name) \(floor) at \(index): \(distance) against \(bound)")
                }
                steps += 1
            })
        #expect(draws == 10 && steps == 10)
    }

    /// The unspaced process, six samples at their own steps.
    @Test func fidelityOfStepsAndLosses() throws {
        let file = try golden("steps-and-losses")
        let json = try Fixtures.json(Fixtures.path("diffusion/steps-and-losses.json"))
        let floors = try #require(json["noise_floor_fp32_vs_fp64"] as? [String: [String: Any]])
        let process = try GaussianDiffusion(schedule: .linear())
        let large = try GaussianDiffusion(schedule: .linear(), variance: .fixedLarge)
        let small = try GaussianDiffusion(schedule: .linear(), variance: .fixedSmall)
        let direct = try GaussianDiffusion(schedule: .linear(), prediction: .start)
        let (starts, noises) = (try file.tensor("x0"), try file.tensor("noise"))
        let size = starts.count / 6
        var own: [String: [Float]] = [:]
        for (index, t) in try file.int64s(of: "t").enumerated() {
            let step = Int(t)
            let start = Array(starts.values[index * size..<(index + 1) * size])
            let noise = Array(noises.values[index * size..<(index + 1) * size])
            let sample = process.noised(start, with: noise, at: step)
            let output = analyticNetwork(sample[...], at: step)
            func add(_ name: String, _ values: [Float]) { own[name, default: []] += values }
            func fill(_ value: Double) -> [Float] { [Float](repeating: Float(value), count: size) }
            add("q_sample", sample)
            add("q_mean", start.map { Float(process.tables.sqrtAlphasCumprod[step]) * $0 })
            add("q_var", fill(1 - process.tables.alphasCumprod[step]))
            add("q_logvar", fill(process.tables.logOneMinusAlphasCumprod[step]))
            add("post_mean", process.posteriorMean(start: start, sample: sample, at: step))
            add("post_var", fill(process.tables.posteriorVariance[step]))
            add("post_logvar", fill(process.tables.posteriorLogVarianceClipped[step]))
            add("eps_from_xstart", process.epsilon(sample: sample, start: start, at: step))
            for (suffix, clipped) in [("clip0", false), ("clip1", true)] {
                let back = process.stepBack(from: sample, output: output[...], at: step, clipped: clipped)
                add("p_mean.\(suffix)", back.mean)
                add("p_variance.\(suffix)", back.variance)
                add("p_log_variance.\(suffix)", back.logVariance)
                add("p_pred_xstart.\(suffix)", back.start)
            }
            for (suffix, fixed) in [("fixed_large", large), ("fixed_small", small)] {
                let back = fixed.stepBack(from: sample, output: output.prefix(size), at: step, clipped: false)
                add("p_mean.\(suffix)", back.mean)
                add("p_log_variance.\(suffix)", back.logVariance)
                let loss = fixed.loss(.squaredError, start: start, noise: noise, output: output.prefix(size), at: step)
                add("loss.\(suffix).loss", [loss.total])
                add("loss.\(suffix).mse", [try #require(loss.meanSquaredError)])
            }
            let back = process.stepBack(from: sample, output: output[...], at: step, clipped: false)
            add("ddim_reverse", process.reverseStep(back, sample: sample, at: step))
            add("vb", [process.variationalBound(start: start, sample: sample, output: output[...], at: step)])
            add("prior_bpd", [process.priorBound(start: start)])
            for (kind, loss) in [
                ("mse", process.loss(.squaredError, start: start, noise: noise, output: output[...], at: step)),
                (
                    "rescaled_mse",
                    process.loss(.rescaledSquaredError, start: start, noise: noise, output: output[...], at: step)
                ),
                ("kl", process.loss(.rescaledVariational, start: start, noise: noise, output: output[...], at: step)),
                ("xstart", direct.loss(.squaredError, start: start, noise: noise, output: output[...], at: step)),
            ] {
                add("loss.\(kind).loss", [loss.total])
                if let error = loss.meanSquaredError { add("loss.\(kind).mse", [error]) }
                if let bound = loss.variational { add("loss.\(kind).vb", [bound]) }
            }
        }
        let expected = file.names.filter { !["t", "x0", "noise"].contains($0) }
        #expect(Set(expected) == Set(own.keys))
        for name in expected {
            let reference = try file.tensor(name)
            // A value that is exact in float64 and merely rounded has no floor recorded; half an ulp stands for it.
            let scale = reference.values.reduce(0) { max($0, abs(Double($1))) }
            let floor = floors[name]?["max_abs_diff"] as? Double ?? 0
            let distance = largestDistance(own[name] ?? [], reference.values)
            #expect(distance <= max(4 * floor, 1.2e-7 * scale), "\(name): \(distance), floor \(floor)")
        }
    }
}
