import CKernels
import TestSupport
import Testing
import ZooIO

/// Softmax attention within windows of a grid.
private struct WindowCase: CustomTestStringConvertible {
    var batch = 2
    var heads = 2
    var headDim = 12
    var grid: (height: Int, width: Int)
    var window: (height: Int, width: Int)
    var shift = (y: 0, x: 0)
    var separation: Float = 0
    var bias = false
    var outside = false
    var ends = false

    var tokens: Int { window.height * window.width }
    var channels: Int { heads * headDim }
    var down: Int { (grid.height + window.height - 1) / window.height }
    var across: Int { (grid.width + window.width - 1) / window.width }

    var testDescription: String {
        "grid \(grid), window \(window), shift \(shift), separation \(separation), bias \(bias), outside \(outside), "
            + "\(batch)x\(heads)x\(headDim)"
    }

    /// The row of the image that a token of a window has; `nil` in the padding.
    func row(_ window: Int, _ token: Int) -> Int? {
        let (y, x) = place(window, token)
        guard y < grid.height, x < grid.width else { return nil }
        return (y + shift.y) % grid.height * grid.width + (x + shift.x) % grid.width
    }

    /// The place of a window's token on the rolled and padded map.
    func place(_ window: Int, _ token: Int) -> (y: Int, x: Int) {
        (
            window / across * self.window.height + token / self.window.width,
            window % across * self.window.width + token % self.window.width
        )
    }
}

/// Operands of a case in guarded memory.
private final class WindowOperands {
    let shape: WindowCase
    let queries: GuardedMatrix
    let keys: GuardedMatrix
    let values: GuardedMatrix
    let local: GuardedMatrix
    let gate: GuardedMatrix
    let bias: GuardedMatrix
    let outside: GuardedMatrix

    init(_ shape: WindowCase, seed: Int = 1) {
        self.shape = shape
        let rows = shape.batch * shape.grid.height * shape.grid.width
        func matrix() -> GuardedMatrix { GuardedMatrix(rows, shape.channels, stride: shape.channels + 5) }
        (queries, keys, values, local, gate) = (matrix(), matrix(), matrix(), matrix(), matrix())
        bias = GuardedMatrix(shape.heads * shape.tokens, shape.tokens, stride: shape.tokens + 3)
        outside = GuardedMatrix(2, shape.channels)
        var noise = Noise(seed)
        for matrix in [queries, keys, values, local, gate, bias, outside] { matrix.fill(&noise) }
    }

    func run(_ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
        let out = GuardedMatrix(queries.rows, queries.columns, stride: queries.stride)
        var windows = ck_windows(
            height: shape.grid.height, width: shape.grid.width, window_height: shape.window.height,
            window_width: shape.window.width, shift_y: shape.shift.y, shift_x: shape.shift.x,
            separation: shape.separation, outside_key: shape.outside ? UnsafePointer(outside.pointer) : nil,
            outside_value: shape.outside ? UnsafePointer(outside.pointer + outside.stride) : nil)
        let status = withUnsafePointer(to: &windows) { windows in
            var arguments = ck_attention_args()
            (arguments.batch, arguments.heads, arguments.head_dim) = (shape.batch, shape.heads, shape.headDim)
            (arguments.tokens, arguments.key_tokens) = (shape.tokens, shape.tokens)
            (arguments.q, arguments.q_stride) = (UnsafePointer(queries.pointer), queries.stride)
            (arguments.k, arguments.k_stride) = (UnsafePointer(keys.pointer), keys.stride)
            (arguments.v, arguments.v_stride) = (UnsafePointer(values.pointer), values.stride)
            (arguments.out, arguments.out_stride) = (out.pointer, out.stride)
            if shape.bias { (arguments.bias, arguments.bias_stride) = (UnsafePointer(bias.pointer), bias.stride) }
            if shape.ends {
                (arguments.local, arguments.local_stride) = (UnsafePointer(local.pointer), local.stride)
                (arguments.gate, arguments.gate_stride) = (UnsafePointer(gate.pointer), gate.stride)
            }
            arguments.windows = windows
            var context = ck_context(isa: isa, pool: pool?.pool)
            let scratch = guardedScratch(bytes: ck_softmax_attention_scratch(&context, &arguments))
            let status = ck_softmax_attention_f32(&context, &arguments, scratch.pointer)
            #expect(scratch.surroundingsIntact, "scratch overrun")
            return status
        }
        #expect(status == CK_OK)
        #expect(out.surroundingsIntact, "output overrun")
        return out
    }

