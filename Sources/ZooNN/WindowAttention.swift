import ZooCore

/// Softmax attention within windows of the map, shifted or not, with a learned bias per relative position: Swin's.
package struct WindowAttention: Sendable {
    private let channels: Int
    private let heads: Int
    private let window: (height: Int, width: Int)
    private let core = AttentionCore.softmax
    private let qkv: Linear
    private let proj: Linear
    /// [heads][keys][queries], `biasStride` floats from key to key
    private let bias: PackedWeight
    private let biasStride: Int

    /// Reads `qkv`, `proj` and `relative_position_bias_table` [(2 height - 1) (2 width - 1), heads], whose row of a query
    /// i and a key j is `(y_i - y_j + height - 1) * (2 width - 1) + x_i - x_j + width - 1`.
    package init(
        _ w: Weights, channels: Int, heads: Int, window: (height: Int, width: Int), norm: LayerNorm?
    ) {
        self.channels = channels
        self.heads = heads
        self.window = window
        qkv = Linear(w["qkv"], in: channels, out: 3 * channels, kernel: .linear, norm: norm)
        proj = Linear(w["proj"], in: channels, out: channels, kernel: .linear)
        let tokens = window.height * window.width
        let table = w.tensor(
            "relative_position_bias_table", [(2 * window.height - 1) * (2 * window.width - 1), heads])
        let stride = (tokens + 15) / 16 * 16
        biasStride = stride
        bias = PackedWeight(count: heads * tokens * stride) { bias in
            bias.update(repeating: 0, count: heads * tokens * stride)
            guard !table.isEmpty else { return }
            for key in 0..<tokens {
                for query in 0..<tokens {
                    let dy = query / window.width - key / window.width + window.height - 1
                    let dx = query % window.width - key % window.width + window.width - 1
                    for head in 0..<heads {
                        bias[(head * tokens + key) * stride + query] =
                            table[(dy * (2 * window.width - 1) + dx) * heads + head]
                    }
                }
            }
        }
    }

    /// Writes `residual + attention(norm(x))` to `output`, which may be `residual`, and `x` too.
    ///
    /// - Parameter shift: rows and columns that the map is rolled by, up and to the left, before it is cut. Tokens that
    ///   only this brings together hardly see each other: their scores are lowered by 100.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil, shift: (y: Int, x: Int),
        on runtime: Runtime
    ) {
        let workspace = runtime.workspace
        workspace.scope {
            let mixed = x.like(channels: channels, workspace)
            workspace.scope {
                let packed = x.like(channels: qkv.outputs, workspace)
                qkv(x, into: packed, on: runtime)
                var windows = AttentionWindows(height: window.height, width: window.width)
                (windows.shiftY, windows.shiftX, windows.separation) = (shift.y, shift.x, -100)
                core(
                    queries: packed.columns(0..<channels), keys: packed.columns(channels..<2 * channels),
                    values: packed.columns(2 * channels..<3 * channels), heads: heads, rope: false, windows: windows,
                    bias: ScoreBias(base: bias.pointer, stride: biasStride), into: mixed, on: runtime)
            }
            proj(mixed, into: output, residual: residual, on: runtime)
        }
    }

    /// Multiply-adds over a map of `tokens` tokens in whole windows.
    package func cost(tokens: Int) -> Cost {
        let own = window.height * window.width
        return qkv.cost(pixels: tokens) + proj.cost(pixels: tokens)
            + core.cost(tokens: own, heads: tokens / own * heads, headDim: channels / heads)
    }
}
