import ZooCore

/// Performer, arXiv 2009.14794, in the form of performer-pytorch: random features by a fixed matrix of the checkpoint.
package struct PerformerMixer: HeadMixer {
    package enum Kernel: Sendable {
        /// Positive features of the exponential.
        case softmax
        case relu
    }

    private let kernel: Kernel
    private let projection: HeadProjection
    private let dim: Int
    private let attention = LinearAttention(query: .identity, key: .identity, divisor: .sum(epsilon: 0))

    /// - Parameter matrix: [features][dim].
    package init(_ kernel: Kernel, matrix: [Float], features: Int, dim: Int) {
        self.kernel = kernel
        self.dim = dim
        let scale = 1 / Double(dim).squareRoot().squareRoot()
        projection = HeadProjection([matrix], inputs: dim, outputs: features, scale: Float(scale))
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        runtime.workspace.scope {
            let queries = features(of: x.q, highest: .row, on: runtime)
            let keys = features(of: x.k, highest: .head, on: runtime)
            attention(Projections(q: queries, k: keys, v: x.v), into: output, on: runtime)
        }
    }

    /// The features up to a common factor, which the division removes.
    private func features(of x: HeadMap, highest: RowMap.Extent, on runtime: Runtime) -> HeadMap {
        let mapped = x.like(dim: projection.outputs, runtime.workspace)
        projection(x, into: mapped, on: runtime)
        let map: RowMap =
            switch kernel {
            case .softmax:
                .positiveFeature(
                    highest: highest, y: x, normScale: Float(0.5 / Double(dim).squareRoot()), offset: 1e-4)
            case .relu: .relu(offset: 1e-3)
            }
        map(mapped, into: mapped, on: runtime)
        return mapped
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        let projections = Cost(attention: 2 * projection.cost(tokens: tokens, heads: heads))
        return projections
            + attention.cost(tokens: tokens, heads: heads, features: projection.outputs, dim: dim)
    }
}
