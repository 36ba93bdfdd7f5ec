import ZooCore

/// NormAttention of TransNormer, arXiv 2210.10340: linear attention without a divisor, then a root-mean-square norm
/// over all channels of a token.
package struct NormLinearMixer: HeadMixer {
    private let attention = LinearAttention(query: .elu1, key: .elu1, divisor: .none)

    package init() {}

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        output.writeMerged(runtime.workspace) { merged in
            attention(x, into: HeadMap(merged, heads: output.heads), on: runtime)
            let tokens = HeadMap(merged, heads: 1)
            RowMap.rmsNorm(inner: 0, outer: 1e-8, weight: nil, gate: nil)(tokens, into: tokens, on: runtime)
        }
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        attention.cost(tokens: tokens, heads: heads, dim: dim)
    }
}
