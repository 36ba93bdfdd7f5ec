import CKernels
import TestSupport
import Testing
import ZooIO

/// Softmax attention with the large scores of the recorded cases (specification of the softmax baselines).
@Suite struct GoldenSoftmaxTests {
    @Test(arguments: ["n1_d8", "n49_d32", "n196_d20", "n197_d64"], runnableISAs)
    func fidelityToTheOfficialCore(name: String, isa: ck_isa) throws {
        let path = Fixtures.path("baselines/op_softmax_\(name)")
        let golden = try SafetensorsFile(path: path + ".case.safetensors").tensor("out_f64")
        let noise = try #require(try Fixtures.json(path + ".json")["noise_fp32_vs_fp64"] as? [String: Any])
        let operands = AttentionOperands(
            AttentionShape(
                batch: golden.shape[0] * golden.shape[1], width: golden.shape[2], headDim: golden.shape[3],
                rope: false))
        let headDim = golden.shape[3]
        for (letter, matrix, factor) in [
            ("q", operands.queries, 4), ("k", operands.keys, 4), ("v", operands.values, 1),
        ] {
            let seeded = SeededSource.uniform(letter, shape: golden.shape).values
            matrix.update { row, column, _ in seeded[row * headDim + column] * Float(factor) }
        }
        let out = operands.run(.softmax, isa).values
        let largest = zip(out, golden.values).reduce(0) { max($0, abs($1.0 - $1.1)) }
        // A single key gives the value itself: there is no noise to go by.
        #expect(try Double(largest) <= 4 * #require(noise["max_abs_diff"] as? Double))
        #expect(
            try relativeL2(out, golden.values.map(Double.init)) <= 4 * #require(noise["rms_diff_over_rms"] as? Double))
    }
}
