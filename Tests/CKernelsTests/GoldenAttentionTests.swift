import CKernels
import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO

/// The attention cores against the official modules: inputs, float32 outputs and the noise of the official float32 run
/// as recorded with the published code (specifications of RALA and MALA, golden data).
private struct GoldenCore {
    /// The distance of the official float32 run from its float64 run.
    struct Noise {
        let relativeL2: Double
        let largest: Double
    }

    let family: Core
    let cases: [String: [String: Any]]
    let outputs: SafetensorsFile
    let inputs: SafetensorsFile

    init(_ family: Core) throws {
        self.family = family
        outputs = try SafetensorsFile(path: Fixtures.path("kernels/\(family)_core.safetensors"))
        inputs = try SafetensorsFile(path: Fixtures.path("kernels/rala_core.safetensors"))
        cases = try #require(
            try Fixtures.json(Fixtures.path("kernels/\(family)_core.json"))["cases"] as? [String: [String: Any]])
    }

    func number(_ name: String, _ key: String) throws -> Int { try #require(cases[name]?[key] as? Int) }

    func noise(_ name: String, _ output: String) throws -> Noise {
        let all = try #require(cases[name]?["noise_fp32_vs_fp64"] as? [String: [String: Any]])
        let own = try #require(all[output])
        return Noise(
            relativeL2: try #require(own["rel_l2"] as? Double), largest: try #require(own["max_abs"] as? Double))
    }

    /// The official output: all rows, or every 37th of a large case.
    func official(_ name: String, _ output: String) throws -> (values: [Float], rows: RowSample) {
        let sampled = outputs.info("\(name).\(output)") == nil
        let values = try outputs.tensor("\(name).\(output)" + (sampled ? "_rows" : "")).values
        return (values, RowSample(step: sampled ? 37 : 1))
    }

    struct RowSample {
        let step: Int

        func callAsFunction(of matrix: GuardedMatrix) -> [Double] {
            let values = matrix.values.map(Double.init)
            return stride(from: 0, to: matrix.rows, by: step).flatMap {
                values[$0 * matrix.columns..<($0 + 1) * matrix.columns]
            }
        }
    }

    /// Operands of a case, (B, heads, N, d) taken as B * heads batch elements of one head.
    func operands(_ name: String, rope: Bool) throws -> AttentionOperands {
        let shape = AttentionShape(
            batch: try number(name, "B") * number(name, "heads"), height: try number(name, "H"),
            width: try number(name, "W"), headDim: try number(name, "head_dim"), rope: rope)
        let operands = AttentionOperands(shape)
        let matrices = [("q", operands.queries), ("k", operands.keys), ("v", operands.values)]
        for (letter, matrix) in matrices {
            let stored = "\(name).\(letter)"
            let values =
                inputs.info(stored) != nil
                ? try inputs.tensor(stored).values
                : SeededSource.uniform(stored, shape: [shape.rows, shape.headDim]).values.map { 1.5 * $0 }
            matrix.update { row, column, _ in values[row * shape.headDim + column] }
        }
        return operands
    }
}

/// The cases of InLine attention: inputs by the seeded rule, outputs of the official code in float64.
private struct GoldenInLine {
    static let cores = [
        "identity": Core.inlineIdentity, "relu": .inlineReLU, "leakyrelu": .inlineLeakyReLU, "exp": .inlineExp,
    ]

    let core: Core
    let operands: AttentionOperands
    let truth: [Double]
    /// Of the official float32 run: largest difference, and root mean square difference over that of the output.
    let noise: (largest: Double, relative: Double)

    init(_ name: String, _ entry: [String: Any], outputs: SafetensorsFile) throws {
        func number(_ key: String) throws -> Int { try #require(entry[key] as? Int) }
        let function = try #require(entry["kernel_function"] as? String)
        core = try #require(Self.cores[function])
        let magnitude = Float(try #require(entry["magnitude"] as? Double))
        let shape = AttentionShape(
            batch: try number("B") * number("heads"), width: try number("N"), headDim: try number("head_dim"),
            rope: false)
        operands = AttentionOperands(shape)
        let rules: [(String, GuardedMatrix, scale: Float, offset: Float)] = [
            ("q", operands.queries, 2 * magnitude, 0), ("k", operands.keys, magnitude, 0.5),
            ("v", operands.values, magnitude, -0.25),
        ]
        for (letter, matrix, scale, offset) in rules {
            let s = SeededSource.uniform(letter, shape: [shape.rows, shape.headDim]).values
            matrix.update { row, column, _ in scale * s[row * shape.headDim + column] + offset }
        }
        truth = try outputs.tensor("\(name).out").values.map(Double.init)
        let recorded = try #require(entry["noise_fp32_vs_fp64"] as? [String: Double])
        noise = (try #require(recorded["max_abs_diff"]), try #require(recorded["rms_diff_over_rms"]))
    }
}

@Suite struct GoldenAttentionTests {
    @Test func fidelityToOfficialInLineAttention() throws {
        let outputs = try SafetensorsFile(path: Fixtures.path("operators/inline_op_core.safetensors"))
        let cases = try #require(
            try Fixtures.json(Fixtures.path("operators/inline_op_core.json"))["cases"] as? [String: [String: Any]])
        for (name, entry) in cases {
            let golden = try GoldenInLine(name, entry, outputs: outputs)
            for isa in runnableISAs {
                let out = golden.operands.run(golden.core, isa).values
                let largest = zip(out, golden.truth).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
                let comment = Comment("\(name) on \(isa.testDescription)")
                #expect(largest <= 4 * golden.noise.largest, comment)
                #expect(relativeL2(out, golden.truth) <= 4 * golden.noise.relative, comment)
            }
        }
    }

    /// Every output of every case on every instruction set: at most four times as far from a float64 evaluation as the
    /// official float32 run is; and the specification, which that is measured by, within the official run's noise.
    @Test(arguments: [Core.rala, .mala])
    func fidelityToTheOfficialModules(family: Core) throws {
        let golden = try GoldenCore(family)
        for name in golden.cases.keys.sorted() {
            let noises = try #require(golden.cases[name]?["noise_fp32_vs_fp64"] as? [String: Any])
            for output in noises.keys.sorted() where family == .rala || output.hasPrefix("out") {
                let core = output.hasPrefix("softmax") ? Core.softmax : family
                let operands = try golden.operands(name, rope: !output.hasSuffix("norope"))
                let noise = try golden.noise(name, output)
                let truth = operands.run(core, CK_ISA_REF)
                let official = try golden.official(name, output)
                let comment = Comment("\(name), \(output)")
                #expect(relativeL2(official.values, official.rows(of: truth)) <= 1.1 * noise.relativeL2 + 1e-7, comment)
                for isa in runnableISAs where isa != CK_ISA_REF {
                    let distance = operands.run(core, isa).distance(from: truth)
                    #expect(distance.relativeL2 <= 4 * noise.relativeL2, "\(isa.testDescription): \(comment)")
                    #expect(distance.largest <= 4 * noise.largest, "\(isa.testDescription): \(comment)")
                }
            }
        }
    }
}
