import Testing
import ZooBench
import ZooCore

@Suite struct RooflineTests {
    private static let example = Roofline(
        instructionSet: "avx2", threads: 1, gflops: 100,
        bandwidth: [.init(workingSet: 1 << 14, gbPerSecond: 50), .init(workingSet: 1 << 20, gbPerSecond: 10)])

    @Test func theLowerRoofBinds() {
        // 1 FLOP per byte: memory binds, at the bandwidth of the memory touched.
        #expect(Self.example.attainableGflops(flops: 20_000, bytes: 20_000) == 50)
        #expect(Self.example.attainableGflops(flops: 2e6, bytes: 2e6) == 10)
        // 100 FLOP per byte: arithmetic binds.
        #expect(Self.example.attainableGflops(flops: 2e8, bytes: 2e6) == 100)
        // Less memory than was measured has the fastest roof.
        #expect(Self.example.gbPerSecond(workingSet: 1) == 50)
    }

    @Test(arguments: InstructionSet.available.filter { $0 != .ref })
    func measuredRoofsArePlausible(_ instructionSet: InstructionSet) throws {
        let roofline = try #require(Roofline.measured(on: Runtime(threads: 1, instructionSet: instructionSet)))
        // From one multiply-add per cycle and lane at 0.1 GHz to two at 10 GHz.
        #expect((0.5...700).contains(roofline.gflops))
        #expect(roofline.bandwidth.allSatisfy { (0.05...5000).contains($0.gbPerSecond) })
    }

    @Test func refHasNone() throws {
        #expect(Roofline.measured(on: try Runtime(threads: 1, instructionSet: .ref)) == nil)
    }
}
