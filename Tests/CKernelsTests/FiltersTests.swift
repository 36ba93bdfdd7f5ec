import CKernels
import Foundation
import Testing

/// A filter predictor in guarded memory.
private final class Filters {
    let batch: Int
    let groups: Int
    let size: Int
    let x: GuardedMatrix
    let hiddenWeight: GuardedMatrix
    let hiddenBias: GuardedMatrix
    let weight: GuardedMatrix
    let bias: GuardedMatrix

    init(batch: Int, groups: Int, size: Int) {
        (self.batch, self.groups, self.size) = (batch, groups, size)
        x = GuardedMatrix(batch, groups * size, misalignment: 1)
        hiddenWeight = GuardedMatrix(groups * size, size, misalignment: 1)
        hiddenBias = GuardedMatrix(1, groups * size)
        weight = GuardedMatrix(groups * 9 * size, size)
        bias = GuardedMatrix(9, groups * size, misalignment: 3)
        var noise = Noise(size + groups)
        for matrix in [x, hiddenWeight, hiddenBias, weight, bias] { matrix.fill(&noise) }
    }

    func run(_ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
        let out = GuardedMatrix(batch * 9, groups * size)
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = ck_filters_args(
            batch: batch, groups: groups, group_channels: size, x: x.pointer, hidden_weight: hiddenWeight.pointer,
            hidden_bias: hiddenBias.pointer, weight: weight.pointer, bias: bias.pointer, out: out.pointer)
        #expect(ck_filters_f32(&context, &arguments) == CK_OK)
        #expect(out.surroundingsIntact, "output overrun")
        return out
    }
}

@Suite struct FiltersTests {
    @Test(arguments: runnableISAs)
    func fidelityOnEveryGroupSize(isa: ck_isa) {
        for size in Array(1...37) + [64, 128] {
            let filters = Filters(batch: 1 + size % 3, groups: 1 + size % 4, size: size)
            let out = filters.run(isa)
            let channels = filters.groups * size
            for b in 0..<filters.batch {
                for g in 0..<filters.groups {
                    let hidden = (0..<size).map { c in
                        let sum = (0..<size).reduce(Double(filters.hiddenBias.pointer[g * size + c])) {
                            $0 + Double(filters.hiddenWeight.pointer[(g * size + $1) * size + c])
                                * Double(filters.x.pointer[b * channels + g * size + $1])
                        }
                        return sum * (1 + erf(sum / 2.squareRoot())) / 2
                    }
                    for (tap, c) in (0..<9).flatMap({ tap in (0..<size).map { (tap, $0) } }) {
                        var (sum, magnitude) = (Double(filters.bias.pointer[tap * channels + g * size + c]), 1.0)
                        for i in 0..<size {
                            let term =
                                hidden[i] * Double(filters.weight.pointer[((g * 9 + tap) * size + i) * size + c])
                            (sum, magnitude) = (sum + term, magnitude + abs(term))
                        }
                        let found = Double(out.pointer[(b * 9 + tap) * channels + g * size + c])
                        #expect(abs(found - sum) < 1e-6 * magnitude, "size \(size), tap \(tap), channel \(c)")
                    }
                }
            }
        }
    }

    @Test(arguments: runnableISAs)
    func determinismOverThreadsAndBatch(isa: ck_isa) throws {
        let filters = Filters(batch: 3, groups: 5, size: 20)
        let whole = filters.run(isa)
        for threads in [2, 3, 8] {
            #expect(filters.run(isa, pool: try TestPool(threads: threads)).bits == whole.bits)
        }
        let single = Filters(batch: 1, groups: 5, size: 20)
        let weights = [\Filters.hiddenWeight, \.hiddenBias, \.weight, \.bias]
        for matrix in weights { single[keyPath: matrix].copyValues(from: filters[keyPath: matrix]) }
        for image in 0..<3 {
            single.x.update { _, column, _ in filters.x.pointer[image * 100 + column] }
            #expect(single.run(isa).bits == Array(whole.bits[image * 900..<(image + 1) * 900]))
        }
    }

    @Test func rejectsWhatItCannotCompute() {
        let filters = Filters(batch: 1, groups: 2, size: 3)
        let out = GuardedMatrix(9, 6)
        func status(_ isa: ck_isa = CK_ISA_PORTABLE, _ change: (inout ck_filters_args) -> Void) -> ck_status {
            var context = ck_context(isa: isa, pool: nil)
            var arguments = ck_filters_args(
                batch: 1, groups: 2, group_channels: 3, x: filters.x.pointer,
                hidden_weight: filters.hiddenWeight.pointer, hidden_bias: filters.hiddenBias.pointer,
                weight: filters.weight.pointer, bias: filters.bias.pointer, out: out.pointer)
            change(&arguments)
            return ck_filters_f32(&context, &arguments)
        }
        #expect(status { _ in } == CK_OK)
        #expect(status { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.batch = .max } == CK_BAD_SHAPE)
        #expect(status { $0.groups = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.group_channels = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.group_channels = 1025 } == CK_BAD_SHAPE)
        #expect(status { $0.x = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.hidden_weight = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.hidden_bias = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.weight = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.bias = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(status(CK_ISA_COUNT) { _ in } == CK_UNAVAILABLE)
    }
}
