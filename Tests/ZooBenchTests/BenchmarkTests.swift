import Foundation
import Testing
import ZooBench
import ZooCore
import ZooIO
import ZooModels
import ZooNN

@Suite struct BenchmarkTests {
    private static let plan = MeasurementPlan(warmup: 0, runs: 2, minTime: 0)

    @Test func modelRowsAddUp() throws {
        let card = try Registry.card(named: "ravlt-nano")
        let model = try Registry.load(card, from: SeededSource(seed: 1))
        let runtime = try Runtime(threads: 1)
        let row = try ModelBenchmark(card, model, weights: "seeded:1").row(
            size: .init(height: 32, width: 48), batch: 3, plan: Self.plan, roofline: nil, profiled: true, on: runtime)
        let cost = model.cost(height: 32, width: 48)
        #expect(abs(row.gmacsPerImage - Double(cost.convolutions + cost.attention) * 1e-9) < 1e-15)
        #expect(abs(row.imagesPerSecond * row.measurement.statistics.median - 3) < 1e-9)
        #expect(row.agreement.passed && row.measurement.samples.count == 2)
        let profile = try #require(row.profile)
        #expect(abs(profile.kinds.reduce(0) { $0 + $1.share } - 1) < 0.02)
        #expect(profile.layers.contains { $0.layer == "layers.0.blocks.0.attn.qkvo" && $0.kind == "gemm" })
        #expect(profile.layers.count == profile.kinds.reduce(0) { $0 + $1.calls })
        #expect(runtime.observer == nil)
    }

    /// A call's windows are gone when its pass has ended; the profile tells of them all the same.
    @Test func profilesTellOfWindows() throws {
        let card = try Registry.card(named: "swin-tiny")
        let model = try Registry.load(card, from: SeededSource(seed: 1))
        let row = try ModelBenchmark(card, model, weights: "seeded:1").row(
            size: .init(height: 56, width: 64), batch: 1, plan: Self.plan, roofline: nil, profiled: true,
            on: Runtime(threads: 1))
        let attention = try #require(row.profile).layers.filter { $0.kind == "attention" }
        #expect(attention.count == 12)
        #expect(attention.filter { $0.shape == "softmax 1x3x49x32 windows of 14x16 bias" }.count == 2)
        for layer in attention { #expect(layer.gflops > 0 && layer.gbPerSecond > 0, "\(layer)") }
    }

    @Test func reportsDecodeToWhatTheyWere() throws {
        let card = try Registry.card(named: "mavit-nano")
        let runtime = try Runtime(threads: 1)
        let benchmark = ModelBenchmark(card, try Registry.load(card, from: SeededSource(seed: 1)), weights: "seeded:1")
        let row = try benchmark.row(
            size: .init(height: 32, width: 32), batch: 1, plan: Self.plan, roofline: nil, profiled: false, on: runtime)
        let report = BenchmarkReport(
            command: "zoo bench model", environment: .current, rooflines: [], results: [row])
        let samples = try BenchmarkSamples(json: Data(try report.json().utf8), file: "x.json")
        #expect(samples.rows.map(\.id) == [row.id])
        #expect(samples.rows.first?.samples == row.measurement.samples)
    }

    /// Every kernel that has a name can be measured, on every instruction set, and agrees with ref.
    @Test(arguments: InstructionSet.available)
    func everyKernelIsMeasured(_ instructionSet: InstructionSet) throws {
        let benchmark = KernelBenchmark(Self.plan, models: [try Registry.card(named: "ravlt-nano")])
        let sizes = KernelBenchmark.Sizes(batch: [2], heads: [2], tokens: [12, 35], headDim: [8])
        let runtime = try Runtime(threads: 2, instructionSet: instructionSet)
        var operators = Set<String>()
        for name in KernelBenchmark.Subject.names {
            try benchmark.measure(KernelBenchmark.Subject(named: name), at: sizes, roofline: nil, on: runtime) { row in
                operators.insert(row.operator)
                #expect(row.agreement.passed && row.flops > 0 && row.bytes > 0 && row.gflops > 0)
            }
        }
        #expect(benchmark.failures.isEmpty)
        #expect(operators == Set(KernelBenchmark.Subject.names))
    }

    @Test(arguments: ["", "gem", "Softmaxx", "rala,mala"])
    func rejectsUnknownKernels(_ name: String) {
        #expect(throws: ZooErrorOfUsage.self) { try asUsage { () throws in try KernelBenchmark.Subject(named: name) } }
    }

    /// A kernel that is wrong on one instruction set, or differs from run to run.
    private final class BrokenKernel: PreparedKernel {
        enum Defect: Sendable, CaseIterable { case wrong, unrepeatable, incomplete }

        let output = PackedFloats(count: 64)
        let multiplyAdds = 1
        let bytes = 1
        private let defect: Defect
        private var runs: Float = 0

        init(_ defect: Defect) { self.defect = defect }

        func run(on runtime: Runtime) {
            runs += 1
            let isRef = runtime.instructionSet == .ref
            for index in 0..<64 {
                switch defect {
                case .wrong: output.base[index] = Float(index) * (isRef ? 1 : 1.001)
                case .unrepeatable: output.base[index] = Float(index) + (isRef ? 0 : 1e-7 * runs)
                case .incomplete: if isRef || index != 7 { output.base[index] = Float(index) }
                }
            }
        }
    }

    @Test(arguments: [0, 1, 2])
    func rejectsWrongKernels(_ defect: Int) throws {
        let kernel = BrokenKernel(BrokenKernel.Defect.allCases[defect])
        let runtime = try Runtime(threads: 1, instructionSet: .portable)
        #expect {
            _ = try KernelBenchmark.check(kernel, named: "broken", on: runtime)
        } throws: { error in
            (error as? ZooError)?.kind == .gateFailed
        }
    }

    @Test func agreementKnowsNaNAndSigns() {
        #expect(Agreement.relativeError([1, .nan], [1, 2]) == .infinity)
        #expect(Agreement.relativeError([0, 0], [0, 0]) == 0)
        #expect(Agreement.relativeError([1, 0], [0, 0]) == .infinity)
        #expect(abs(Agreement.relativeError([3, 4.5], [3, 4]) - 0.1) < 1e-12)
        #expect(Agreement.sameBits([.nan], [.nan]))
        #expect(!Agreement.sameBits([0], [-0.0]))
    }
}
