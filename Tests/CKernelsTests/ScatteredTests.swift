import CKernels
import Testing

/// A scattered attention in guarded memory; q, k and v have rows of their own lengths.
private final class Scattered {
    let heads: Int
    let headDim: Int
    let groups: [ck_row_group]
    let queries: GuardedMatrix
    let keys: GuardedMatrix
    let values: GuardedMatrix

    init(_ counts: [Int], heads: Int, headDim: Int, padding: Int = 0) {
        self.heads = heads
        self.headDim = headDim
        var next = 0
        groups = counts.map { count in
            defer { next += count }
            return ck_row_group(first: next, count: count)
        }
        func matrix(_ padding: Int) -> GuardedMatrix {
            GuardedMatrix(next, heads * headDim, stride: heads * headDim + padding, misalignment: padding % 7)
        }
        (queries, keys, values) = (matrix(padding), matrix(2 * padding), matrix(3 * padding))
        var noise = Noise(next + headDim)
        for matrix in [queries, keys, values] { matrix.fill(&noise) }
    }

    func withArguments<R>(_ out: GuardedMatrix, _ body: (inout ck_scattered_args) -> R) -> R {
        groups.withUnsafeBufferPointer { groups in
            var arguments = ck_scattered_args(
                rows: queries.rows, heads: heads, head_dim: headDim, groups: groups.baseAddress,
                group_count: groups.count, q: queries.pointer, k: keys.pointer, v: values.pointer,
                q_stride: queries.stride, k_stride: keys.stride, v_stride: values.stride, out: out.pointer,
                out_stride: out.stride)
            return body(&arguments)
        }
    }

    /// Runs in exactly the scratch it asks for, NaN-filled, into a NaN-filled output.
    func run(_ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
        let out = GuardedMatrix(queries.rows, queries.columns, stride: queries.stride + 1)
        withArguments(out) { arguments in
            var context = ck_context(isa: isa, pool: pool?.pool)
            let scratch = guardedScratch(bytes: ck_scattered_scratch(&context, &arguments))
            #expect(ck_scattered_f32(&context, &arguments, scratch.pointer) == CK_OK)
            #expect(scratch.surroundingsIntact, "scratch overrun")
        }
        #expect(out.surroundingsIntact, "output overrun")
        return out
    }
}

@Suite struct ScatteredTests {
    /// The golden cases show float32 noise of 2e-7 of the largest value, and this is relative to their L2 norm.
    private static let tolerance = 1e-6

    private func expectAgreement(_ operands: Scattered, _ comment: Comment) {
        let truth = operands.run(CK_ISA_REF)
        for isa in fastISAs {
            let distance = operands.run(isa).distance(from: truth).relativeL2
            #expect(distance < Self.tolerance, "\(isa.testDescription), \(comment)")
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 40, 64, 65, 128])
    func fidelityOnHeadDimensions(headDim: Int) {
        for heads in [1, 3] {
            expectAgreement(
                Scattered([0, 1, 2, 3, 5, 0, 17, 33, 70, 1, 0], heads: heads, headDim: headDim, padding: headDim % 4),
                "\(heads) heads of \(headDim)")
        }
    }

    @Test(arguments: [
        [1], [2], [31], [32], [33], [1024], [1025], [3000], [1, 5000, 1], [1025, 1025], [0, 2000, 0, 0, 3, 1500],
        Array(repeating: 1, count: 700), Array(1...60), Array(repeating: 0, count: 9000) + [3],
    ])
    func fidelityOnGroups(counts: [Int]) {
        for headDim in [8, 16] {
            expectAgreement(Scattered(counts, heads: 2, headDim: headDim), "\(counts.prefix(8)) d \(headDim)")
        }
    }

    /// Chunks are bounded in number, so a group of many rows has long ones.
    @Test func fidelityOnOneVeryLargeGroup() {
        expectAgreement(Scattered([70_000], heads: 1, headDim: 4), "one group")
    }

    /// Rows that no group owns keep what was there.
    @Test(arguments: runnableISAs)
    func rowsBetweenGroupsAreLeftAlone(isa: ck_isa) {
        let operands = Scattered([4, 6, 2], heads: 2, headDim: 8)
        let out = GuardedMatrix(12, 16)
        operands.withArguments(out) { arguments in
            let pair = [operands.groups[0], operands.groups[2]]
            pair.withUnsafeBufferPointer { pair in
                (arguments.groups, arguments.group_count) = (pair.baseAddress, 2)
                var context = ck_context(isa: isa, pool: nil)
                let scratch = guardedScratch(bytes: ck_scattered_scratch(&context, &arguments))
                #expect(ck_scattered_f32(&context, &arguments, scratch.pointer) == CK_OK)
            }
        }
        let whole = operands.run(isa)
        for row in 0..<12 {
            for column in 0..<16 {
                let value = out.pointer[row * out.stride + column]
                if (4..<10).contains(row) {
                    #expect(value.isNaN)
                } else {
                    #expect(value.bitPattern == whole.pointer[row * whole.stride + column].bitPattern)
                }
            }
        }
    }

