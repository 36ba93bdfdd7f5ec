import Foundation
import TestSupport
import Testing
import ZooCore
import ZooDiffusion

/// The tables and the choice of steps against the official code.
@Suite struct ScheduleTests {
    @Test(arguments: ["full", "250", "10", "ddim10", "ddim50"])
    func fidelityOfTables(respacing: String) throws {
        let file = try golden("tables")
        let process = try GaussianDiffusion(schedule: .linear(), respacing: respacing == "full" ? "" : respacing)
        #expect(process.timesteps == (try file.int64s(of: "\(respacing).timesteps")).map(Int.init))
        let tables = process.tables
        let own: [String: [Double]] = [
            "betas": tables.betas, "alphas_cumprod": tables.alphasCumprod,
            "alphas_cumprod_prev": tables.alphasCumprodPrev, "alphas_cumprod_next": tables.alphasCumprodNext,
            "sqrt_alphas_cumprod": tables.sqrtAlphasCumprod,
            "sqrt_one_minus_alphas_cumprod": tables.sqrtOneMinusAlphasCumprod,
            "log_one_minus_alphas_cumprod": tables.logOneMinusAlphasCumprod,
            "sqrt_recip_alphas_cumprod": tables.sqrtRecipAlphasCumprod,
            "sqrt_recipm1_alphas_cumprod": tables.sqrtRecipm1AlphasCumprod,
            "posterior_variance": tables.posteriorVariance,
            "posterior_log_variance_clipped": tables.posteriorLogVarianceClipped,
            "posterior_mean_coef1": tables.posteriorMeanCoef1, "posterior_mean_coef2": tables.posteriorMeanCoef2,
        ]
        for (name, values) in own {
            let expected = try file.float64s(of: "\(respacing).\(name)")
            try #require(values.count == expected.count)
            for (value, wanted) in zip(values, expected) {
                #expect(abs(value - wanted) <= 1e-12 * max(abs(wanted), 1e-300), "\(respacing) \(name)")
            }
        }
    }

    @Test func fidelityOfOtherSchedules() throws {
        let file = try golden("other-schedules")
        for (name, schedule) in [("cos1000", try NoiseSchedule.cosine()), ("linear50", try .linear(steps: 50))] {
            for (value, wanted) in zip(schedule.betas, try file.float64s(of: name)) {
                #expect(abs(value - wanted) <= 1e-12 * wanted, "\(name)")
            }
        }
    }

    @Test func fidelityOfRespacing() throws {
        let cases = try Fixtures.json(Fixtures.path("diffusion/respacing.json"))
        try #require(cases.count > 10)
        for (name, expected) in cases {
            let parts = name.split(separator: "|", omittingEmptySubsequences: false)
            let total = try #require(Int(parts[0]))
            switch expected {
            case let list as [Int]:
                #expect(try Respacing(String(parts[1]), of: total).timesteps == list, "\(name)")
            case let summary as [String: Any]:
                let missing = try #require(summary["missing"] as? [Int])
                let chosen = try Respacing(String(parts[1]), of: total).timesteps
                #expect(chosen == (0..<total).filter { !missing.contains($0) }, "\(name)")
            default:
                #expect(throws: ZooError.self, "\(name)") { try Respacing(String(parts[1]), of: total) }
            }
        }
    }

    @Test(arguments: ["1", "0", "ddim0", "ddim7777", "x", "-3", "10,,5", "ddim", "1e3", "500,600", " 10"])
    func rejectsRespacingsThatDoNotExist(text: String) throws {
        let error = #expect(throws: ZooError.self) { try GaussianDiffusion(schedule: .linear(), respacing: text) }
        #expect(error?.kind == .usage)
    }

    @Test(arguments: [0, 20, -1, 1_000_000]) func rejectsScheduleLengths(steps: Int) {
        #expect(throws: ZooError.self) { try NoiseSchedule.linear(steps: steps) }
    }
}
