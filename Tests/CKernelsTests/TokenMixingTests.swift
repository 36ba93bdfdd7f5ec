import CKernels
import Foundation
import Testing

/// Rows of heads in guarded memory: a packed projection with gaps between rows, or one head behind the other.
private final class HeadRows {
    let batch: Int
    let heads: Int
    let tokens: Int
    let dim: Int
    let isPacked: Bool
    let matrix: GuardedMatrix

    init(_ batch: Int, _ heads: Int, _ tokens: Int, _ dim: Int, packed: Bool, noise: inout Noise, magnitude: Float = 2)
    {
        (self.batch, self.heads, self.tokens, self.dim, isPacked) = (batch, heads, tokens, dim, packed)
        let columns = packed ? heads * dim : dim
        matrix = GuardedMatrix(
            batch * tokens * (packed ? 1 : heads), columns, stride: columns + (packed ? 5 : 0),
            misalignment: packed ? 3 : 0)
        matrix.fill(&noise)
        matrix.update { $2 * magnitude }
    }

    var strides: ck_head_strides {
        isPacked
            ? ck_head_strides(batch: tokens * matrix.stride, head: dim, row: matrix.stride)
            : ck_head_strides(batch: heads * tokens * dim, head: tokens * dim, row: dim)
    }

    var pointer: UnsafePointer<Float> { UnsafePointer(matrix.pointer) }

    /// An output of some width in the same layout, filled with NaN.
    func output(dim: Int) -> HeadRows {
        var noise = Noise(1)
        let rows = HeadRows(batch, heads, tokens, dim, packed: isPacked, noise: &noise)
        rows.matrix.update { _, _, _ in .nan }
        return rows
    }
}

/// One kernel of token mixing on given operands: fills an output in exactly the scratch it asks for.
private protocol MixingKernel {
    func scratch(_ context: inout ck_context) -> Int
    func run(_ context: inout ck_context, _ scratch: UnsafeMutableRawPointer?) -> ck_status
}

extension ck_linear_attention_args: MixingKernel {
    func scratch(_ context: inout ck_context) -> Int {
        withUnsafePointer(to: self) { ck_linear_attention_scratch(&context, $0) }
    }
    func run(_ context: inout ck_context, _ scratch: UnsafeMutableRawPointer?) -> ck_status {
        withUnsafePointer(to: self) { ck_linear_attention_f32(&context, $0, scratch) }
    }
}

extension ck_bidirectional_scan_args: MixingKernel {
    func scratch(_ context: inout ck_context) -> Int {
        withUnsafePointer(to: self) { ck_bidirectional_scan_scratch(&context, $0) }
    }
    func run(_ context: inout ck_context, _ scratch: UnsafeMutableRawPointer?) -> ck_status {
        withUnsafePointer(to: self) { ck_bidirectional_scan_f32(&context, $0, scratch) }
    }
}

extension ck_causal_scan_args: MixingKernel {
    func scratch(_ context: inout ck_context) -> Int {
        withUnsafePointer(to: self) { ck_causal_scan_scratch(&context, $0) }
    }
    func run(_ context: inout ck_context, _ scratch: UnsafeMutableRawPointer?) -> ck_status {
        withUnsafePointer(to: self) { ck_causal_scan_f32(&context, $0, scratch) }
    }
}

extension ck_row_map_args: MixingKernel {
    func scratch(_ context: inout ck_context) -> Int {
        withUnsafePointer(to: self) { ck_row_map_scratch(&context, $0) }
    }
    func run(_ context: inout ck_context, _ scratch: UnsafeMutableRawPointer?) -> ck_status {
        withUnsafePointer(to: self) { ck_row_map_f32(&context, $0, scratch) }
    }
}

/// The sizes of one case.
private struct MixingShape: CustomTestStringConvertible {
    var batch = 1
    var heads = 1
    var tokens: Int
    var keyTokens: Int
    var features: Int
    var valueDim: Int
    var packed = true

    init(
        batch: Int = 1, heads: Int = 1, tokens: Int, keys: Int? = nil, features: Int, values: Int, packed: Bool = true
    ) {
        (self.batch, self.heads, self.tokens, self.packed) = (batch, heads, tokens, packed)
        (keyTokens, self.features, valueDim) = (keys ?? tokens, features, values)
    }

    var testDescription: String {
        "\(batch)x\(heads), \(tokens) of \(keyTokens) tokens, \(features) features, \(valueDim) values, packed \(packed)"
    }