    /// The same by copies: each window's tokens gathered, attended to as an image of their own, and put back. The mask
    /// is written out as a bias from the labels of the published code.
    func runByCopies(_ isa: ck_isa) -> GuardedMatrix {
        let out = GuardedMatrix(queries.rows, queries.columns, stride: queries.stride)
        let image = shape.grid.height * shape.grid.width
        for window in 0..<shape.down * shape.across {
            for element in 0..<shape.batch {
                func gathered(_ from: GuardedMatrix, padding: Int?) -> GuardedMatrix {
                    let rows = GuardedMatrix(shape.tokens, shape.channels)
                    rows.update { token, column, _ in
                        if let row = shape.row(window, token) {
                            return from.pointer[(element * image + row) * from.stride + column]
                        }
                        return padding.map { outside.pointer[$0 * outside.stride + column] } ?? 0
                    }
                    return rows
                }
                let (q, k) = (gathered(queries, padding: nil), gathered(keys, padding: shape.outside ? 0 : nil))
                let v = gathered(values, padding: shape.outside ? 1 : nil)
                let result = GuardedMatrix(shape.tokens, shape.channels)
                let mask = self.mask(window)
                var arguments = ck_attention_args()
                (arguments.batch, arguments.heads, arguments.head_dim) = (1, shape.heads, shape.headDim)
                (arguments.tokens, arguments.key_tokens) = (shape.tokens, shape.tokens)
                (arguments.q, arguments.q_stride) = (UnsafePointer(q.pointer), q.stride)
                (arguments.k, arguments.k_stride) = (UnsafePointer(k.pointer), k.stride)
                (arguments.v, arguments.v_stride) = (UnsafePointer(v.pointer), v.stride)
                (arguments.bias, arguments.bias_stride) = (UnsafePointer(mask.pointer), mask.stride)
                (arguments.out, arguments.out_stride) = (result.pointer, result.stride)
                var context = ck_context(isa: isa, pool: nil)
                let scratch = guardedScratch(bytes: ck_softmax_attention_scratch(&context, &arguments))
                #expect(ck_softmax_attention_f32(&context, &arguments, scratch.pointer) == CK_OK)
                for token in 0..<shape.tokens {
                    guard let row = shape.row(window, token) else { continue }
                    for column in 0..<shape.channels {
                        out.pointer[(element * image + row) * out.stride + column] =
                            result.pointer[token * result.stride + column]
                    }
                }
            }
        }
        return out
    }

    /// [heads][keys][queries]
    private func mask(_ window: Int) -> GuardedMatrix {
        func band(_ place: Int, _ size: Int, _ window: Int, _ shift: Int) -> Int {
            let padded = (size + window - 1) / window * window
            return shift == 0 ? 0 : place < padded - window ? 0 : place < padded - shift ? 1 : 2
        }
        func label(_ token: Int) -> Int {
            let (y, x) = shape.place(window, token)
            return 3 * band(y, shape.grid.height, shape.window.height, shape.shift.y)
                + band(x, shape.grid.width, shape.window.width, shape.shift.x)
        }
        let mask = GuardedMatrix(shape.heads * shape.tokens, shape.tokens)
        mask.update { row, query, _ in label(row % shape.tokens) == label(query) ? 0 : shape.separation }
        return mask
    }
}

@Suite struct WindowAttentionTests {
    private static let cases = [
        WindowCase(grid: (14, 14), window: (7, 7), shift: (3, 3), separation: -100),
        WindowCase(heads: 3, headDim: 32, grid: (14, 21), window: (7, 7)),
        WindowCase(batch: 3, grid: (10, 9), window: (4, 4), shift: (2, 2), separation: -100, outside: true),
        WindowCase(grid: (10, 9), window: (4, 4), outside: true),
        WindowCase(grid: (6, 8), window: (6, 7), shift: (0, 3), separation: -100, outside: true),
        WindowCase(grid: (5, 7), window: (2, 3), shift: (1, 2)),
        WindowCase(heads: 1, headDim: 5, grid: (1, 1), window: (1, 1)),
        WindowCase(heads: 1, headDim: 33, grid: (3, 2), window: (7, 5), outside: true),
        WindowCase(batch: 1, headDim: 64, grid: (24, 24), window: (12, 12), shift: (6, 6), separation: -100),
        WindowCase(batch: 1, headDim: 16, grid: (28, 28), window: (28, 7)),
        WindowCase(batch: 1, headDim: 16, grid: (28, 28), window: (2, 28)),
        WindowCase(batch: 1, headDim: 8, grid: (20, 37), window: (20, 19), shift: (10, 9), separation: -50),
    ]

    /// Index arithmetic changes nothing: bit for bit what rolled, padded and partitioned copies give.
    @Test(arguments: runnableISAs)
    func windowsEqualCopies(isa: ck_isa) {
        for shape in Self.cases {
            let operands = WindowOperands(shape)
            #expect(operands.run(isa).bits == operands.runByCopies(isa).bits, "\(shape.testDescription)")
        }
    }

    /// The tolerance is that of attention without windows.
    @Test(arguments: fastISAs)
    func fidelityWithBiasAndEnds(isa: ck_isa) {
        for (index, shape) in Self.cases.enumerated() {
            var shape = shape
            (shape.bias, shape.ends) = (true, index % 2 == 0)
            let operands = WindowOperands(shape, seed: index)
            let distance = operands.run(isa).distance(from: operands.run(CK_ISA_REF)).relativeL2
            #expect(distance < 4e-6, "\(shape.testDescription)")
        }
    }

