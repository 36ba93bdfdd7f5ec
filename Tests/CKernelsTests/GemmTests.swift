import CKernels
import COpenBLAS
import Testing
import ZooCore

/// The sizes of one product and what it reads and writes.
struct Product {
    let rows: Int
    let n: Int
    let k: Int
    let epsilon: Float
    /// Rows that share an affine part of the norm; `nil` for a norm without one.
    let affineRows: Int?
    /// Scales and shifts of the norm side by side, one row for each affine part.
    let affine: GuardedMatrix
    let x: GuardedMatrix
    let weight: GuardedMatrix
    let packed: PackedOperand
    let operands: EndOperands

    init(
        rows: Int, n: Int, k: Int, precision: Precision = .fp32, ends: Ends = Ends(), normalised: Bool = false,
        affineRows: Int? = nil, padding: Int = 0, misalignment: Int = 0, seed: Int = 1
    ) {
        (self.rows, self.n, self.k, self.affineRows) = (rows, n, k, affineRows)
        epsilon = normalised ? 1e-6 : 0
        var noise = Noise(seed)
        affine = GuardedMatrix((rows - 1) / (affineRows ?? rows) + 1, 2 * k, stride: 2 * k + padding)
        affine.fill(&noise, around: 0.5)
        weight = GuardedMatrix(n, k, stride: k + padding)
        weight.fill(&noise)
        x = GuardedMatrix(rows, k, stride: k + padding, misalignment: misalignment)
        x.fill(&noise, around: 0.25)
        packed = PackedOperand(weight, precision: precision)
        operands = EndOperands(ends, rows: rows, n: n, padding: padding, misalignment: misalignment, noise: &noise)
    }

    var arguments: ck_gemm_args {
        ck_gemm_args(
            rows: rows, n: n, k: k, x: x.pointer, x_stride: x.stride, norm_epsilon: epsilon,
            norm_affine: affineRows.map {
                ck_norm_affine(
                    scale: affine.pointer, shift: affine.pointer + k, rows: $0 < rows ? $0 : 0, stride: affine.stride)
            } ?? ck_norm_affine(), packed: packed.fp32, packed_bf16: packed.bf16, out: operands.out.pointer,
            out_stride: operands.out.stride,
            epilogue: operands.epilogue)
    }

    /// Runs the kernel in scratch of the size it asks for.
    func run(_ isa: ck_isa, pool: TestPool? = nil) {
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = arguments
        let scratch = guardedScratch(bytes: ck_gemm_scratch(&context, &arguments))
        #expect(ck_gemm_f32(&context, &arguments, scratch.pointer) == CK_OK)
        #expect(scratch.surroundingsIntact, "scratch overrun")
    }

    /// A row as it is multiplied, in double: the values, the size of the terms they come from, and by how much they differ
    /// when the norm, within its error of a few units in the last place, falls to the other side of a rounding to bf16.
    private func inputs(row: Int) -> [(value: Double, magnitude: Double, slack: Double)] {
        let values = (0..<k).map { Double(x.pointer[row * x.stride + $0]) }
        guard epsilon > 0 else {
            return values.map { value in
                let rounded = packed.precision.rounded(Float(value))
                return (rounded, abs(rounded), 0)
            }
        }
        let mean = values.reduce(0, +) / Double(k)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(k)
        let factor = 1 / (variance + Double(epsilon)).squareRoot()
        return values.indices.map { i in
            var normalised = (values[i] - mean) * factor
            var magnitude = (abs(values[i]) + 2 * abs(mean)) * factor
            if let affineRows {
                let own = affine.pointer + row / affineRows * affine.stride
                normalised = normalised * Double(own[i]) + Double(own[k + i])
                magnitude = magnitude * Double(abs(own[i])) + Double(abs(own[k + i]))
            }
            guard packed.precision == .bf16 else { return (normalised, magnitude, 0) }
            let error = 0x1p-20 * magnitude
            let (low, high) = (nearestBF16(Float(normalised - error)), nearestBF16(Float(normalised + error)))
            return (Double(nearestBF16(Float(normalised))), magnitude, Double(high - low))
        }
    }