    /// A row alone in its group gets its own value, or zero where query and key share no channel.
    @Test(arguments: runnableISAs)
    func singleRowsGetTheirOwnValue(isa: ck_isa) {
        let operands = Scattered(Array(repeating: 1, count: 40), heads: 3, headDim: 16)
        operands.queries.update { row, column, value in row % 2 == 0 ? abs(value) + 0.5 : (column % 2 == 0 ? 1 : -1) }
        operands.keys.update { row, column, value in row % 2 == 0 ? abs(value) + 0.5 : (column % 2 == 0 ? -1 : 1) }
        let out = operands.run(isa)
        for row in 0..<40 {
            for column in 0..<48 {
                let (value, own) = (
                    out.pointer[row * out.stride + column],
                    operands.values.pointer[row * operands.values.stride + column]
                )
                if row % 2 == 0 { #expect(abs(value - own) < 1e-6) } else { #expect(value == 0) }
            }
        }
    }

    @Test(arguments: runnableISAs)
    func propagatesNaNWithinItsGroup(isa: ck_isa) {
        let counts = [3, 1200, 2, 40]
        let clean = Scattered(counts, heads: 2, headDim: 8).run(isa)
        for row in [1, 700, 1204, 1230] {
            let operands = Scattered(counts, heads: 2, headDim: 8)
            operands.keys.pointer[row * operands.keys.stride + 11] = .nan
            let out = operands.run(isa)
            let group = operands.groups.first { $0.first <= row && row < $0.first + $0.count }
            for other in 0..<out.rows {
                for column in 0..<16 {
                    let value = out.pointer[other * out.stride + column]
                    let inside = group.map { $0.first <= other && other < $0.first + $0.count } ?? false
                    if inside && column >= 8 {
                        #expect(value.isNaN)
                    } else {
                        #expect(value.bitPattern == clean.pointer[other * clean.stride + column].bitPattern)
                    }
                }
            }
        }
    }

    /// Nothing depends on the threads, nor on what other groups there are.
    @Test(arguments: runnableISAs)
    func determinismOverThreadsAndNeighbours(isa: ck_isa) throws {
        let counts = [5, 1, 1, 2100, 0, 600, 3, 40, 1030, 12]
        let operands = Scattered(counts, heads: 2, headDim: 24, padding: 1)
        let whole = operands.run(isa)
        for threads in [1, 2, 3, 8] {
            #expect(operands.run(isa, pool: try TestPool(threads: threads)).bits == whole.bits, "\(threads)")
        }
        for group in operands.groups where group.count > 0 {
            let single = Scattered([group.count], heads: 2, headDim: 24)
            let pairs = [
                (single.queries, operands.queries), (single.keys, operands.keys), (single.values, operands.values),
            ]
            for (own, all) in pairs {
                own.update { row, column, _ in all.pointer[(group.first + row) * all.stride + column] }
            }
            #expect(single.run(isa).bits == Array(whole.bits[group.first * 48..<(group.first + group.count) * 48]))
        }
    }

    @Test func rejectsWhatItCannotCompute() {
        let operands = Scattered([4, 6], heads: 2, headDim: 8)
        let out = GuardedMatrix(10, 16)
        let scratch = GuardedMatrix(1, 1 << 16)
        func status(
            _ isa: ck_isa = CK_ISA_PORTABLE, groups: [ck_row_group]? = nil,
            _ change: (inout ck_scattered_args) -> Void = { _ in }
        ) -> ck_status {
            (groups ?? operands.groups).withUnsafeBufferPointer { groups in
                operands.withArguments(out) { arguments in
                    var context = ck_context(isa: isa, pool: nil)
                    (arguments.groups, arguments.group_count) = (groups.baseAddress, groups.count)
                    change(&arguments)
                    return ck_scattered_f32(&context, &arguments, scratch.pointer)
                }
            }
        }
        #expect(status() == CK_OK)
        #expect(status { $0.rows = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.rows = 9 } == CK_BAD_SHAPE)
        #expect(status { $0.heads = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.heads = .max } == CK_BAD_SHAPE)
        #expect(status { $0.head_dim = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.head_dim = 1025 } == CK_BAD_SHAPE)
        for (first, second) in [
            ((0, 5), (4, 6)), ((4, 6), (0, 4)), ((0, 4), (4, 7)), ((0, 4), (11, 0)), ((0, 1), (4, .max)),
        ] {
            let groups = [first, second].map { ck_row_group(first: $0.0, count: $0.1) }
            #expect(status(groups: groups) == CK_BAD_SHAPE, "\(first), \(second)")
        }
        #expect(status { $0.groups = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.q = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.k = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.v = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.q_stride = 15 } == CK_BAD_ARGUMENT)
        #expect(status { $0.k_stride = 15 } == CK_BAD_ARGUMENT)
        #expect(status { $0.v_stride = 15 } == CK_BAD_ARGUMENT)
        #expect(status { $0.out_stride = 15 } == CK_BAD_ARGUMENT)
        #expect(status(CK_ISA_COUNT) == CK_UNAVAILABLE)
    }
}
