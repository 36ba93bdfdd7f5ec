import ZooCore

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Focused linear attention of FLatten, arXiv 2308.00442: a feature map that keeps the norm and sharpens the direction,
/// and a depthwise convolution of the values beside it.
package struct FocusedMixer: HeadMixer {
    private let weight: PackedWeight
    private let positions: PackedWeight
    private let local: DepthwiseConv2d
    private let grid: Grid
    private let attention = LinearAttention(query: .identity, key: .identity, divisor: .mean(epsilon: 1e-6))

    /// - Parameters:
    ///   - scale: [heads * dim], before softplus.
    ///   - positions: [tokens][heads * dim], added to the keys.
    ///   - filter, bias: [dim][5][5] and [dim], the same for every head.
    ///   - channels: heads * dim.
    ///   - grid: of the tokens.
    package init(
        scale: [Float], positions: [Float], filter: [Float], bias: [Float], channels: Int, heads: Int, grid: Grid
    ) {
        weight = PackedWeight(
            scale.map { value in
                let x = Double(value)
                return Float(1 / (max(x, 0) + log1p(exp(-abs(x)))))
            })
        self.positions = PackedWeight(positions)
        let repeated = (0..<heads).map { _ in (filter, bias) }
        local = DepthwiseConv2d(
            "dwc", weight: repeated.flatMap(\.0), bias: repeated.flatMap(\.1), channels: channels, kernel: 5)
        self.grid = grid
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            func features(_ x: HeadMap, addend: PackedWeight?) -> HeadMap {
                let mapped = FeatureMap(
                    workspace, batch: x.batch, height: 1, width: x.tokens, channels: x.channels)
                workspace.scope {
                    RowMap.focused(weight: weight, addend: addend)(
                        HeadMap(x.merged(workspace), heads: 1), into: HeadMap(mapped, heads: 1), on: runtime)
                }
                return HeadMap(mapped, heads: x.heads)
            }
            let (queries, keys) = (features(x.q, addend: nil), features(x.k, addend: positions))
            output.writeMerged(workspace) { merged in
                workspace.scope {
                    local(grid.map(x.v.merged(workspace)), into: grid.map(merged), on: runtime)
                }
                let out = HeadMap(merged, heads: output.heads)
                attention(Projections(q: queries, k: keys, v: x.v), local: out, into: out, on: runtime)
            }
        }
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        attention.cost(tokens: tokens, heads: heads, dim: dim) + local.cost(pixels: tokens)
    }
}

extension FocusedMixer {
    /// Reads `scale` [1, 1, channels], `positional_encoding` [1, tokens, channels] and `dwc`.
    fileprivate init(_ w: Weights, channels: Int, heads: Int, grid: Grid) {
        let dim = channels / heads
        self.init(
            scale: w.tensor("scale", [1, 1, channels]),
            positions: w.tensor("positional_encoding", [1, grid.count, channels]),
            filter: w["dwc"].tensor("weight", [dim, 1, 5, 5]), bias: w["dwc"].tensor("bias", [dim]), channels: channels,
            heads: heads, grid: grid)
    }
}

extension AttentionLayer where Mixer == FocusedMixer {
    /// The layer of FLatten-Swin: `qkv` and `proj` besides the mixer's tensors. Its window is the whole grid.
    package init(focusedSwin w: Weights, channels: Int, heads: Int, grid: Grid) {
        self.init(
            qkv: w, FocusedMixer(w, channels: channels, heads: heads, grid: grid), channels: channels, heads: heads)
    }

    /// The layer of FLatten-PVT without spatial reduction: `q`, `kv` and `proj`.
    package init(focusedPVT w: Weights, channels: Int, heads: Int, grid: Grid) {
        self.init(
            [
                Linear(w["q"], in: channels, out: channels, kernel: .linear),
                Linear(w["kv"], in: channels, out: 2 * channels, kernel: .linear),
            ], FocusedMixer(w, channels: channels, heads: heads, grid: grid),
            Linear(w["proj"], in: channels, out: channels, kernel: .linear), channels: channels, heads: heads)
    }
}
