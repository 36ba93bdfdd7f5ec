import TestSupport
import Testing
import ZooCore
import ZooIO

@Suite struct SeededSourceTests {
    private static func values(_ source: SeededSource, _ name: String, _ shape: [Int]) throws -> [Float] {
        var tensor = Tensor(zeros: shape)
        try tensor.withUnsafeMutableValues { try source.read(name, shape: shape, into: $0) }
        return tensor.values
    }

    @Test func fidelityToTheRule() throws {
        let expected = try SafetensorsFile(path: Fixtures.path("checkpoints/seeded.safetensors"))
        #expect(expected.names.count > 20)
        for name in expected.names {
            let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
            let tensor = try expected.tensor(name)
            if parts[1].hasPrefix("s:") {
                let seed = try #require(UInt64(parts[0]))
                #expect(SeededSource.uniform(String(parts[1].dropFirst(2)), shape: tensor.shape, seed: seed) == tensor)
            } else {
                let specification = parts[0] == "scaled" ? "seeded:1,.bias=9,pos.weight=0.25" : "seeded:\(parts[0])"
                let source = try #require(try SeededSource(specification: specification))
                #expect(try Self.values(source, parts[1], tensor.shape) == tensor.values, "\(name)")
            }
        }
    }

    @Test(.enabled(if: Fixtures.hasShared), arguments: ["rala/tiny", "mala/tiny", "rala/block", "vae/tiny"])
    func fidelityOfGoldenWeights(file: String) throws {
        let path = try #require(Fixtures.shared("golden/\(file).weights.safetensors"))
        let golden = try SafetensorsFile(path: path)
        // Rotation angles are a buffer that the model computes, not weights.
        for name in golden.names where golden.info(name)?.dtype == .float32 && !name.hasSuffix(".angle") {
            let tensor = try golden.tensor(name)
            #expect(try Self.values(SeededSource(seed: 1), name, tensor.shape) == tensor.values, "\(name)")
        }
    }

    @Test func parsesSpecifications() throws {
        #expect(try SeededSource(specification: "weights.pth") == nil)
        #expect(try SeededSource(specification: "seeded:18446744073709551615")?.seed == .max)
        #expect(try SeededSource(specification: "seeded:1,.pos.weight=0.25")?.name == "seeded:1,.pos.weight=0.25")
    }

    @Test(arguments: ["seeded:", "seeded:-1", "seeded:1.5", "seeded:18446744073709551616", "seeded:x"])
    func rejectsBadSeeds(specification: String) {
        let error = expectDefect(SeededDefect.badSeed) { _ = try SeededSource(specification: specification) }
        #expect(error?.kind == .usage)
    }

    @Test(arguments: [
        "seeded:1,", "seeded:1,a", "seeded:1,=2", "seeded:1,a=", "seeded:1,a=b", "seeded:1,a=1=2",
        "seeded:1,a=nan", "seeded:1,a=inf",
    ])
    func rejectsBadFactors(specification: String) {
        expectDefect(SeededDefect.badFactor) { _ = try SeededSource(specification: specification) }
    }
}
