import ZooCore

/// Efficient attention, arXiv 1812.01243: softmax over the channels of a query, softmax over the tokens of the keys.
package struct EfficientMixer: HeadMixer {
    private let attention = LinearAttention(query: .identity, key: .tokenSoftmax, divisor: .none)

    package init() {}

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        runtime.workspace.scope {
            let queries = x.q.like(dim: x.q.dim, runtime.workspace)
            RowMap.softmax(x.q, into: queries, on: runtime)
            attention(Projections(q: queries, k: x.k, v: x.v), into: output, on: runtime)
        }
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        attention.cost(tokens: tokens, heads: heads, dim: dim)
    }
}

extension AttentionLayer where Mixer == EfficientMixer {
    /// Reads the 1x1 convolutions `keys`, `queries`, `values` and `reprojection`. The published layer adds its input to
    /// its output.
    package init(efficient w: Weights, channels: Int, heads: Int) {
        self.init(
            ["queries", "keys", "values"].map { Linear(w[$0], in: channels, out: channels) }, EfficientMixer(),
            Linear(w["reprojection"], in: channels, out: channels), channels: channels, heads: heads)
    }
}
