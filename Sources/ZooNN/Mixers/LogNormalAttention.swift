import ZooCore

/// Linear log-normal attention, arXiv 2311.13541: exponential features, scaled so that the log-weights vary as much as
/// those of softmax attention.
///
/// The scales come from the standard deviation of the whole tensors, so the images of a batch influence each other.
package struct LogNormalMixer: HeadMixer {
    private let attention = LinearAttention(query: .identity, key: .identity, divisor: .sum(epsilon: 1e-8))

    package init() {}

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        let (alpha, beta) = Self.scales(x.q.deviation, x.k.deviation)
        runtime.workspace.scope {
            let queries = x.q.like(dim: x.q.dim, runtime.workspace)
            let keys = x.k.like(dim: x.k.dim, runtime.workspace)
            RowMap.exp(highest: .row, scale: Float(alpha), offset: 0)(x.q, into: queries, on: runtime)
            RowMap.exp(highest: .head, scale: Float(beta), offset: 0)(x.k, into: keys, on: runtime)
            attention(Projections(q: queries, k: keys, v: x.v), into: output, on: runtime)
        }
    }

    /// Factors of queries and keys of these standard deviations; the constants are the published fit.
    private static func scales(_ query: Double, _ key: Double) -> (query: Double, key: Double) {
        let (a, b) = (0.14855178144710912, -0.35487039130661086)
        let wanted = ((query * query * key * key - b) / (2 * a)).squareRoot()
        return (wanted / query, wanted / key)
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        attention.cost(tokens: tokens, heads: heads, dim: dim)
    }
}

extension HeadMap {
    /// The standard deviation of all elements, divisor n - 1.
    fileprivate var deviation: Double {
        let count = Double(batch * heads * tokens * dim)
        let mean = sum { Double($0) } / count
        return (sum { (Double($0) - mean) * (Double($0) - mean) } / (count - 1)).squareRoot()
    }

    @inline(__always)
    private func sum(_ value: (Float) -> Double) -> Double {
        var total = 0.0
        for b in 0..<batch {
            for h in 0..<heads {
                for n in 0..<tokens {
                    let row = row(b, h, n)
                    for c in 0..<dim { total += value(row[c]) }
                }
            }
        }
        return total
    }
}
