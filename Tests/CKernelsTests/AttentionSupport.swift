import CKernels
import Testing

/// The attention cores and their entries.
enum Core: String, CaseIterable {
    case softmax, rala, mala
    case inlineIdentity, inlineReLU, inlineLeakyReLU, inlineExp

    /// Whether queries and keys can be turned by their token's place.
    var rotates: Bool { inlineFunction == nil }

    private var inlineFunction: ck_inline_function? {
        switch self {
        case .softmax, .rala, .mala: nil
        case .inlineIdentity: CK_INLINE_IDENTITY
        case .inlineReLU: CK_INLINE_RELU
        case .inlineLeakyReLU: CK_INLINE_LEAKY_RELU
        case .inlineExp: CK_INLINE_EXP
        }
    }

    func scratchBytes(_ context: inout ck_context, _ arguments: inout ck_attention_args) -> Int {
        switch self {
        case .softmax: ck_softmax_attention_scratch(&context, &arguments)
        case .rala: ck_rala_scratch(&context, &arguments)
        case .mala: ck_mala_scratch(&context, &arguments)
        case .inlineIdentity, .inlineReLU, .inlineLeakyReLU, .inlineExp: ck_inline_scratch(&context, &arguments)
        }
    }

    func run(
        _ context: inout ck_context, _ arguments: inout ck_attention_args, _ scratch: UnsafeMutableRawPointer?
    ) -> ck_status {
        switch self {
        case .softmax: ck_softmax_attention_f32(&context, &arguments, scratch)
        case .rala: ck_rala_f32(&context, &arguments, scratch)
        case .mala: ck_mala_f32(&context, &arguments, scratch)
        case .inlineIdentity, .inlineReLU, .inlineLeakyReLU, .inlineExp:
            ck_inline_f32(&context, &arguments, inlineFunction ?? CK_INLINE_COUNT, scratch)
        }
    }
}

/// The tables of a token grid.
final class RopeTables {
    private let tables: GuardedMatrix
    private(set) var rope = ck_rope()

    init(height: Int, width: Int, headDim: Int) {
        tables = GuardedMatrix(1, ck_rope_count(height, width, headDim))
        #expect(ck_rope_fill(height, width, headDim, tables.pointer, &rope) == CK_OK)
        #expect(tables.surroundingsIntact)
    }
}

/// The sizes of an attention and what it ends in.
struct AttentionShape: CustomTestStringConvertible {
    enum Local { case none, separate, output }

    var batch = 1
    var heads = 1
    var height = 1
    var width: Int
    var headDim: Int
    var rope = true
    var local = Local.none
    var gate = false
    var padding = 0
    var misalignment = 0

    var tokens: Int { height * width }
    var channels: Int { heads * headDim }
    var rows: Int { batch * tokens }

    var testDescription: String {
        "batch \(batch), heads \(heads), \(height)x\(width), d \(headDim), rope \(rope), local \(local), gate \(gate), "
            + "padding \(padding), misaligned by \(misalignment)"
    }
}

/// Operands of one attention in guarded memory, rows `padding` floats apart beyond their length.
final class AttentionOperands {
    let shape: AttentionShape
    let queries: GuardedMatrix
    let keys: GuardedMatrix
    let values: GuardedMatrix
    let local: GuardedMatrix
    let gate: GuardedMatrix
    let tables: RopeTables?

    init(_ shape: AttentionShape, seed: Int = 1, magnitude: Float = 1.5) {
        self.shape = shape
        func matrix() -> GuardedMatrix {
            GuardedMatrix(
                shape.rows, shape.channels, stride: shape.channels + shape.padding, misalignment: shape.misalignment)
        }
        (queries, keys, values, local, gate) = (matrix(), matrix(), matrix(), matrix(), matrix())
        tables = shape.rope ? RopeTables(height: shape.height, width: shape.width, headDim: shape.headDim) : nil
        var noise = Noise(seed)
        for matrix in [queries, keys, values, local, gate] { matrix.fill(&noise) }
        for matrix in [queries, keys, values] {
            matrix.update { $2 * magnitude }
        }
    }

    /// Runs a core in exactly the scratch it asks for, NaN-filled, into a NaN-filled output. A core that does not rotate
    /// gets no rope.
    func run(_ core: Core, _ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
        let out = GuardedMatrix(
            shape.rows, shape.channels, stride: shape.channels + shape.padding, misalignment: shape.misalignment)
        if shape.local == .output { out.copyValues(from: local) }
        let source = shape.local == .output ? out : local
        var context = ck_context(isa: isa, pool: pool?.pool)
        let status = withRope(of: core) { rope in
            var arguments = ck_attention_args(
                batch: shape.batch, heads: shape.heads, tokens: shape.tokens, key_tokens: shape.tokens,
                head_dim: shape.headDim,
                q: queries.pointer, k: keys.pointer, v: values.pointer, q_stride: queries.stride,
                k_stride: keys.stride, v_stride: values.stride, rope: rope, bias: nil, bias_stride: 0, windows: nil,
                local: shape.local == .none ? nil : UnsafePointer(source.pointer), local_stride: source.stride,
                gate: shape.gate ? UnsafePointer(gate.pointer) : nil, gate_stride: gate.stride, out: out.pointer,
                out_stride: out.stride)
            let scratch = guardedScratch(bytes: core.scratchBytes(&context, &arguments))
            let status = core.run(&context, &arguments, scratch.pointer)
            #expect(scratch.surroundingsIntact, "scratch overrun")
            return status
        }
        #expect(status == CK_OK)
        #expect(out.surroundingsIntact, "output overrun")
        return out
    }

    private func withRope<R>(of core: Core, _ body: (UnsafePointer<ck_rope>?) -> R) -> R {
        guard let tables, core.rotates else { return body(nil) }
        return withUnsafePointer(to: tables.rope, body)
    }
}

extension GuardedMatrix {
    /// Replaces every value by `body(row, column, value)`.
    func update(_ body: (_ row: Int, _ column: Int, _ value: Float) -> Float) {
        for row in 0..<rows {
            for column in 0..<columns {
                pointer[row * stride + column] = body(row, column, pointer[row * stride + column])
            }
        }
    }

    /// The values, row by row.
    var values: [Float] { bits.map(Float.init(bitPattern:)) }

    /// Distances from another matrix: relative L2 (0 for equal ones) and the largest of any element. NaN is infinitely
    /// far from a number.
    func distance(from other: GuardedMatrix) -> (relativeL2: Double, largest: Double) {
        var (difference, norm, largest) = (0.0, 0.0, 0.0)
        for (x, y) in zip(values, other.values) where !(x.isNaN && y.isNaN) {
            let distance = abs(Double(x) - Double(y))
            difference += distance * distance
            norm += Double(y) * Double(y)
            largest = max(largest, distance.isNaN ? .infinity : distance)
        }
        if difference == 0 { return (0, 0) }
        return difference.isNaN ? (.infinity, .infinity) : ((difference / norm).squareRoot(), largest)
    }
}
