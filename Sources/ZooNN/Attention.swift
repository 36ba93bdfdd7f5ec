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
    /// Injective linear attention, arXiv 2412.06590; without rotary position embedding.
    case inline(InLineKernel)

    /// Writes `(core(q, k, v) + local) * gate` to `output`.
    ///
    /// - Parameters:
    ///   - queries, keys, values: [batch, tokens, heads * headDim] each, on the token grid of the map; softmax attention
    ///     takes another number of keys and values than of queries.
    ///   - local: added to the core's output; may be `output` itself. `nil` for none.
    ///   - gate: multiplied at the end; `nil` for none.
    ///   - rope: rotary position embedding over the grid; `headDim` is then a multiple of 4.
    ///   - windows: attention within windows of the grid instead of over all of it; softmax attention only.
    ///   - bias: added to the scores; softmax attention only.
    package func callAsFunction(
        queries: FeatureMap, keys: FeatureMap, values: FeatureMap, heads: Int, rope: Bool,
        windows: AttentionWindows? = nil, bias: ScoreBias? = nil, local: FeatureMap? = nil, gate: FeatureMap? = nil,
        into output: FeatureMap, on runtime: Runtime
    ) {
        let headDim = queries.channels / heads
        var arguments = ck_attention_args(
            batch: queries.batch, heads: heads, tokens: windows?.tokens ?? queries.tokens,
            key_tokens: windows?.tokens ?? keys.tokens, head_dim: headDim, q: queries.base,
            k: keys.base, v: values.base, q_stride: queries.stride, k_stride: keys.stride, v_stride: values.stride,
            rope: rope ? runtime.rope(height: queries.height, width: queries.width, headDim: headDim) : nil,
            bias: bias?.base, bias_stride: bias?.stride ?? 0, windows: nil,
            local: local.map { UnsafePointer($0.base) }, local_stride: local?.stride ?? 0,
            gate: gate.map { UnsafePointer($0.base) }, gate_stride: gate?.stride ?? 0, out: output.base,
            out_stride: output.stride)
        guard let windows else {
            runtime.run(AttentionCall(core: self, arguments: arguments), in: "attention")
            return
        }
        withUnsafePointer(to: windows.ck(height: queries.height, width: queries.width)) { windows in
            arguments.windows = windows
            runtime.run(AttentionCall(core: self, arguments: arguments), in: "attention")
        }
    }

    /// Multiply-adds of the core, counted as the papers' code does: two products of tokens x d per token or channel.
    ///
    /// - Parameter keys: where they are not as many as the tokens.
    package func cost(tokens: Int, keys: Int? = nil, heads: Int, headDim: Int) -> Cost {
        switch self {
        case .softmax: Cost(attention: 2 * tokens * (keys ?? tokens) * headDim * heads)
        case .rala: Cost(attention: 2 * tokens * headDim * headDim * heads + 2 * tokens * headDim * heads)
        case .mala: Cost(attention: 2 * tokens * headDim * headDim * heads + tokens * headDim * heads)
        case .inline: Cost(attention: 2 * tokens * headDim * headDim * heads + tokens * headDim * heads)
        }
    }
}

extension AttentionCore: CustomStringConvertible {
    package var description: String {
        switch self {
        case .softmax: "softmax"
        case .rala: "rala"
        case .mala: "mala"
        case .inline(let kernel): "inline \(kernel)"
        }
    }
}

/// The kernel function of InLine attention, applied to queries and keys element by element.
package enum InLineKernel: String, Sendable, CaseIterable {
    case identity, relu
    /// Slope 0.01 below zero.
    case leakyrelu
    /// exp(0.2 x)
    case exp

    fileprivate var function: ck_inline_function {
        switch self {
        case .identity: CK_INLINE_IDENTITY
        case .relu: CK_INLINE_RELU
        case .leakyrelu: CK_INLINE_LEAKY_RELU
        case .exp: CK_INLINE_EXP
        }
    }
}

/// Windows of a token grid that attend to themselves: the grid is rolled up and to the left, padded at the bottom and on
/// the right up to whole windows, and cut; outputs go back to where their query came from.
package struct AttentionWindows {
    package var height: Int
    package var width: Int
    /// Rows and columns that the grid is rolled by, less than the window and the grid have.
    package var shiftY = 0
    package var shiftX = 0
    /// Added to the score of two tokens of a window that are neighbours only because the grid was rolled.
    package var separation: Float = 0
    /// Keys and values, [heads * headDim], of every token of the padding; `nil` for zeros.
    package var outsideKey: UnsafePointer<Float>?
    package var outsideValue: UnsafePointer<Float>?

    package init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    package var tokens: Int { height * width }

    fileprivate func ck(height: Int, width: Int) -> ck_windows {
        ck_windows(
            height: height, width: width, window_height: self.height, window_width: self.width, shift_y: shiftY,
            shift_x: shiftX, separation: separation, outside_key: outsideKey, outside_value: outsideValue)
    }
}

/// What is added to the scaled scores of softmax attention: [heads][keys][queries], `stride` floats from key to key.
package struct ScoreBias {
    package let base: UnsafePointer<Float>
    package let stride: Int

    package init(base: UnsafePointer<Float>, stride: Int) {
        self.base = base
        self.stride = stride
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
        let keys = arguments.key_tokens == arguments.tokens ? "" : "(\(arguments.key_tokens))"
        let windows = arguments.windows.map { " windows of \($0.pointee.height)x\($0.pointee.width)" } ?? ""
        return "\(core) \(arguments.batch)x\(arguments.heads)x\(arguments.tokens)\(keys)x\(arguments.head_dim)"
            + windows + (arguments.rope == nil ? "" : " rope") + (arguments.bias == nil ? "" : " bias")
            + (arguments.local == nil ? "" : " local") + (arguments.gate == nil ? "" : " gate")
    }

    package var multiplyAdds: Int {
        let windows = ck_window_count(arguments.windows)
        return core.cost(
            tokens: arguments.tokens, keys: arguments.key_tokens, heads: arguments.batch * windows * arguments.heads,
            headDim: arguments.head_dim
        ).attention
    }

    package var bytes: Int {
        let grid = arguments.windows.map { $0.pointee.height * $0.pointee.width }
        let maps = 2 + (arguments.local == nil ? 0 : 1) + (arguments.gate == nil ? 0 : 1)
        let rows = maps * (grid ?? arguments.tokens) + 2 * (grid ?? arguments.key_tokens)
        let bias = arguments.bias == nil ? 0 : arguments.heads * arguments.tokens * arguments.key_tokens
        return 4 * (rows * arguments.batch * arguments.heads * arguments.head_dim + bias)
    }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: arguments) { arguments in
            switch core {
            case .softmax: ck_softmax_attention_scratch(context, arguments)
            case .rala: ck_rala_scratch(context, arguments)
            case .mala: ck_mala_scratch(context, arguments)
            case .inline: ck_inline_scratch(context, arguments)
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
            case .inline(let kernel): ck_inline_f32(context, arguments, kernel.function, scratch)
            }
        }
    }
}