    /// The largest error over the outputs, in units of the bound; infinite when something else was touched.
    func worstError(exact: Bool) -> Double {
        guard operands.out.surroundingsIntact, packed.storage.surroundingsIntact else { return .infinity }
        var worst = 0.0
        for row in 0..<rows {
            let inputs = inputs(row: row)
            for column in 0..<n {
                var (sum, magnitude, slack) = (0.0, 0.0, 0.0)
                for (i, input) in inputs.enumerated() {
                    let w = packed.precision.rounded(weight.pointer[column * weight.stride + i])
                    sum += input.value * w
                    magnitude += input.magnitude * abs(w)
                    slack += input.slack * abs(w)
                }
                let (value, bound) = operands.expected(
                    row: row, column: column, product: sum, magnitude: magnitude, k: k, exact: exact, slack: slack)
                let error = abs(Double(operands.out.pointer[row * operands.out.stride + column]) - value)
                worst = max(worst, error.isNaN ? .infinity : error / bound)
            }
        }
        return worst
    }
}

@Suite struct GemmTests {
    @Test(arguments: runnableISAs, Precision.allCases)
    func fidelityOnEveryOddSize(isa: ck_isa, precision: Precision) {
        var noise = Noise(7)
        func small() -> Int { Int.random(in: 1...70, using: &noise) }
        var sizes = (1...29).map { ($0, small(), small()) }
        sizes += (1...70).map { (Int.random(in: 1...29, using: &noise), $0, small()) }
        sizes += (1...70).map { (Int.random(in: 1...29, using: &noise), small(), $0) }
        for (index, (rows, n, k)) in sizes.enumerated() {
            let product = Product(
                rows: rows, n: n, k: k, precision: precision, ends: Ends.all[index % Ends.all.count],
                normalised: index % 3 == 0, padding: index % 5, misalignment: index % 4, seed: index)
            product.run(isa)
            #expect(product.worstError(exact: isa == CK_ISA_REF) <= 1, "\(rows) x \(n) x \(k)")
        }
    }

    @Test(arguments: runnableISAs, [(1, 1000, 1024), (57, 33, 513), (29, 64, 257), (130, 96, 600), (240, 400, 260)])
    func fidelityOnLargeSizes(isa: ck_isa, size: (Int, Int, Int)) {
        for precision in Precision.allCases {
            for normalised in [false, true] {
                let product = Product(
                    rows: size.0, n: size.1, k: size.2, precision: precision,
                    ends: Ends(bias: true, residual: .output), normalised: normalised, padding: 3, misalignment: 1)
                product.run(isa)
                #expect(product.worstError(exact: isa == CK_ISA_REF) <= 1, "\(precision)")
            }
        }
    }

    /// A norm whose affine part changes within tiles and blocks, or stays the same.
    @Test(arguments: runnableISAs, [1, 5, 16, 40, 300])
    func fidelityOfAffineNorms(isa: ck_isa, affineRows: Int) {
        for precision in Precision.allCases {
            for (rows, n, k) in [(1, 3, 1), (33, 40, 17), (120, 70, 96), (300, 33, 64)] {
                let product = Product(
                    rows: rows, n: n, k: k, precision: precision, ends: Ends(bias: true), normalised: true,
                    affineRows: affineRows, padding: 3, misalignment: 1, seed: rows)
                product.run(isa)
                #expect(product.worstError(exact: isa == CK_ISA_REF) <= 1, "\(precision) \(rows) x \(n) x \(k)")
                #expect(product.affine.surroundingsIntact)
            }
        }
    }

    @Test(arguments: runnableISAs, Precision.allCases)
    func fidelityOfEveryEpilogue(isa: ck_isa, precision: Precision) {
        for (index, ends) in Ends.all.enumerated() {
            for (n, k) in [(64, 20), (37, 270)] {
                let product = Product(
                    rows: 17, n: n, k: k, precision: precision, ends: ends, normalised: index % 2 == 0, padding: 2,
                    misalignment: 3)
                product.run(isa)
                #expect(product.worstError(exact: isa == CK_ISA_REF) <= 1, "\(ends.testDescription), n \(n)")
            }
        }
    }

    /// A row far from zero with little variance: one pass over squares would lose all digits.
    @Test(arguments: runnableISAs, Precision.allCases)
    func fidelityOfTheNormOnShiftedRows(isa: ck_isa, precision: Precision) {
        let product = Product(rows: 5, n: 32, k: 300, precision: precision, normalised: true)
        for row in 0..<5 { for i in 0..<300 { product.x.pointer[row * 300 + i] += 1000 } }
        product.run(isa)
        #expect(product.worstError(exact: isa == CK_ISA_REF) <= 1)
    }

