import CKernels
import Testing

/// The instruction sets beside the specification.
let fastISAs = runnableISAs.filter { $0 != CK_ISA_REF }

@Suite struct AttentionTests {
    /// Where no golden case records the noise of a float32 evaluation: the largest ratio of such noise to the result that
    /// the golden cases show for ordinary inputs (2e-6), with room for other shapes.
    private static let tolerance = 4e-6

    private static func expectAgreement(_ shape: AttentionShape, seed: Int = 1, magnitude: Float = 1.5) {
        let operands = AttentionOperands(shape, seed: seed, magnitude: magnitude)
        for core in Core.allCases {
            let truth = operands.run(core, CK_ISA_REF)
            for isa in fastISAs {
                let distance = operands.run(core, isa).distance(from: truth).relativeL2
                #expect(distance < tolerance, "\(core) on \(isa.testDescription), \(shape.testDescription)")
            }
        }
    }

    @Test(arguments: Array(stride(from: 4, through: 128, by: 4)))
    func fidelityOnEveryRotatedHeadDimension(headDim: Int) {
        Self.expectAgreement(AttentionShape(heads: 2, height: 3, width: 11, headDim: headDim), seed: headDim)
    }

    @Test(arguments: [1, 2, 3, 5, 7, 15, 17, 31, 33, 63, 65, 97, 130])
    func fidelityOnUnrotatedHeadDimensions(headDim: Int) {
        Self.expectAgreement(AttentionShape(heads: 3, width: 29, headDim: headDim, rope: false), seed: headDim)
    }

    @Test(arguments: [(1, 1), (1, 2), (1, 17), (7, 7), (13, 5), (14, 14), (8, 24), (1, 193), (25, 40), (40, 25)])
    func fidelityOnEveryTokenCount(height: Int, width: Int) {
        for headDim in [8, 64] {
            Self.expectAgreement(AttentionShape(height: height, width: width, headDim: headDim), seed: height + width)
        }
    }

    @Test(arguments: [AttentionShape.Local.none, .separate, .output], [false, true])
    func fidelityOfEveryEnd(local: AttentionShape.Local, gate: Bool) {
        for padding in [0, 3, 64] {
            Self.expectAgreement(
                AttentionShape(
                    batch: 3, heads: 2, height: 5, width: 9, headDim: 20, local: local, gate: gate, padding: padding,
                    misalignment: padding % 7))
        }
    }

    /// Long rows of tokens: running maxima and chunk sums over many tiles.
    @Test func fidelityOnManyTokens() {
        Self.expectAgreement(AttentionShape(height: 50, width: 84, headDim: 8))
    }

    /// A softmax that doesn't subtract the maximum overflows here; the rounding of scores in the hundreds moves weights
    /// by 1e-5, in any float32 evaluation.
    @Test(arguments: fastISAs)
    func fidelityOnLargeScores(isa: ck_isa) {
        let operands = AttentionOperands(AttentionShape(height: 6, width: 11, headDim: 16, rope: false), magnitude: 30)
        for core in Core.allCases {
            let distance = operands.run(core, isa).distance(from: operands.run(core, CK_ISA_REF)).relativeL2
            #expect(distance < 1e-4, "\(core)")
        }
    }

    /// Equal tokens weigh the same, so softmax attention and RALA give the mean value back, up to RALA's 1e-6 in the
    /// denominator; zeros everywhere stay finite.
    @Test(arguments: runnableISAs)
    func equalTokensGiveTheMeanValue(isa: ck_isa) {
        let shape = AttentionShape(heads: 2, width: 200, headDim: 12, rope: false)
        for magnitude: Float in [0, 1, 3] {
            let operands = AttentionOperands(shape)
            for matrix in [operands.queries, operands.keys] {
                matrix.update { _, column, _ in magnitude * Float(column % 5 - 2) }
            }
            for core in [Core.softmax, .rala] {
                let out = operands.run(core, isa)
                for column in 0..<shape.channels {
                    let mean =
                        (0..<shape.rows).reduce(0.0) {
                            $0 + Double(operands.values.pointer[$1 * operands.values.stride + column])
                        } / Double(shape.rows)
                    for row in 0..<shape.rows {
                        #expect(abs(Double(out.pointer[row * out.stride + column]) - mean) < 2e-6)
                    }
                }
            }
            #expect(operands.run(.mala, isa).values.allSatisfy { $0.isFinite })
        }
    }

    /// What depends on a NaN is NaN, and nothing else changes.
    @Test(arguments: runnableISAs, Core.allCases)
    func propagatesNaNWithinItsHead(isa: ck_isa, core: Core) {
        let shape = AttentionShape(heads: 3, height: 14, width: 15, headDim: 16)
        let clean = AttentionOperands(shape).run(core, isa)
        let at = (row: 101, column: 21)
        for (place, everyToken) in [("queries", core == .rala), ("keys", true), ("values", true)] {
            let operands = AttentionOperands(shape)
            let matrix = ["queries": operands.queries, "keys": operands.keys][place] ?? operands.values
            matrix.pointer[at.row * matrix.stride + at.column] = .nan
            let out = operands.run(core, isa)
            for row in 0..<shape.rows {
                for column in 0..<shape.channels {
                    let value = out.pointer[row * out.stride + column]
                    if column / shape.headDim != 1 || !(everyToken || row == at.row) {
                        #expect(value.bitPattern == clean.pointer[row * clean.stride + column].bitPattern)
                    } else if place != "values" || column == at.column {
                        #expect(value.isNaN, "row \(row), column \(column)")
                    }
                }
            }
        }
    }

