import CKernels
import ZooCore

/// The attention cores: from queries, keys and values to one output per query, read in place from a packed
/// projection.
package enum AttentionCore: Sendable {
    /// softmax(q k^T / sqrt(d)) v
    case softmax
    /// Rank-augmented linear attention, arXiv 2411.07635.
    case rala
    /// Magnitude-aware linear attention, arXiv 2507.00698.
    case mala

    /// Writes `(core(q, k, v) + local) * gate` to `output`.
    ///
    /// - Parameters:
    ///   - queries, keys, values: [batch, tokens, heads * headDim] each, on the token grid of the map.
    ///   - local: added to the core's output; may be `output` itself. `nil` for none.
    ///   - gate: multiplied at the end; `nil` for none.
    ///   - rope: rotary position embedding over the grid; `headDim` is then a multiple of 4.
    package func callAsFunction(
        queries: FeatureMap, keys: FeatureMap, values: FeatureMap, heads: Int, rope: Bool, local: FeatureMap? = nil,
        gate: FeatureMap? = nil, into output: FeatureMap, on runtime: Runtime
    ) {
        let headDim = queries.channels / heads
        let arguments = ck_attention_args(
            batch: queries.batch, heads: heads, tokens: queries.tokens, head_dim: headDim, q: queries.base,
            k: keys.base, v: values.base, q_stride: queries.stride, k_stride: keys.stride, v_stride: values.stride,
            rope: rope ? runtime.rope(height: queries.height, width: queries.width, headDim: headDim) : nil,
            local: local.map { UnsafePointer($0.base) }, local_stride: local?.stride ?? 0,
            gate: gate.map { UnsafePointer($0.base) }, gate_stride: gate?.stride ?? 0, out: output.base,
            out_stride: output.stride)
        runtime.run(AttentionCall(core: self, arguments: arguments), in: "attention")
    }

    /// Multiply-adds of the core, counted as the papers' code does: two products of tokens x d per token or channel.
    package func cost(tokens: Int, heads: Int, headDim: Int) -> Cost {
        switch self {
        case .softmax: Cost(attention: 2 * tokens * tokens * headDim * heads)
        case .rala: Cost(attention: 2 * tokens * headDim * headDim * heads + 2 * tokens * headDim * heads)
        case .mala: Cost(attention: 2 * tokens * headDim * headDim * heads + tokens * headDim * heads)
        }
    }
}

/// One run of an attention core.
package struct AttentionCall: KernelCall {
    package let core: AttentionCore
    package var arguments: ck_attention_args

    package init(core: AttentionCore, arguments: ck_attention_args) {
        self.core = core
        self.arguments = arguments
    }

    package var kind: KernelKind { .attention }

    package var shape: String {
        "\(core) \(arguments.batch)x\(arguments.heads)x\(arguments.tokens)x\(arguments.head_dim)"
            + (arguments.rope == nil ? "" : " rope") + (arguments.local == nil ? "" : " local")
            + (arguments.gate == nil ? "" : " gate")
    }

    package var multiplyAdds: Int {
        core.cost(tokens: arguments.tokens, heads: arguments.heads * arguments.batch, headDim: arguments.head_dim)
            .attention
    }

    package var bytes: Int {
        let maps = 4 + (arguments.local == nil ? 0 : 1) + (arguments.gate == nil ? 0 : 1)
        return 4 * maps * arguments.batch * arguments.heads * arguments.tokens * arguments.head_dim
    }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: arguments) { arguments in
            switch core {
            case .softmax: ck_softmax_attention_scratch(context, arguments)
            case .rala: ck_rala_scratch(context, arguments)
            case .mala: ck_mala_scratch(context, arguments)
            }
        }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: arguments) { arguments in
            switch core {
            case .softmax: ck_softmax_attention_f32(context, arguments, scratch)
            case .rala: ck_rala_f32(context, arguments, scratch)
            case .mala: ck_mala_f32(context, arguments, scratch)
            }
        }
    }
}
