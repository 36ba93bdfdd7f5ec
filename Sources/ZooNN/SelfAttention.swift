import ZooCore

/// Softmax attention of all tokens of an image to each other: the attention module of the plain vision transformer.
package struct SelfAttention: Sendable {
    private let channels: Int
    private let heads: Int
    private let core = AttentionCore.softmax
    private let qkv: Linear
    private let proj: Linear

    /// Reads `qkv` [3 C, C] (queries, keys, values) and `proj` [C, C].
    package init(_ w: Weights, channels: Int, heads: Int, norm: LayerNorm?) {
        self.channels = channels
        self.heads = heads
        qkv = Linear(w["qkv"], in: channels, out: 3 * channels, kernel: .linear, norm: norm)
        proj = Linear(w["proj"], in: channels, out: channels, kernel: .linear)
    }

    /// Writes `residual + attention(norm(x))` to `output`, which may be `residual`, and `x` too.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil, on runtime: Runtime
    ) {
        let workspace = runtime.workspace
        workspace.scope {
            let mixed = x.like(channels: channels, workspace)
            workspace.scope {
                let packed = x.packed(channels: qkv.outputs, workspace)
                qkv(x, into: packed, on: runtime)
                core(
                    queries: packed.columns(0..<channels), keys: packed.columns(channels..<2 * channels),
                    values: packed.columns(2 * channels..<3 * channels), heads: heads, rope: false, into: mixed,
                    on: runtime)
            }
            proj(mixed, into: output, residual: residual, on: runtime)
        }
    }

    /// Multiply-adds over an image of `tokens` tokens.
    package func cost(tokens: Int) -> Cost {
        qkv.cost(pixels: tokens) + proj.cost(pixels: tokens)
            + core.cost(tokens: tokens, heads: heads, headDim: channels / heads)
    }
}