    /// Widths around the vectors, several chunks, another number of keys.
    static let odd = [
        MixingShape(tokens: 1, features: 1, values: 1), MixingShape(tokens: 1, features: 64, values: 64, packed: false),
        MixingShape(batch: 3, heads: 2, tokens: 5, features: 3, values: 7),
        MixingShape(batch: 2, heads: 3, tokens: 65, features: 17, values: 15),
        MixingShape(heads: 2, tokens: 197, features: 33, values: 20, packed: false),
        MixingShape(batch: 2, tokens: 130, features: 110, values: 64),
        MixingShape(heads: 2, tokens: 421, features: 16, values: 130, packed: false),
        MixingShape(tokens: 50, features: 128, values: 48),
    ]
}

@Suite struct TokenMixingTests {
    /// float32 sums of these lengths stay below 3e-6 of the result's norm; a wrong index shows as 1e-2 or more.
    private static let tolerance = 5e-6

    /// Runs a kernel in NaN-filled scratch with guards around it.
    private static func status(
        of kernel: some MixingKernel, _ isa: ck_isa, pool: TestPool? = nil
    ) -> ck_status {
        var context = ck_context(isa: isa, pool: pool?.pool)
        let scratch = guardedScratch(bytes: kernel.scratch(&context))
        let status = kernel.run(&context, scratch.pointer)
        #expect(scratch.surroundingsIntact, "scratch overrun")
        return status
    }

    /// Compares every instruction set with the specification and with itself on more threads.
    private static func expectAgreement(
        _ shape: MixingShape, outputDim: Int, like rows: HeadRows, _ comment: Comment,
        _ kernel: (UnsafeMutablePointer<Float>, ck_head_strides) -> some MixingKernel
    ) throws {
        func output(_ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
            let out = rows.output(dim: outputDim)
            #expect(status(of: kernel(out.matrix.pointer, out.strides), isa, pool: pool) == CK_OK)
            #expect(out.matrix.surroundingsIntact, "output overrun")
            return out.matrix
        }
        let truth = output(CK_ISA_REF)
        #expect(truth.values.allSatisfy { $0.isFinite }, comment)
        for isa in fastISAs {
            let own = output(isa)
            #expect(own.distance(from: truth).relativeL2 < tolerance, "\(isa.testDescription), \(comment)")
            let pool = try TestPool(threads: 3)
            #expect(output(isa, pool: pool).bits == own.bits, "\(isa.testDescription), \(comment)")
        }
    }

    /// Every feature map and divisor.
    @Test(arguments: MixingShape.odd)
    fileprivate func fidelityOfLinearAttention(shape: MixingShape) throws {
        var noise = Noise(shape.features)
        let q = HeadRows(
            shape.batch, shape.heads, shape.tokens, shape.features, packed: shape.packed, noise: &noise)
        let k = HeadRows(
            shape.batch, shape.heads, shape.keyTokens, shape.features, packed: shape.packed, noise: &noise)
        let v = HeadRows(
            shape.batch, shape.heads, shape.keyTokens, shape.valueDim, packed: shape.packed, noise: &noise)
        let local = HeadRows(
            shape.batch, shape.heads, shape.tokens, shape.valueDim, packed: !shape.packed, noise: &noise)
        let scale = (0..<shape.heads).map { 0.5 + Float($0) }
        let maps = [
            (CK_FEATURE_ELU1, CK_FEATURE_ELU1, true), (CK_FEATURE_RELU, CK_FEATURE_RELU, true),
            (CK_FEATURE_SILU, CK_FEATURE_TOKEN_SOFTMAX, false), (CK_FEATURE_IDENTITY, CK_FEATURE_TOKEN_SOFTMAX, false),
            (CK_FEATURE_ELU1, CK_FEATURE_IDENTITY, false),
        ]
        for (index, (query, key, normalised)) in maps.enumerated() {
            try scale.withUnsafeBufferPointer { scale in
                try Self.expectAgreement(shape, outputDim: shape.valueDim, like: q, "map \(index)") { out, strides in
                    var args = ck_linear_attention_args()
                    (args.batch, args.heads, args.tokens) = (shape.batch, shape.heads, shape.tokens)
                    (args.key_tokens, args.features, args.value_dim) = (shape.keyTokens, shape.features, shape.valueDim)
                    (args.query_feature, args.key_feature) = (query, key)
                    (args.q, args.q_strides, args.k, args.k_strides) = (q.pointer, q.strides, k.pointer, k.strides)
                    (args.v, args.v_strides, args.out, args.out_strides) = (v.pointer, v.strides, out, strides)
                    (args.normalised, args.epsilon) = (normalised ? 1 : 0, 1e-3)
                    args.lower_bound = index == 1 ? 20 : -.infinity
                    args.scale = index.isMultiple(of: 2) ? scale.baseAddress : nil
                    if index == 3 { (args.local, args.local_strides) = (local.pointer, local.strides) }
                    return args
                }
            }
        }
    }

