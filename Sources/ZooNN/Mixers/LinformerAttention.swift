import CKernels
import ZooCore

/// Linformer, arXiv 2006.04768: softmax attention over learned mixtures of keys and of values instead of all of them.
package struct LinformerMixer: HeadMixer {
    private let mixtures: Int
    private let keyWeights: PackedWeight
    private let valueWeights: PackedWeight
    private let units: UnitRows
    private let mixKeys: LinearAttention
    private let apply = LinearAttention(query: .identity, key: .identity, divisor: .none)

    /// - Parameters:
    ///   - keyWeights, valueWeights: [tokens or more][mixtures], shared by the heads; a shorter sequence takes the first
    ///     rows.
    package init(keyWeights: [Float], valueWeights: [Float], mixtures: Int, heads: Int, dim: Int) {
        self.mixtures = mixtures
        self.keyWeights = PackedWeight(keyWeights)
        self.valueWeights = PackedWeight(valueWeights)
        units = UnitRows(mixtures)
        let scale = Float(1 / Double(dim).squareRoot())
        mixKeys = LinearAttention(
            query: .identity, key: .identity, divisor: .none,
            scale: PackedWeight([Float](repeating: scale, count: heads)))
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            func mixtures(of rows: HeadMap, by weights: PackedWeight, _ attention: LinearAttention) -> HeadMap {
                let mixed = HeadMap(
                    batch: rows.batch, heads: rows.heads, tokens: self.mixtures, dim: rows.dim,
                    base: workspace.floats(rows.batch * rows.heads * self.mixtures * rows.dim))
                let features = HeadMap(
                    batch: rows.batch, heads: rows.heads, tokens: rows.tokens, dim: self.mixtures,
                    strides: ck_head_strides(batch: 0, head: 0, row: self.mixtures),
                    base: UnsafeMutablePointer(mutating: weights.pointer))
                attention(Projections(q: units.heads(of: rows), k: features, v: rows), into: mixed, on: runtime)
                return mixed
            }
            let keys = mixtures(of: x.k, by: keyWeights, mixKeys)
            let values = mixtures(of: x.v, by: valueWeights, apply)
            let weights = x.q.like(dim: self.mixtures, workspace)
            x.q.products(with: keys, into: weights, on: runtime)
            RowMap.softmax(weights, into: weights, on: runtime)
            apply(Projections(q: weights, k: units.heads(of: x.q), v: values), into: output, on: runtime)
        }
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        Cost(attention: 4 * tokens * heads * dim * mixtures)
    }
}

extension AttentionLayer where Mixer == LinformerMixer {
    /// Reads `to_q`, `to_k` and `to_v` without bias, `proj_k` and `proj_v` [tokens, mixtures] and `to_out`.
    package init(linformer w: Weights, channels: Int, heads: Int, tokens: Int, mixtures: Int) {
        let mixer = LinformerMixer(
            keyWeights: w.tensor("proj_k", [tokens, mixtures]), valueWeights: w.tensor("proj_v", [tokens, mixtures]),
            mixtures: mixtures, heads: heads, dim: channels / heads)
        self.init(
            ["to_q", "to_k", "to_v"].map {
                Linear(w[$0], in: channels, out: channels, kernel: .linear, hasBias: false)
            }, mixer, Linear(w["to_out"], in: channels, out: channels, kernel: .linear), channels: channels,
            heads: heads)
    }
}
