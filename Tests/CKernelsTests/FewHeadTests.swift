import CKernels
import Testing

/// A few-head attention in guarded memory.
private final class FewHead {
    struct Shape: CustomTestStringConvertible {
        var batch = 1
        var heads = 1
        var height = 1
        var width: Int
        var headDim: Int
        var kernel: Int? = 5
        var padding = 0

        var testDescription: String {
            "batch \(batch), heads \(heads), \(height)x\(width), d \(headDim), kernel \(kernel ?? 0), "
                + "padding \(padding)"
        }
    }

    let shape: Shape
    let queries: GuardedMatrix
    let keys: GuardedMatrix
    let values: GuardedMatrix
    let weight: GuardedMatrix
    let bias: GuardedMatrix

    init(_ shape: Shape) {
        self.shape = shape
        func matrix(padding: Int) -> GuardedMatrix {
            let channels = shape.heads * shape.headDim
            return GuardedMatrix(
                shape.batch * shape.height * shape.width, channels, stride: channels + padding,
                misalignment: padding % 5)
        }
        queries = matrix(padding: shape.padding)
        keys = matrix(padding: 2 * shape.padding)
        values = matrix(padding: 3 * shape.padding)
        let taps = shape.kernel.map { $0 * $0 } ?? 1
        weight = GuardedMatrix(taps, shape.headDim)
        bias = GuardedMatrix(1, shape.headDim)
        var noise = Noise(shape.headDim + shape.width)
        for matrix in [queries, keys, values, weight, bias] { matrix.fill(&noise) }
    }

    func arguments(_ out: GuardedMatrix) -> ck_fewhead_args {
        ck_fewhead_args(
            attention: ck_attention_args(
                batch: shape.batch, heads: shape.heads, tokens: shape.height * shape.width,
                key_tokens: shape.height * shape.width, head_dim: shape.headDim,
                q: queries.pointer, k: keys.pointer, v: values.pointer, q_stride: queries.stride,
                k_stride: keys.stride, v_stride: values.stride, rope: nil, bias: nil, bias_stride: 0, windows: nil,
                local: nil, local_stride: 0,
                gate: nil, gate_stride: 0, out: out.pointer,
                out_stride: out.stride),
            height: shape.height, width: shape.width, kernel: shape.kernel ?? 0,
            weight: shape.kernel == nil ? nil : UnsafePointer(weight.pointer),
            bias: shape.kernel == nil ? nil : UnsafePointer(bias.pointer))
    }

    /// Runs in exactly the scratch it asks for, NaN-filled, into a NaN-filled output.
    func run(_ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
        let out = GuardedMatrix(queries.rows, queries.columns, stride: queries.stride + 1)
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = arguments(out)
        let scratch = guardedScratch(bytes: ck_fewhead_scratch(&context, &arguments))
        #expect(ck_fewhead_f32(&context, &arguments, scratch.pointer) == CK_OK)
        #expect(scratch.surroundingsIntact, "scratch overrun")
        #expect(out.surroundingsIntact, "output overrun")
        return out
    }
}

@Suite struct FewHeadTests {
    /// The golden cases show float32 noise of 3e-7 of the largest value; this leaves room for other shapes.
    private static let tolerance = 2e-6

    private func expectAgreement(_ shape: FewHead.Shape) {
        let operands = FewHead(shape)
        let truth = operands.run(CK_ISA_REF)
        for isa in fastISAs {
            let distance = operands.run(isa).distance(from: truth).relativeL2
            #expect(distance < Self.tolerance, "\(isa.testDescription), \(shape.testDescription)")
        }
    }

    @Test(arguments: [1, 3, 4, 7, 8, 15, 16, 17, 33, 48, 63, 64, 65, 72, 80, 100, 127, 128, 192, 257, 288])
    func fidelityOnHeadDimensions(headDim: Int) {
        expectAgreement(.init(heads: 2, height: 5, width: 9, headDim: headDim, padding: headDim % 4))
    }

    @Test(arguments: [(1, 1), (1, 2), (2, 1), (1, 40), (40, 1), (3, 4), (7, 7), (13, 5), (14, 15), (30, 33), (9, 200)])
    func fidelityOnGrids(height: Int, width: Int) {
        for (headDim, kernel) in [(20, 3), (64, 5), (72, 7), (24, nil)] {
            expectAgreement(.init(height: height, width: width, headDim: headDim, kernel: kernel))
        }
    }

    @Test func fidelityInABatch() {
        for kernel in [nil, 5] {
            expectAgreement(
                .init(batch: 3, heads: 3, height: 6, width: 11, headDim: 20, kernel: kernel, padding: 3))
        }
    }

    /// Where no ReLU opens, the floors alone give practically zero beside the branch.
    @Test(arguments: runnableISAs)
    func closedFeaturesLeaveTheBranch(isa: ck_isa) {
        let operands = FewHead(.init(heads: 2, height: 4, width: 6, headDim: 12))
        for matrix in [operands.queries, operands.keys] { matrix.update { -abs($2) - 0.1 + 0 * Float($0 + $1) } }
        operands.weight.update { _, _, _ in 0 }
        operands.bias.update { _, _, _ in 0 }
        let out = operands.run(isa)
        for column in 0..<24 {
            let mean =
                (0..<24).reduce(0.0) { $0 + Double(operands.values.pointer[$1 * operands.values.stride + column]) } / 24
            let share = 12e-12 / (12e-12 + 1e-6)
            for row in 0..<24 {
                #expect(abs(Double(out.pointer[row * out.stride + column]) - share * mean) <= 1e-5 * share)
            }
        }
    }