    @Test func fidelityWithAnotherNumberOfKeys() throws {
        for (tokens, keys) in [(1, 700), (700, 1), (3, 17), (200, 49)] {
            try fidelityOfLinearAttention(
                shape: MixingShape(heads: 2, tokens: tokens, keys: keys, features: 12, values: 20))
        }
    }

    /// Keys in the hundreds neither overflow nor lose the softmax over tokens, whose maximum runs along.
    @Test(arguments: runnableISAs)
    func tokenSoftmaxOfLargeKeysPicksTheLargest(isa: ck_isa) {
        let keys = (0..<500).map { Float(($0 * 37) % 500) }
        let values = (0..<500).map { Float($0) }
        let query: Float = 1
        var out = Float.nan
        let status = keys.withUnsafeBufferPointer { k in
            values.withUnsafeBufferPointer { v in
                withUnsafePointer(to: query) { q in
                    withUnsafeMutablePointer(to: &out) { out in
                        var args = ck_linear_attention_args()
                        (args.batch, args.heads, args.tokens, args.key_tokens) = (1, 1, 1, 500)
                        (args.features, args.value_dim, args.key_feature) = (1, 1, CK_FEATURE_TOKEN_SOFTMAX)
                        (args.q, args.k, args.v, args.out) = (q, k.baseAddress, v.baseAddress, out)
                        (args.q_strides.row, args.k_strides.row) = (1, 1)
                        (args.v_strides.row, args.out_strides.row) = (1, 1)
                        return Self.status(of: args, isa)
                    }
                }
            }
        }
        #expect(status == CK_OK)
        let weights = keys.map { exp(Double($0) - 499) }
        let mean = zip(weights, values).reduce(0) { $0 + $1.0 * Double($1.1) } / weights.reduce(0, +)
        #expect(abs(Double(out) - mean) < 1e-4 * mean)
    }

    @Test(arguments: MixingShape.odd)
    fileprivate func fidelityOfScans(shape: MixingShape) throws {
        var noise = Noise(shape.valueDim)
        func rows(_ dim: Int) -> HeadRows {
            HeadRows(shape.batch, shape.heads, shape.tokens, dim, packed: shape.packed, noise: &noise)
        }
        let (q, k, v, gate) = (
            rows(shape.features), rows(shape.features), rows(shape.valueDim), rows(shape.features)
        )
        for kind in [CK_SCAN_GATED, CK_SCAN_RUNNING_SOFTMAX] {
            try Self.expectAgreement(shape, outputDim: shape.valueDim, like: q, "kind \(kind.rawValue)") {
                out, strides in
                var args = ck_causal_scan_args()
                (args.kind, args.scale) = (kind, 0.3)
                (args.batch, args.heads, args.tokens) = (shape.batch, shape.heads, shape.tokens)
                (args.features, args.value_dim) = (shape.features, shape.valueDim)
                (args.q, args.q_strides, args.k, args.k_strides) = (q.pointer, q.strides, k.pointer, k.strides)
                (args.v, args.v_strides, args.gate, args.gate_strides) = (
                    v.pointer, v.strides, gate.pointer, gate.strides
                )
                (args.out, args.out_strides) = (out, strides)
                return args
            }
        }
        // LION's features are positive, which keeps the divisor away from 0.
        for matrix in [q.matrix, k.matrix] { matrix.update { abs($2) + 0.1 } }
        let decays = (0..<shape.batch * shape.heads * shape.tokens).map { 0.3 + 0.7 * Float($0 % 11) / 11 }
        let order = (0..<shape.tokens).map { shape.tokens - 1 - $0 }
        try order.withUnsafeBufferPointer { order in
            try decays.withUnsafeBufferPointer { decays in
                let perToken = ck_head_strides(batch: shape.heads * shape.tokens, head: shape.tokens, row: 1)
                let perHead = ck_head_strides(batch: 0, head: 1, row: 0)
                for paths in 1...2 {
                    try Self.expectAgreement(shape, outputDim: shape.valueDim, like: q, "\(paths) paths") {
                        out, strides in
                        var args = ck_bidirectional_scan_args()
                        (args.batch, args.heads, args.tokens) = (shape.batch, shape.heads, shape.tokens)
                        (args.features, args.value_dim) = (shape.features, shape.valueDim)
                        (args.q, args.q_strides, args.k, args.k_strides) = (q.pointer, q.strides, k.pointer, k.strides)
                        (args.v, args.v_strides, args.out, args.out_strides) = (v.pointer, v.strides, out, strides)
                        (args.paths, args.epsilon) = (paths, 1e-6)
                        args.path.0 = ck_scan_path(order: nil, decay: decays.baseAddress, decay_strides: perToken)
                        args.path.1 = ck_scan_path(
                            order: order.baseAddress, decay: decays.baseAddress, decay_strides: perHead)
                        return args
                    }
                }
            }
        }
    }

