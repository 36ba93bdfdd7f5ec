import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooMetrics

/// The metrics against the published implementations, on given features.
@Suite struct GoldenMetricTests {
    private let arrays: SafetensorsFile
    private let values: [String: Any]

    init() throws {
        arrays = try SafetensorsFile(path: Fixtures.path("metrics/metrics.case.safetensors"))
        values = try Fixtures.json(Fixtures.path("metrics/metrics.json"))
    }

    private func features(_ name: String) throws -> FeatureMatrix {
        try FeatureMatrix(arrays.tensor(name), name: name)
    }

    private func value(_ path: String...) throws -> Double {
        var current: Any? = values
        for key in path { current = (current as? [String: Any])?[key] }
        return try #require((current as? NSNumber)?.doubleValue, "\(path)")
    }

    /// 1e-6 relative, and what rounding leaves of a distance of 0.
    private func isClose(_ found: Double, _ expected: Double, _ tolerance: Double = 1e-6) -> Bool {
        abs(found - expected) <= tolerance * abs(expected) + 1e-11
    }

    @Test(arguments: ["plain", "fewer-than-dims", "same", "const", "large-shift"])
    func fidelityOfTheFrechetDistance(name: String) throws {
        let a = try GaussianStatistics(of: features("fid.\(name).a"))
        let b = try GaussianStatistics(of: features("fid.\(name).b"))
        for (own, side) in [(a, "a"), (b, "b")] {
            for (found, expected) in zip(own.mean, try arrays.float64s(of: "fid.\(name).mu_\(side)")) {
                #expect(abs(found - expected) < 1e-6)
            }
            for (found, expected) in zip(own.covariance, try arrays.float64s(of: "fid.\(name).sigma_\(side)")) {
                #expect(abs(found - expected) < 1e-5)
            }
        }
        let found = try frechetDistance(a, b)
        for form in ["symmetric eigenvalue form, float64", "scipy_sqrtm (pytorch-fid, ADM, clean-fid)"] {
            let expected = try value("fid", name, "features as float64", form)
            #expect(isClose(found, expected), "\(found), \(form) \(expected)")
        }
        #expect(isClose(found, try frechetDistance(b, a), 1e-7), "the distance is symmetric")
    }

    @Test(arguments: ["p", "q"])
    func fidelityOfTheInceptionScore(name: String) throws {
        let logits = try features("isc.\(name).logits")
        func check(_ splits: InceptionSplits, _ expected: Double, deviation: Double? = nil) throws {
            let score = try InceptionScore(logits: logits, splits: splits)
            #expect(isClose(score.mean, expected, 1e-5), "\(splits): \(score.mean), expected \(expected)")
            if let deviation { #expect(isClose(score.deviation, deviation, 1e-5), "\(splits)") }
        }
        try check(.adm, value("isc", name, "adm split_size 5000 (float32)"))
        try check(.chunks(of: 64), value("isc", name, "adm split_size 64 (float32)"))
        for (parts, seed, key) in [
            (1, nil, "torch-fidelity splits 1, no shuffle"), (10, nil, "torch-fidelity splits 10, no shuffle"),
            (10, 2020, "torch-fidelity splits 10, shuffled by perm2020"),
        ] as [(Int, UInt32?, String)] {
            try check(
                .parts(parts, shuffleSeed: seed), value("isc", name, key, "inception_score_mean"),
                deviation: value("isc", name, key, "inception_score_std"))
        }
    }

    @Test(arguments: [("p", 200), ("q", 333)])
    func fidelityOfNumpyShuffles(name: String, count: Int) throws {
        var generator = NumpyRandomState(seed: 2020)
        let expected = try arrays.int64s(of: "isc.\(name).perm2020").map(Int.init)
        #expect(generator.permutation(count) == expected)
    }

    @Test(arguments: [("p", 3), ("p", 5), ("wide", 3), ("dups", 3), ("far", 3)])
    func fidelityOfPrecisionAndRecall(name: String, neighbours: Int) throws {
        let (reference, samples) = (try features("pr.\(name).ref"), try features("pr.\(name).gen"))
        let found = try PrecisionRecall(reference: reference, samples: samples, neighbours: neighbours)
        let key = neighbours == 3 ? "adm k=3 (float64)" : "adm k=5 (float64)"
        // Shares of at most 70 images, so equal; JSON numbers come with an error in their last bit.
        #expect(isClose(found.precision, try value("precision_recall", name, key, "precision"), 1e-12))
        #expect(isClose(found.recall, try value("precision_recall", name, key, "recall"), 1e-12))
        for (set, side) in [(reference, "ref"), (samples, "gen")] {
            let radii = try PrecisionRecall.squaredRadii(set, neighbours: neighbours)
            for (found, expected) in zip(radii, try arrays.float64s(of: "pr.\(name).k\(neighbours).radii_\(side)")) {
                #expect(abs(found - expected) <= 1e-5 * max(expected, 1), "\(side)")
            }
        }
    }

    @Test func fidelityOfTheKernelDistance() throws {
        let count = Int(try value("kid", "p", "n"))
        func rows(_ name: String) throws -> [Double] { try Array(arrays.float64s(of: name)[..<(count * 16)]) }
        let found = KernelDistance.discrepancy(try rows("kid.p.a"), try rows("kid.p.b"), dimensions: 16)
        let expected = try value(
            "kid", "p", "unbiased mmd2 on the first n rows of each (one subset holding everything), float64")
        #expect(isClose(found, expected, 1e-9), "\(found), expected \(expected)")
    }

    /// By numpy in float64: 40 subsets of 30 rows from `RandomState(2020)`, each drawn with `choice(replace=False)` from
    /// the samples and then from the reference, the mean and `np.std` of their estimates.
    @Test(arguments: [
        ("kid.p.a", "kid.p.b", 0.17846988470853162, 0.11500970390574274),
        ("kid.p.b", "kid.p.a", 0.19249828427835944, 0.12854834236585255),
    ])
    func fidelityOfTheKernelDistanceOverSubsets(
        reference: String, samples: String, mean: Double, deviation: Double
    ) throws {
        let (reference, samples) = (try features(reference), try features(samples))
        let found = try KernelDistance(reference: reference, samples: samples, subsets: 40, subsetSize: 30)
        #expect(isClose(found.mean, mean, 1e-9) && isClose(found.deviation, deviation, 1e-9), "\(found)")
        let other = try KernelDistance(reference: reference, samples: samples, subsets: 40, subsetSize: 30, seed: 1)
        #expect(other.mean != found.mean)
    }
}
