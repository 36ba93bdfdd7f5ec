import ZooCore

/// Softmax attention within windows of the map, shifted or not, with a learned bias per relative position: Swin's.
///
/// A map that is not made of whole windows is filled up at the bottom and on the right with zeros behind the norm, whose
/// keys and values are the projection's bias and take part. On an axis that is shorter than the window, the window is as
/// long as the axis.
package struct WindowAttention: Sendable {
    private let channels: Int
    private let heads: Int
    private let window: (height: Int, width: Int)
    private let core = AttentionCore.softmax
    private let qkv: Linear
    private let proj: Linear
    /// [(2 height - 1) (2 width - 1)][heads]
    private let table: [Float]
    /// The bias of whole windows as the core reads it.
    private let bias: PackedWeight

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
        let table = w.tensor(
            "relative_position_bias_table", [(2 * window.height - 1) * (2 * window.width - 1), heads])
        self.table = table
        bias = PackedWeight(count: table.isEmpty ? 0 : Self.biasCount(window, heads: heads)) { bias in
            Self.expand(table, of: window, heads: heads, for: window, into: bias)
        }
    }

    /// Floats from key to key of a bias: whole vectors.
    private static func biasStride(_ window: (height: Int, width: Int)) -> Int {
        (window.height * window.width + 15) / 16 * 16
    }

    private static func biasCount(_ window: (height: Int, width: Int), heads: Int) -> Int {
        heads * window.height * window.width * biasStride(window)
    }

    /// Writes the bias [heads][keys][queries] of windows no larger than those the table was made for.
    private static func expand(
        _ table: [Float], of window: (height: Int, width: Int), heads: Int, for own: (height: Int, width: Int),
        into bias: UnsafeMutablePointer<Float>
    ) {
        guard !table.isEmpty else { return }
        let (tokens, stride) = (own.height * own.width, biasStride(own))
        bias.update(repeating: 0, count: biasCount(own, heads: heads))
        for key in 0..<tokens {
            for query in 0..<tokens {
                let dy = query / own.width - key / own.width + window.height - 1
                let dx = query % own.width - key % own.width + window.width - 1
                for head in 0..<heads {
                    bias[(head * tokens + key) * stride + query] =
                        table[(dy * (2 * window.width - 1) + dx) * heads + head]
                }
            }
        }
    }

    /// The windows of a map of this size.
    private func windows(height: Int, width: Int, shift: (y: Int, x: Int)) -> AttentionWindows {
        var windows = AttentionWindows(height: min(window.height, height), width: min(window.width, width))
        windows.shiftY = height > window.height ? shift.y : 0
        windows.shiftX = width > window.width ? shift.x : 0
        windows.separation = -100
        return windows
    }

    private func bias(of windows: AttentionWindows, on runtime: Runtime) -> ScoreBias {
        let own = (height: windows.height, width: windows.width)
        let base =
            own == window
            ? bias.pointer
            : runtime.table(
                of: bias, height: own.height, width: own.width, count: Self.biasCount(own, heads: heads)
            ) { Self.expand(table, of: window, heads: heads, for: own, into: $0) }
        return ScoreBias(base: base, stride: Self.biasStride(own))
    }

    /// Writes `residual + attention(norm(x))` to `output`, which may be `residual`, and `x` too.
    ///
    /// - Parameter shift: rows and columns that the map is rolled by, up and to the left, before it is cut; none on an
    ///   axis with a single window. Tokens that only this brings together hardly see each other: their scores are lowered
    ///   by 100.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil, shift: (y: Int, x: Int),
        on runtime: Runtime
    ) {
        let workspace = runtime.workspace
        workspace.scope {
            let mixed = x.like(channels: channels, workspace)
            workspace.scope {
                let packed = x.packed(channels: qkv.outputs, workspace)
                qkv(x, into: packed, on: runtime)
                var windows = windows(height: x.height, width: x.width, shift: shift)
                windows.outsideKey = qkv.bias.pointer + channels
                windows.outsideValue = qkv.bias.pointer + 2 * channels
                core(
                    queries: packed.columns(0..<channels), keys: packed.columns(channels..<2 * channels),
                    values: packed.columns(2 * channels..<3 * channels), heads: heads, rope: false, windows: windows,
                    bias: bias(of: windows, on: runtime), into: mixed, on: runtime)
            }
            proj(mixed, into: output, residual: residual, on: runtime)
        }
    }

    /// Multiply-adds over a map, those of the padding left out.
    package func cost(height: Int, width: Int) -> Cost {
        let tokens = height * width
        let keys = min(window.height, height) * min(window.width, width)
        return qkv.cost(pixels: tokens) + proj.cost(pixels: tokens)
            + core.cost(tokens: tokens, keys: keys, heads: heads, headDim: channels / heads)
    }
}
