import ZooCore

/// An attention layer: projections to queries, keys and values, a mixer of tokens, an output projection.
package struct AttentionLayer<Mixer: HeadMixer>: Sendable {
    private let channels: Int
    private let heads: Int
    private let projections: [Linear]
    private let mixer: Mixer
    private let output: Linear

    /// - Parameter projections: their outputs side by side are queries, keys and values, `channels` each.
    package init(_ projections: [Linear], _ mixer: Mixer, _ output: Linear, channels: Int, heads: Int) {
        self.channels = channels
        self.heads = heads
        self.projections = projections
        self.mixer = mixer
        self.output = output
    }

    /// Writes `attention(x) + residual` to `output`, which has the shape of `x` and may be `x` and `residual` too.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil, on runtime: Runtime
    ) {
        let workspace = runtime.workspace
        workspace.scope {
            let mixed = x.like(channels: channels, workspace)
            workspace.scope {
                let packed = x.like(channels: 3 * channels, workspace)
                var first = 0
                for projection in projections {
                    projection(x, into: packed.columns(first..<first + projection.outputs), on: runtime)
                    first += projection.outputs
                }
                mixer(
                    Projections(thirdsOf: packed, heads: heads), into: HeadMap(mixed, heads: heads), on: runtime)
            }
            self.output(mixed, into: output, residual: residual, on: runtime)
        }
    }

    /// Multiply-adds over the tokens of one image.
    package func cost(tokens: Int) -> Cost {
        projections.reduce(output.cost(pixels: tokens)) { $0 + $1.cost(pixels: tokens) }
            + mixer.cost(tokens: tokens, heads: heads, dim: channels / heads)
    }

    /// One projection `qkv` with bias and `proj`, the names of most vision transformers; a norm before it is fused.
    package init(qkv w: Weights, _ mixer: Mixer, channels: Int, heads: Int, norm: LayerNorm? = nil) {
        self.init(
            [Linear(w["qkv"], in: channels, out: 3 * channels, kernel: .linear, norm: norm)], mixer,
            Linear(w["proj"], in: channels, out: channels, kernel: .linear), channels: channels, heads: heads)
    }

    /// One projection `to_qkv` without bias and `to_out.0`, the names of TransNormer.
    package init(transNormer w: Weights, _ mixer: Mixer, channels: Int, heads: Int) {
        self.init(
            [Linear(w["to_qkv"], in: channels, out: 3 * channels, kernel: .linear, hasBias: false)], mixer,
            Linear(w["to_out"][0], in: channels, out: channels, kernel: .linear), channels: channels, heads: heads)
    }
}
