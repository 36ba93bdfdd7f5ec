import ZooCore

/// Hedgehog, arXiv 2402.04347, in the form of lolcats: learned features softmax(y) and softmax(-y) with y = x W, one W
/// per head for queries and one for keys.
package struct HedgehogMixer: HeadMixer {
    private let queries: HeadProjection
    private let keys: HeadProjection
    private let attention = LinearAttention(query: .identity, key: .identity, divisor: .sum(epsilon: 1e-12))

    /// - Parameters:
    ///   - queryWeights, keyWeights: [heads][dim][features].
    package init(queryWeights: [Float], keyWeights: [Float], heads: Int, dim: Int, features: Int) {
        func projection(_ weights: [Float]) -> HeadProjection {
            let matrices = (0..<heads).map { head in
                (0..<features).flatMap { feature in
                    (0..<dim).map { weights[(head * dim + $0) * features + feature] }
                }
            }
            return HeadProjection(matrices, inputs: dim, outputs: features)
        }
        queries = projection(queryWeights)
        keys = projection(keyWeights)
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        runtime.workspace.scope {
            func features(_ x: HeadMap, _ projection: HeadProjection) -> HeadMap {
                let features = x.like(dim: 2 * projection.outputs, runtime.workspace)
                runtime.workspace.scope {
                    let projected = x.like(dim: projection.outputs, runtime.workspace)
                    projection(x, into: projected, on: runtime)
                    RowMap.softmaxPair(projected, into: features, on: runtime)
                }
                return features
            }
            let mapped = Projections(q: features(x.q, queries), k: features(x.k, keys), v: x.v)
            attention(mapped, into: output, on: runtime)
        }
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        Cost(attention: queries.cost(tokens: tokens, heads: heads) + keys.cost(tokens: tokens, heads: heads))
            + attention.cost(tokens: tokens, heads: heads, features: 2 * queries.outputs, dim: dim)
    }
}