    @Test(arguments: runnableISAs)
    func determinismOverThreads(isa: ck_isa) throws {
        var shape = Self.cases[2]
        shape.bias = true
        let operands = WindowOperands(shape)
        let single = operands.run(isa).bits
        for threads in [2, 3, 8] {
            #expect(operands.run(isa, pool: try TestPool(threads: threads)).bits == single, "\(threads) threads")
        }
    }

    /// Queries attend to any number of keys: as to more keys of which a bias of minus infinity leaves the first ones.
    @Test(arguments: runnableISAs, [(1, 40), (70, 9), (49, 300), (5, 1)])
    func attendsToAnyNumberOfKeys(isa: ck_isa, counts: (tokens: Int, keys: Int)) {
        let (tokens, keys) = counts
        let most = keys + 21
        let (batch, heads, headDim) = (2, 2, 20)
        let channels = heads * headDim
        var noise = Noise(tokens)
        let q = GuardedMatrix(batch * tokens, channels)
        let bias = GuardedMatrix(heads * most, tokens)
        let (k, v) = (GuardedMatrix(batch * most, channels), GuardedMatrix(batch * most, channels))
        for matrix in [q, k, v] { matrix.fill(&noise) }
        bias.update { row, _, _ in row % most < keys ? 0 : -.infinity }
        let (fewK, fewV) = (GuardedMatrix(batch * keys, channels), GuardedMatrix(batch * keys, channels))
        for (few, all) in [(fewK, k), (fewV, v)] {
            few.update { row, column, _ in all.pointer[(row / keys * most + row % keys) * all.stride + column] }
        }
        func run(_ k: GuardedMatrix, _ v: GuardedMatrix, keys: Int, bias: GuardedMatrix?) -> GuardedMatrix {
            let out = GuardedMatrix(batch * tokens, channels)
            var arguments = ck_attention_args()
            (arguments.batch, arguments.heads, arguments.head_dim) = (batch, heads, headDim)
            (arguments.tokens, arguments.key_tokens) = (tokens, keys)
            (arguments.q, arguments.q_stride) = (UnsafePointer(q.pointer), q.stride)
            (arguments.k, arguments.k_stride) = (UnsafePointer(k.pointer), k.stride)
            (arguments.v, arguments.v_stride) = (UnsafePointer(v.pointer), v.stride)
            (arguments.out, arguments.out_stride) = (out.pointer, out.stride)
            if let bias { (arguments.bias, arguments.bias_stride) = (UnsafePointer(bias.pointer), bias.stride) }
            var context = ck_context(isa: isa, pool: nil)
            let scratch = guardedScratch(bytes: ck_softmax_attention_scratch(&context, &arguments))
            #expect(ck_softmax_attention_f32(&context, &arguments, scratch.pointer) == CK_OK)
            #expect(scratch.surroundingsIntact && out.surroundingsIntact)
            return out
        }
        let few = run(fewK, fewV, keys: keys, bias: nil)
        #expect(few.distance(from: run(k, v, keys: most, bias: bias)).relativeL2 < 1e-6)
    }

    @Test func rejectsWindowsThatDoNotFit() {
        var windows = ck_windows()
        var arguments = ck_attention_args()
        func bytes(_ change: (inout ck_windows, inout ck_attention_args) -> Void) -> Int {
            windows = ck_windows(
                height: 8, width: 6, window_height: 4, window_width: 3, shift_y: 2, shift_x: 1, separation: -100,
                outside_key: nil, outside_value: nil)
            arguments = ck_attention_args()
            (arguments.batch, arguments.heads, arguments.head_dim) = (1, 1, 4)
            (arguments.tokens, arguments.key_tokens) = (12, 12)
            change(&windows, &arguments)
            return withUnsafePointer(to: &windows) { windows in
                arguments.windows = windows
                var context = ck_context(isa: CK_ISA_PORTABLE, pool: nil)
                #expect(ck_rala_scratch(&context, &arguments) == 0)
                #expect(ck_mala_scratch(&context, &arguments) == 0)
                return ck_softmax_attention_scratch(&context, &arguments)
            }
        }
        #expect(bytes { _, _ in } > 0)
        #expect(bytes { windows, _ in windows.height = 0 } == 0)
        #expect(bytes { windows, _ in windows.window_width = 0 } == 0)
        #expect(bytes { windows, _ in windows.height = .max } == 0)
        #expect(bytes { windows, _ in windows.shift_y = 4 } == 0)
        #expect(bytes { windows, _ in (windows.width, windows.shift_x) = (2, 2) } == 0)
        #expect(bytes { _, arguments in arguments.tokens = 11 } == 0)
        #expect(bytes { _, arguments in arguments.key_tokens = 13 } == 0)
        let tables = RopeTables(height: 4, width: 3, headDim: 4)
        withUnsafePointer(to: tables.rope) { rope in
            #expect(bytes { _, arguments in arguments.rope = rope } == 0)
        }
    }
}
