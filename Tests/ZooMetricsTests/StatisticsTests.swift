import Testing
import ZooCore
import ZooMetrics

@Suite struct StatisticsTests {
    private func matrix(rows: Int, dimensions: Int, around mean: Float = 0) throws -> FeatureMatrix {
        var state: UInt64 = 1
        var features = FeatureMatrix(dimensions: dimensions)
        try features.append(
            (0..<rows * dimensions).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return mean + Float(state >> 40) / Float(1 << 24)
            })
        return features
    }

    @Test func fidelityWhereTheMeanIsFarAboveTheDeviation() throws {
        let features = try matrix(rows: 700, dimensions: 3, around: 1000)
        let found = try GaussianStatistics(of: features)
        for a in 0..<3 {
            let mean = (0..<700).reduce(0.0) { $0 + Double(features.values[$1 * 3 + a]) } / 700
            #expect(abs(found.mean[a] - mean) < 1e-10)
            for b in 0..<3 {
                let other = (0..<700).reduce(0.0) { $0 + Double(features.values[$1 * 3 + b]) } / 700
                let expected =
                    (0..<700).reduce(0.0) {
                        $0 + (Double(features.values[$1 * 3 + a]) - mean)
                            * (Double(features.values[$1 * 3 + b]) - other)
                    } / 699
                #expect(abs(found.covariance[a * 3 + b] - expected) < 1e-12)
            }
        }
    }

    @Test func determinismOverThePiecesOfAStream() throws {
        let features = try matrix(rows: 1000, dimensions: 7)
        let whole = try GaussianStatistics(of: features)
        for piece in [1, 3, 255, 256, 257] {
            var accumulator = GaussianAccumulator(dimensions: 7)
            for first in stride(from: 0, to: 1000, by: piece) {
                accumulator.add(features.values[first * 7..<min(first + piece, 1000) * 7])
                // Asking on the way changes nothing.
                if first == 512 { _ = try accumulator.statistics() }
            }
            #expect(try accumulator.statistics() == whole, "pieces of \(piece)")
        }
    }

    @Test func fewerImagesThanDimensionsGiveAFiniteDistance() throws {
        let a = try GaussianStatistics(of: matrix(rows: 5, dimensions: 40))
        let b = try GaussianStatistics(of: matrix(rows: 9, dimensions: 40, around: 1))
        let distance = try frechetDistance(a, b)
        #expect(distance > 39 && distance < 50, "\(distance)")
        // Of the 36 eigenvalues that are 0 rounding leaves some 1e-17, whose square roots count.
        #expect(abs(try frechetDistance(a, a)) < 1e-6)
    }

    private func code(of body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch let error as ZooError {
            return error.code
        } catch {
            return "\(error)"
        }
    }

    @Test func rejectsWhatIsNoSetOfFeatures() throws {
        func expect(_ defect: MetricDefect, _ body: () throws -> Void) { #expect(code(of: body) == defect.rawValue) }
        for bad in [Float.nan, .infinity, -.infinity] {
            expect(.notFinite) {
                _ = try FeatureMatrix(Tensor(shape: [2, 2], values: [0, 1, bad, 2]), name: "features")
            }
        }
        expect(.badShape) { _ = try FeatureMatrix(Tensor(shape: [4], values: [0, 1, 2, 3]), name: "features") }
        expect(.badShape) { _ = try FeatureMatrix(Tensor(shape: [0, 4], values: []), name: "features") }
        expect(.tooFew) { _ = try GaussianStatistics(of: matrix(rows: 1, dimensions: 3)) }
        expect(.badShape) { _ = try GaussianStatistics(mean: [1, 2], covariance: [1, 2, 3]) }
        expect(.notFinite) { _ = try GaussianStatistics(mean: [1], covariance: [.nan]) }
        expect(.notSymmetric) { _ = try GaussianStatistics(mean: [1, 2], covariance: [1, 2, 0, 1]) }
        expect(.negativeVariance) { _ = try GaussianStatistics(mean: [1, 2], covariance: [1, 0, 0, -1]) }
        let (small, wide) = (try matrix(rows: 4, dimensions: 2), try matrix(rows: 9, dimensions: 3))
        expect(.differentDimensions) {
            _ = try frechetDistance(GaussianStatistics(of: small), GaussianStatistics(of: wide))
        }
        expect(.differentDimensions) { _ = try PrecisionRecall(reference: small, samples: wide) }
        expect(.differentDimensions) { _ = try KernelDistance(reference: small, samples: wide) }
        expect(.tooFew) { _ = try PrecisionRecall(reference: small, samples: small, neighbours: 4) }
        expect(.tooFew) { _ = try PrecisionRecall(reference: small, samples: small, neighbours: 0) }
        expect(.tooFew) { _ = try KernelDistance(reference: small, samples: small) }
        expect(.tooFew) { _ = try InceptionScore(logits: small, splits: .parts(5, shuffleSeed: nil)) }
        expect(.tooFew) { _ = try InceptionScore(logits: FeatureMatrix(dimensions: 3)) }
        expect(.noConvergence) {
            let huge = try GaussianStatistics(mean: [0, 0], covariance: [1e300, 1e300, 1e300, 1e300])
            _ = try frechetDistance(huge, huge)
        }
    }
}
