import Foundation
import TestSupport
import Testing
import ZooCore
import ZooDiffusion

/// Random numbers as PyTorch draws them, to the last bit.
@Suite struct TorchGeneratorTests {
    struct Case: Decodable {
        let seed: UInt64
        let count: Int
        let first: [Float]
        let last: [Float]
        let then: [Float]
        let integers: [Int]
    }

    private struct File: Decodable {
        let cases: [Case]
    }

    @Test func fidelityOfDraws() throws {
        let data = try Data(contentsOf: URL(filePath: Fixtures.path("diffusion/torch-generator.json")))
        let cases = try JSONDecoder().decode(File.self, from: data).cases
        try #require(cases.count == 7)
        for example in cases {
            var generator = TorchGenerator(seed: example.seed)
            let values = generator.normal([example.count]).values
            #expect(Array(values.prefix(16)) == example.first, "seed \(example.seed), \(example.count)")
            #expect(Array(values.suffix(16)) == example.last, "seed \(example.seed), \(example.count)")
            #expect(generator.normal([5]).values == example.then, "seed \(example.seed), \(example.count)")
            #expect(generator.integers(below: 1000, count: 4) == example.integers)
        }
    }

    /// Mean, variance and independence of consecutive numbers, at five standard errors.
    @Test func normalNumbersAreNormal() {
        var generator = TorchGenerator(seed: 5)
        let values = generator.normal([100_000]).values.map(Double.init)
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        let variance = values.reduce(0) { $0 + $1 * $1 } / count
        let covariance = zip(values, values.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / count
        #expect(abs(mean) < 5 / count.squareRoot())
        #expect(abs(variance - 1) < 5 * (2 / count).squareRoot())
        #expect(abs(covariance) < 5 / count.squareRoot())
    }
}