    @Test(arguments: runnableISAs)
    func propagatesNaNWithinItsHead(isa: ck_isa) {
        let shape = FewHead.Shape(heads: 3, height: 9, width: 10, headDim: 20)
        let clean = FewHead(shape).run(isa)
        for place in ["queries", "keys", "values"] {
            let operands = FewHead(shape)
            let matrix = ["queries": operands.queries, "keys": operands.keys][place] ?? operands.values
            matrix.pointer[33 * matrix.stride + 25] = .nan
            let out = operands.run(isa)
            for row in 0..<90 {
                for column in 0..<60 {
                    let value = out.pointer[row * out.stride + column]
                    let hit = column / 20 == 1 && (place == "keys" || (place == "queries" ? row == 33 : column == 25))
                    if hit {
                        #expect(value.isNaN, "\(place), row \(row), column \(column)")
                    } else {
                        #expect(value.bitPattern == clean.pointer[row * clean.stride + column].bitPattern)
                    }
                }
            }
        }
    }

    @Test(arguments: runnableISAs, [24, 100])
    func determinismOverThreadsBatchAndPosition(isa: ck_isa, headDim: Int) throws {
        let shape = FewHead.Shape(batch: 3, heads: 2, height: 20, width: 21, headDim: headDim)
        let operands = FewHead(shape)
        let whole = operands.run(isa)
        for threads in [1, 2, 3, 8] {
            #expect(operands.run(isa, pool: try TestPool(threads: threads)).bits == whole.bits, "\(threads)")
        }
        var alone = shape
        alone.batch = 1
        for position in 0..<shape.batch {
            let single = FewHead(alone)
            let pairs = [
                (single.queries, operands.queries), (single.keys, operands.keys), (single.values, operands.values),
                (single.weight, operands.weight), (single.bias, operands.bias),
            ]
            for (own, all) in pairs {
                let first = own.rows == 420 ? position * 420 : 0
                own.update { row, column, _ in all.pointer[(first + row) * all.stride + column] }
            }
            let count = 420 * 2 * headDim
            #expect(single.run(isa).bits == Array(whole.bits[position * count..<(position + 1) * count]))
        }
    }

    /// Memory holds summaries of chunks, whose number has a bound.
    @Test(arguments: fastISAs)
    func scratchDoesNotGrowWithTokens(isa: ck_isa) {
        var context = ck_context(isa: isa, pool: nil)
        var arguments = ck_fewhead_args()
        (arguments.attention.batch, arguments.attention.heads) = (1, 1)
        (arguments.attention.tokens, arguments.attention.key_tokens) = (1_000_000, 1_000_000)
        arguments.attention.head_dim = 64
        #expect(ck_fewhead_scratch(&context, &arguments) < 2 << 20)
    }

    @Test func rejectsWhatItCannotCompute() {
        let operands = FewHead(.init(heads: 2, height: 2, width: 3, headDim: 8))
        let out = GuardedMatrix(6, 16)
        let scratch = GuardedMatrix(1, 1 << 16)
        func status(_ change: (inout ck_fewhead_args) -> Void) -> ck_status {
            var context = ck_context(isa: CK_ISA_PORTABLE, pool: nil)
            var arguments = operands.arguments(out)
            change(&arguments)
            return ck_fewhead_f32(&context, &arguments, scratch.pointer)
        }
        #expect(status { _ in } == CK_OK)
        #expect(status { $0.attention.head_dim = 1025 } == CK_BAD_SHAPE)
        #expect(status { ($0.attention.tokens, $0.attention.key_tokens) = (5, 5) } == CK_BAD_SHAPE)
        #expect(status { $0.height = .max } == CK_BAD_SHAPE)
        #expect(status { $0.kernel = 4 } == CK_BAD_SHAPE)
        #expect(status { $0.attention.v = nil } == CK_BAD_ARGUMENT)
        #expect(status { ($0.attention.local, $0.attention.local_stride) = ($0.attention.q, 16) } == CK_BAD_ARGUMENT)
        #expect(status { ($0.attention.gate, $0.attention.gate_stride) = ($0.attention.q, 16) } == CK_BAD_ARGUMENT)
        #expect(status { $0.weight = nil } == CK_BAD_ARGUMENT)
        let tables = RopeTables(height: 2, width: 3, headDim: 8)
        withUnsafePointer(to: tables.rope) { rope in #expect(status { $0.attention.rope = rope } == CK_BAD_ARGUMENT) }
        var context = ck_context(isa: CK_ISA_PORTABLE, pool: nil)
        var arguments = operands.arguments(out)
        #expect(ck_fewhead_f32(&context, &arguments, nil) == CK_BAD_ARGUMENT)
        #expect(ck_fewhead_f32(&context, nil, scratch.pointer) == CK_BAD_ARGUMENT)
        #expect(ck_fewhead_scratch(&context, nil) == 0)
    }
}