    @Test(arguments: runnableISAs)
    func fidelityAgainstOpenBLAS(isa: ck_isa) {
        let (rows, n, k) = (83, 150, 410)
        let product = Product(rows: rows, n: n, k: k)
        product.run(isa)
        var expected = [Float](repeating: 0, count: rows * n)
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(rows), blasint(n), blasint(k), 1, product.x.pointer,
            blasint(k), product.weight.pointer, blasint(k), 0, &expected, blasint(n))
        let worst = (0..<rows * n).map { abs(product.operands.out.pointer[$0] - expected[$0]) }.max()
        #expect(worst.map { $0 < 4e-5 } == true)
    }

    @Test(
        arguments: runnableISAs,
        [(300, 70, 300, false), (49, 330, 520, true), (230, 385, 260, true), (1, 700, 40, true)])
    func determinismAcrossThreads(isa: ck_isa, size: (rows: Int, n: Int, k: Int, normalised: Bool)) throws {
        func bits(threads: Int, _ precision: Precision) throws -> [UInt32] {
            let product = Product(
                rows: size.rows, n: size.n, k: size.k, precision: precision,
                ends: Ends(bias: true, activation: CK_ACTIVATION_GELU), normalised: size.normalised)
            product.run(isa, pool: try TestPool(threads: threads))
            return product.operands.out.bits
        }
        for precision in Precision.allCases {
            let alone = try bits(threads: 1, precision)
            for threads in [2, 3, 8] {
                let same = try bits(threads: threads, precision) == alone
                #expect(same, "\(precision), \(threads) threads")
            }
        }
    }

    @Test(arguments: runnableISAs, [false, true])
    func determinismAcrossRowPositions(isa: ck_isa, normalised: Bool) {
        for precision in Precision.allCases { compareRowPositions(isa, precision, normalised: normalised) }
    }

    private func compareRowPositions(_ isa: ck_isa, _ precision: Precision, normalised: Bool) {
        let whole = Product(
            rows: 47, n: 75, k: 270, precision: precision, ends: Ends(bias: true), normalised: normalised)
        whole.run(isa)
        for (first, count) in [(0, 1), (13, 1), (46, 1), (3, 14), (20, 27)] {
            let part = Product(
                rows: count, n: 75, k: 270, precision: precision, ends: Ends(bias: true), normalised: normalised)
            for i in 0..<count * 270 { part.x.pointer[i] = whole.x.pointer[first * 270 + i] }
            part.operands.bias.copyValues(from: whole.operands.bias)
            part.run(isa)
            let same = part.operands.out.bits.elementsEqual(
                whole.operands.out.bits[first * 75..<(first + count) * 75])
            #expect(same, "\(precision), rows \(first)..<\(first + count)")
        }
    }

    @Test func packingFillsTheLastPanelWithZeros() {
        let (n, k) = (45, 7)
        let product = Product(rows: 1, n: n, k: k, padding: 2)
        #expect(ck_gemm_packed_count(n, k) == 64 * k)
        #expect(product.packed.storage.surroundingsIntact)
        for column in 0..<64 {
            for i in 0..<k {
                let expected = column < n ? product.weight.pointer[column * product.weight.stride + i] : 0
                #expect(product.packed.storage.pointer[column / 32 * 32 * k + i * 32 + column % 32] == expected)
            }
        }
    }

    @Test func rejectsUnsoundArguments() {
        let product = Product(rows: 3, n: 5, k: 4, ends: Ends(residual: .separate))
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { scratch.deallocate() }
        func status(isa: ck_isa = CK_ISA_PORTABLE, _ change: (inout ck_gemm_args) -> Void) -> ck_status {
            var context = ck_context(isa: isa, pool: nil)
            var arguments = product.arguments
            change(&arguments)
            return ck_gemm_f32(&context, &arguments, scratch)
        }
        #expect(status { _ in } == CK_OK)
        #expect(status { $0.rows = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.n = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.k = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.k = .max } == CK_BAD_SHAPE)
        #expect(status { $0.x = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.packed = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.x_stride = 3 } == CK_BAD_ARGUMENT)
        #expect(status { $0.out_stride = 4 } == CK_BAD_ARGUMENT)
        #expect(status { $0.epilogue.residual_stride = 4 } == CK_BAD_ARGUMENT)
        #expect(status { $0.epilogue.activation = ck_activation(rawValue: 9) } == CK_BAD_ARGUMENT)
        #expect(status { $0.norm_epsilon = -1 } == CK_BAD_ARGUMENT)
        #expect(status { $0.norm_epsilon = .nan } == CK_BAD_ARGUMENT)
        #expect(status { $0.norm_affine.scale = $0.x } == CK_BAD_ARGUMENT)
        #expect(
            status {
                $0.norm_affine = ck_norm_affine(scale: $0.x, shift: $0.x, rows: 0, stride: 0)
            } == CK_BAD_ARGUMENT)
        #expect(status(isa: CK_ISA_COUNT) { _ in } == CK_UNAVAILABLE)
    }
}