    /// Without decay a scan in both directions is plain linear attention, in any order.
    @Test(arguments: runnableISAs)
    func scansWithoutDecayAreLinearAttention(isa: ck_isa) {
        var noise = Noise(3)
        let rows = (0..<3).map { _ in HeadRows(2, 2, 37, 12, packed: true, noise: &noise) }
        for row in rows { row.matrix.update { abs($2) } }
        var one: Float = 1
        let (scanned, linear) = (rows[0].output(dim: 12), rows[0].output(dim: 12))
        withUnsafePointer(to: &one) { one in
            var scan = ck_bidirectional_scan_args()
            (scan.batch, scan.heads, scan.tokens, scan.features, scan.value_dim, scan.paths) = (2, 2, 37, 12, 12, 1)
            (scan.q, scan.q_strides, scan.k, scan.k_strides) = (
                rows[0].pointer, rows[0].strides, rows[1].pointer, rows[1].strides
            )
            (scan.v, scan.v_strides) = (rows[2].pointer, rows[2].strides)
            scan.path.0 = ck_scan_path(order: nil, decay: one, decay_strides: ck_head_strides())
            (scan.out, scan.out_strides) = (scanned.matrix.pointer, scanned.strides)
            #expect(Self.status(of: scan, isa) == CK_OK)
        }
        var plain = ck_linear_attention_args()
        (plain.batch, plain.heads, plain.tokens, plain.key_tokens) = (2, 2, 37, 37)
        (plain.features, plain.value_dim, plain.normalised, plain.lower_bound) = (12, 12, 1, -.infinity)
        (plain.q, plain.q_strides, plain.k, plain.k_strides) = (
            rows[0].pointer, rows[0].strides, rows[1].pointer, rows[1].strides
        )
        (plain.v, plain.v_strides) = (rows[2].pointer, rows[2].strides)
        (plain.out, plain.out_strides) = (linear.matrix.pointer, linear.strides)
        #expect(Self.status(of: plain, isa) == CK_OK)
        withExtendedLifetime(rows) {}
        #expect(scanned.matrix.distance(from: linear.matrix).relativeL2 < Self.tolerance)
    }

    @Test(arguments: 0..<Int(CK_ROW_COUNT.rawValue))
    func fidelityOfRowFunctions(function: Int) throws {
        for dim in [1, 3, 16, 17, 40, 130] {
            for packed in [false, true] {
                let shape = MixingShape(batch: 2, heads: 3, tokens: 70, features: dim, values: dim, packed: packed)
                var noise = Noise(dim)
                let x = HeadRows(2, 3, 70, dim, packed: packed, noise: &noise)
                let y = HeadRows(2, 3, 70, 9, packed: !packed, noise: &noise, magnitude: 1)
                let gate = HeadRows(2, 3, 70, dim, packed: packed, noise: &noise)
                let vectors = GuardedMatrix(72, dim)
                vectors.fill(&noise, around: 1.5)
                let pair = function == Int(CK_ROW_SOFTMAX_PAIR.rawValue)
                try Self.expectAgreement(shape, outputDim: pair ? 2 * dim : dim, like: x, "\(dim), packed \(packed)") {
                    out, strides in
                    var args = ck_row_map_args()
                    args.function = ck_row_function(rawValue: UInt32(function))
                    (args.batch, args.heads, args.tokens, args.dim) = (2, 3, 70, dim)
                    (args.x, args.x_strides, args.out, args.out_strides) = (x.pointer, x.strides, out, strides)
                    (args.scale, args.offset, args.norm_scale) = (0.7, 1e-3, 0.2)
                    (args.y, args.y_strides, args.y_dim) = (y.pointer, y.strides, 9)
                    (args.gate, args.gate_strides) = (gate.pointer, gate.strides)
                    args.weight = UnsafePointer(vectors.pointer)
                    args.shift = args.weight.map { $0 + dim }
                    args.addend = args.weight.map { $0 + 2 * dim }
                    (args.inner_epsilon, args.outer_epsilon) = (1e-6, 1e-8)
                    return args
                }
            }
        }
    }