    @Test(arguments: runnableISAs, Core.allCases)
    func determinismOverThreadsBatchAndPosition(isa: ck_isa, core: Core) throws {
        let shape = AttentionShape(
            batch: 3, heads: 2, height: 20, width: 21, headDim: 24, local: .separate, gate: true, padding: 5)
        let operands = AttentionOperands(shape)
        let whole = operands.run(core, isa)
        for threads in [1, 2, 3, 8] {
            #expect(operands.run(core, isa, pool: try TestPool(threads: threads)).bits == whole.bits, "\(threads)")
        }
        var alone = shape
        alone.batch = 1
        for position in 0..<shape.batch {
            let single = AttentionOperands(alone)
            let pairs = [
                (single.queries, operands.queries), (single.keys, operands.keys), (single.values, operands.values),
                (single.local, operands.local), (single.gate, operands.gate),
            ]
            for (own, all) in pairs {
                own.update { row, column, _ in all.pointer[(position * alone.rows + row) * all.stride + column] }
            }
            let count = alone.rows * alone.channels
            #expect(single.run(core, isa).bits == Array(whole.bits[position * count..<(position + 1) * count]))
        }
    }

    /// Memory grows with the tokens, not with their square.
    @Test(arguments: fastISAs, Core.allCases)
    func scratchIsLinearInTokens(isa: ck_isa, core: Core) {
        func bytes(_ tokens: Int) -> Int {
            var context = ck_context(isa: isa, pool: nil)
            var arguments = ck_attention_args()
            (arguments.batch, arguments.heads, arguments.tokens, arguments.head_dim) = (1, 1, tokens, 64)
            arguments.key_tokens = tokens
            return core.scratchBytes(&context, &arguments)
        }
        #expect(bytes(1_000_000) > 0)
        #expect(bytes(1_000_000) <= 2 * 1_000_000 * 64 * 4 + (1 << 20))
        if core != .softmax { #expect(bytes(1_000_000) < 2 << 20) }
    }

    @Test(arguments: Core.allCases)
    func rejectsWhatItCannotCompute(core: Core) {
        let operands = AttentionOperands(AttentionShape(heads: 2, height: 2, width: 3, headDim: 8))
        let scratch = GuardedMatrix(1, 1 << 16)
        func status(_ isa: ck_isa = CK_ISA_PORTABLE, _ change: (inout ck_attention_args) -> Void) -> ck_status {
            var context = ck_context(isa: isa, pool: nil)
            var arguments = ck_attention_args(
                batch: 1, heads: 2, tokens: 6, key_tokens: 6, head_dim: 8, q: operands.queries.pointer,
                k: operands.keys.pointer,
                v: operands.values.pointer, q_stride: 16, k_stride: 16, v_stride: 16, rope: nil, bias: nil,
                bias_stride: 0, windows: nil, local: nil,
                local_stride: 0, gate: nil, gate_stride: 0, out: operands.local.pointer, out_stride: 16)
            change(&arguments)
            return core.run(&context, &arguments, scratch.pointer)
        }
        #expect(status { _ in } == CK_OK)
        #expect(status { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.heads = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.tokens = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.key_tokens = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.head_dim = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.head_dim = 1025 } == CK_BAD_SHAPE)
        #expect(status { $0.heads = .max } == CK_BAD_SHAPE)
        #expect(status { $0.batch = .max } == CK_BAD_SHAPE)
        #expect(status { $0.q = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.k = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.v = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.q_stride = 15 } == CK_BAD_ARGUMENT)
        #expect(status { $0.k_stride = 15 } == CK_BAD_ARGUMENT)
        #expect(status { $0.v_stride = 15 } == CK_BAD_ARGUMENT)
        #expect(status { $0.out_stride = 15 } == CK_BAD_ARGUMENT)
        #expect(status { ($0.local, $0.local_stride) = ($0.q, 15) } == CK_BAD_ARGUMENT)
        #expect(status { ($0.gate, $0.gate_stride) = ($0.q, 15) } == CK_BAD_ARGUMENT)
        for (height, width, headDim) in [(2, 4, 8), (2, 3, 12)] {
            let tables = RopeTables(height: height, width: width, headDim: headDim)
            withUnsafePointer(to: tables.rope) { rope in #expect(status { $0.rope = rope } == CK_BAD_SHAPE) }
        }
        if !core.rotates {
            let tables = RopeTables(height: 2, width: 3, headDim: 8)
            withUnsafePointer(to: tables.rope) { rope in #expect(status { $0.rope = rope } == CK_BAD_ARGUMENT) }
        }
        var empty = ck_rope(
            height: 2, width: 3, head_dim: 8, row_cosine: nil, row_sine: nil, column_cosine: nil, column_sine: nil)
        withUnsafePointer(to: &empty) { rope in #expect(status { $0.rope = rope } == CK_BAD_ARGUMENT) }
        #expect(status(CK_ISA_COUNT) { _ in } == CK_UNAVAILABLE)
        var arguments = ck_attention_args()
        var context = ck_context(isa: CK_ISA_PORTABLE, pool: nil)
        #expect(core.run(&context, &arguments, nil) == CK_BAD_SHAPE)
        #expect(core.scratchBytes(&context, &arguments) == 0)
    }
}
