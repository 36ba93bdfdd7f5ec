import ZooCore

/// LinFusion's generalised linear attention, arXiv 2409.02097: queries and keys come from a small residual network in
/// front of the usual projections.
package struct LinFusionAttention: Sendable {
    /// `x + Linear(LeakyReLU(LayerNorm(Linear(x))))`
    private struct Refinement: Sendable {
        private let first: Linear
        private let norm: LayerNorm
        private let second: Linear

        /// Reads `0`, `1` (the norm) and `3`.
        init(_ w: Weights, channels: Int) {
            first = Linear(w[0], in: channels, out: channels, kernel: .linear)
            norm = LayerNorm(w[1], channels: channels, epsilon: 1e-5)
            second = Linear(w[3], in: channels, out: channels, kernel: .linear)
        }

        func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
            runtime.workspace.scope {
                let hidden = x.like(channels: x.channels, runtime.workspace)
                first(x, into: hidden, on: runtime)
                norm(hidden, into: hidden, on: runtime)
                for index in 0..<hidden.rows * hidden.channels where hidden.base[index] < 0 {
                    hidden.base[index] *= 0.01
                }
                second(hidden, into: output, residual: x, on: runtime)
            }
        }
    }

    private let heads: Int
    private let refineQueries: Refinement
    private let refineKeys: Refinement
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear
    private let attention = LinearAttention(query: .elu1, key: .elu1, divisor: .mean(epsilon: 1e-4))

    /// Reads `to_q`, `to_k`, `to_v` without bias, the refinements `to_q_` and `to_k_`, and `to_out.0`.
    package init(_ w: Weights, channels: Int, heads: Int) {
        func plain(_ name: String) -> Linear {
            Linear(w[name], in: channels, out: channels, kernel: .linear, hasBias: false)
        }
        self.heads = heads
        refineQueries = Refinement(w["to_q_"], channels: channels)
        refineKeys = Refinement(w["to_k_"], channels: channels)
        (query, key, value) = (plain("to_q"), plain("to_k"), plain("to_v"))
        output = Linear(w["to_out"][0], in: channels, out: channels, kernel: .linear)
    }

    /// Writes to `output`, which has the shape of `x` and must not overlap it.
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let refined = x.like(channels: x.channels, workspace)
            func projected(_ x: FeatureMap, _ projection: Linear) -> HeadMap {
                let map = x.like(channels: projection.outputs, workspace)
                projection(x, into: map, on: runtime)
                return HeadMap(map, heads: heads)
            }
            refineQueries(x, into: refined, on: runtime)
            let queries = projected(refined, query)
            refineKeys(x, into: refined, on: runtime)
            let projections = Projections(q: queries, k: projected(refined, key), v: projected(x, value))
            attention(projections, into: HeadMap(refined, heads: heads), on: runtime)
            self.output(refined, into: output, on: runtime)
        }
    }
}