    @Test func rejectsWhatItCannotCompute() {
        var noise = Noise(1)
        let rows = HeadRows(1, 2, 6, 8, packed: false, noise: &noise)
        let out = rows.output(dim: 8)
        func linear(_ change: (inout ck_linear_attention_args) -> Void) -> ck_status {
            var args = ck_linear_attention_args()
            (args.batch, args.heads, args.tokens, args.key_tokens, args.features, args.value_dim) = (1, 2, 6, 6, 8, 8)
            (args.q, args.k, args.v, args.out) = (rows.pointer, rows.pointer, rows.pointer, out.matrix.pointer)
            (args.q_strides, args.k_strides, args.v_strides) = (rows.strides, rows.strides, rows.strides)
            args.out_strides = out.strides
            change(&args)
            return Self.status(of: args, CK_ISA_PORTABLE)
        }
        #expect(linear { _ in } == CK_OK)
        #expect(linear { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(linear { $0.batch = .max } == CK_BAD_SHAPE)
        #expect(linear { $0.tokens = 0 } == CK_BAD_SHAPE)
        #expect(linear { $0.key_tokens = 0 } == CK_BAD_SHAPE)
        #expect(linear { $0.features = 1025 } == CK_BAD_SHAPE)
        #expect(linear { $0.value_dim = 0 } == CK_BAD_SHAPE)
        #expect(linear { $0.q = nil } == CK_BAD_ARGUMENT)
        #expect(linear { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(linear { $0.v_strides.row = 7 } == CK_BAD_ARGUMENT)
        #expect(linear { $0.query_feature = CK_FEATURE_TOKEN_SOFTMAX } == CK_BAD_ARGUMENT)
        #expect(linear { $0.key_feature = CK_FEATURE_COUNT } == CK_BAD_ARGUMENT)
        #expect(linear { ($0.key_feature, $0.normalised) = (CK_FEATURE_TOKEN_SOFTMAX, 1) } == CK_BAD_ARGUMENT)
        func causal(_ change: (inout ck_causal_scan_args) -> Void) -> ck_status {
            var args = ck_causal_scan_args()
            (args.batch, args.heads, args.tokens, args.features, args.value_dim) = (1, 2, 6, 8, 8)
            (args.q, args.k, args.v, args.out) = (rows.pointer, rows.pointer, rows.pointer, out.matrix.pointer)
            (args.q_strides, args.k_strides, args.v_strides) = (rows.strides, rows.strides, rows.strides)
            (args.gate, args.gate_strides, args.out_strides) = (rows.pointer, rows.strides, out.strides)
            change(&args)
            return Self.status(of: args, CK_ISA_PORTABLE)
        }
        #expect(causal { _ in } == CK_OK)
        #expect(causal { $0.gate = nil } == CK_BAD_ARGUMENT)
        #expect(causal { $0.kind = ck_causal_scan_kind(rawValue: 2) } == CK_BAD_ARGUMENT)
        #expect(causal { $0.tokens = .max } == CK_BAD_SHAPE)
        #expect(causal { $0.k_strides.row = 7 } == CK_BAD_ARGUMENT)
        var scan = ck_bidirectional_scan_args()
        (scan.batch, scan.heads, scan.tokens, scan.features, scan.value_dim) = (1, 2, 6, 8, 8)
        (scan.q, scan.k, scan.v, scan.out) = (rows.pointer, rows.pointer, rows.pointer, out.matrix.pointer)
        #expect(Self.status(of: scan, CK_ISA_PORTABLE) == CK_BAD_ARGUMENT)
        scan.paths = 1
        #expect(Self.status(of: scan, CK_ISA_PORTABLE) == CK_BAD_ARGUMENT)
        func map(_ change: (inout ck_row_map_args) -> Void) -> ck_status {
            var args = ck_row_map_args()
            (args.batch, args.heads, args.tokens, args.dim) = (1, 2, 6, 8)
            (args.x, args.x_strides, args.out, args.out_strides) = (
                rows.pointer, rows.strides, out.matrix.pointer, out.strides
            )
            change(&args)
            return Self.status(of: args, CK_ISA_PORTABLE)
        }
        #expect(map { _ in } == CK_OK)
        #expect(map { $0.dim = 0 } == CK_BAD_SHAPE)
        #expect(map { $0.function = CK_ROW_COUNT } == CK_BAD_ARGUMENT)
        #expect(map { $0.function = CK_ROW_SOFTMAX_PAIR } == CK_BAD_ARGUMENT)
        #expect(map { $0.x = nil } == CK_BAD_ARGUMENT)
    }
}
