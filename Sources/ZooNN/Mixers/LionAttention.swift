import CKernels
import ZooCore

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The order in which a scan visits tokens.
package final class TokenOrder: @unchecked Sendable {
    /// The token at each position; written once, before the object is visible to anyone else.
    let pointer: UnsafePointer<Int>

    private init(_ tokens: [Int]) {
        let memory = UnsafeMutablePointer<Int>.allocate(capacity: max(tokens.count, 1))
        memory.initialize(from: tokens, count: tokens.count)
        pointer = UnsafePointer(memory)
    }

    deinit { pointer.deallocate() }

    /// Row by row, every second row backwards; class tokens first.
    package static func snakeByRows(_ grid: Grid, classTokens: Int) -> TokenOrder {
        snake(lines: grid.height, length: grid.width, classTokens) { line, place in line * grid.width + place }
    }

    /// Column by column, every second column upwards; class tokens first.
    package static func snakeByColumns(_ grid: Grid, classTokens: Int) -> TokenOrder {
        snake(lines: grid.width, length: grid.height, classTokens) { line, place in place * grid.width + line }
    }

    private static func snake(
        lines: Int, length: Int, _ classTokens: Int, token: (_ line: Int, _ place: Int) -> Int
    ) -> TokenOrder {
        var order = Array(0..<classTokens)
        for line in 0..<lines {
            for step in 0..<length {
                order.append(classTokens + token(line, line.isMultiple(of: 2) ? step : length - 1 - step))
            }
        }
        return TokenOrder(order)
    }
}

/// LION, arXiv 2502.16249: linear attention whose weights decay with the distance along one order of the tokens, or along
/// two of them.
package enum Lion {
    /// An order of the tokens and the decays along it.
    package struct Path {
        private let order: TokenOrder?
        private let decays: HeadMap

        /// - Parameters:
        ///   - order: `nil` for the order of the rows.
        ///   - decays: one number per token and head.
        package init(order: TokenOrder?, decays: HeadMap) {
            self.order = order
            self.decays = decays
        }

        fileprivate var ck: ck_scan_path {
            ck_scan_path(
                order: order?.pointer, decay: UnsafePointer(decays.base), decay_strides: decays.strides)
        }
    }

    /// Writes the attention along one path or two to `output`.
    package static func attend(
        _ x: Projections, along first: Path, _ second: Path?, into output: HeadMap, on runtime: Runtime
    ) {
        runtime.workspace.scope {
            let queries = x.q.like(dim: x.q.dim, runtime.workspace)
            let keys = x.k.like(dim: x.k.dim, runtime.workspace)
            RowMap.unitSiLU(x.q, into: queries, on: runtime)
            RowMap.unitSiLU(x.k, into: keys, on: runtime)
            var arguments = ck_bidirectional_scan_args()
            (arguments.batch, arguments.heads, arguments.tokens) = (x.q.batch, x.q.heads, x.q.tokens)
            (arguments.features, arguments.value_dim) = (x.q.dim, x.v.dim)
            (arguments.q, arguments.q_strides) = (UnsafePointer(queries.base), queries.strides)
            (arguments.k, arguments.k_strides) = (UnsafePointer(keys.base), keys.strides)
            (arguments.v, arguments.v_strides) = (UnsafePointer(x.v.base), x.v.strides)
            arguments.paths = second == nil ? 1 : 2
            arguments.path.0 = first.ck
            if let second { arguments.path.1 = second.ck }
            arguments.epsilon = Float(1e-6 * Double(x.q.dim).squareRoot() * Double(arguments.paths))
            (arguments.out, arguments.out_strides) = (output.base, output.strides)
            runtime.run(arguments, in: "attention")
        }
    }

    package static func cost(tokens: Int, heads: Int, dim: Int, paths: Int) -> Cost {
        Cost(attention: 5 * tokens * heads * dim * dim * paths)
    }

    /// 1 / (1 + exp(-x)); `sigmoid(-x)` is 1 - sigmoid(x) without cancellation.
    package static func sigmoid(_ x: Float) -> Float { Float(1 / (1 + exp(-Double(x)))) }

    /// Turns gate logits, one number per token and head, into decays: `1 - sigmoid(logit)`, and 1 for the first token.
    package static func decay(logits: HeadMap) {
        for b in 0..<logits.batch {
            for h in 0..<logits.heads {
                for n in 0..<logits.tokens {
                    let logit = logits.row(b, h, n)
                    logit.pointee = n == 0 ? 1 : sigmoid(-logit.pointee)
                }
            }
        }
    }
}

/// LION with decays that are known beforehand.
package struct LionMixer: HeadMixer {
    /// What decays a path has.
    package enum Decays: Sendable {
        /// sigmoid(a), one a per head.
        case perHead([Float])
        /// 1 - sigmoid(logit), logits [batch][heads][tokens].
        case perToken([Float], tokens: Int)
    }

    private struct FixedPath: Sendable {
        let order: TokenOrder?
        let decays: PackedWeight
        let perToken: Bool

        func path(for x: HeadMap) -> Lion.Path {
            let base = UnsafeMutablePointer(mutating: decays.pointer)
            let strides = ck_head_strides(batch: 0, head: 1, row: 0)
            return Lion.Path(
                order: order,
                decays: perToken
                    ? HeadMap(batch: x.batch, heads: x.heads, tokens: x.tokens, dim: 1, base: base)
                    : HeadMap(
                        batch: x.batch, heads: x.heads, tokens: x.tokens, dim: 1, strides: strides, base: base))
        }
    }

    private let first: FixedPath
    private let second: FixedPath?

    package init(_ first: Decays, order: TokenOrder? = nil) {
        self.first = Self.path(first, order)
        second = nil
    }

    /// Two paths.
    package init(_ first: Decays, order: TokenOrder, _ second: Decays, order secondOrder: TokenOrder) {
        self.first = Self.path(first, order)
        self.second = Self.path(second, secondOrder)
    }

    private static func path(_ decays: Decays, _ order: TokenOrder?) -> FixedPath {
        switch decays {
        case .perHead(let a): FixedPath(order: order, decays: PackedWeight(a.map(Lion.sigmoid)), perToken: false)
        case .perToken(let logits, let tokens):
            FixedPath(
                order: order,
                decays: PackedWeight(count: logits.count) { decays in
                    for (index, logit) in logits.enumerated() { decays[index] = logit }
                    Lion.decay(
                        logits: HeadMap(
                            batch: 1, heads: logits.count / tokens, tokens: tokens, dim: 1, base: decays))
                }, perToken: true)
        }
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        Lion.attend(x, along: first.path(for: x.q), second?.path(for: x.q), into: output, on: runtime)
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        Lion.cost(tokens: tokens, heads: heads, dim: dim, paths: second == nil ? 1 : 2)
    }
}

extension AttentionLayer where Mixer == LionMixer {
    /// The layer with fixed decays: `qkv`, `proj`, `a_i` [heads] and, where there is a snake, `a2_i` [heads].
    ///
    /// - Parameter snake: a grid behind a class token, visited in two snake orders; `nil` for the order of the tokens.
    package init(lionDecay w: Weights, channels: Int, heads: Int, snake: Grid?) {
        let rows = LionMixer.Decays.perHead(w.tensor("a_i", [heads]))
        let mixer =
            if let snake {
                LionMixer(
                    rows, order: .snakeByRows(snake, classTokens: 1), .perHead(w.tensor("a2_i", [heads])),
                    order: .snakeByColumns(snake, classTokens: 1))
            } else {
                LionMixer(rows)
            }
        self.init(qkv: w, mixer, channels: channels, heads: heads)
    }
}

extension AttentionLayer where Mixer == LinearAttention {
    /// LION's layer without decays: `qkv` and `proj`.
    package init(lionLit w: Weights, channels: Int, heads: Int) {
        let epsilon = 1e-6 * Double(channels / heads).squareRoot()
        self.init(
            qkv: w, LinearAttention(query: .elu1, key: .elu1, divisor: .sum(epsilon: Float(epsilon))),
            channels: channels, heads: heads)
    }
}

/// LION's layer with one decay per token, which a linear layer makes of the same tokens as queries, keys and values.
package struct LionSelectiveAttention: Sendable {
    private let heads: Int
    private let qkv: Linear
    private let proj: Linear
    private let gates: [(gate: Linear, order: TokenOrder?)]

    /// Reads `qkv`, `proj`, `a_i` and, where there is a snake, `a2_i`: weights [heads, channels], biases [heads].
    ///
    /// - Parameter snake: a grid behind a class token, visited in two snake orders; `nil` for the order of the tokens.
    package init(_ w: Weights, channels: Int, heads: Int, snake: Grid?) {
        self.heads = heads
        qkv = Linear(w["qkv"], in: channels, out: 3 * channels, kernel: .linear)
        proj = Linear(w["proj"], in: channels, out: channels, kernel: .linear)
        func gate(_ name: String) -> Linear { Linear(w[name], in: channels, out: heads, kernel: .linear) }
        if let snake {
            gates = [
                (gate("a_i"), .snakeByRows(snake, classTokens: 1)),
                (gate("a2_i"), .snakeByColumns(snake, classTokens: 1)),
            ]
        } else {
            gates = [(gate("a_i"), nil)]
        }
    }

    /// Writes to `output`, which has the shape of `x` and must not overlap it.
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let mixed = x.like(channels: proj.inputs, workspace)
            workspace.scope {
                let packed = x.like(channels: qkv.outputs, workspace)
                qkv(x, into: packed, on: runtime)
                func path(_ index: Int) -> Lion.Path {
                    let logits = x.like(channels: heads, workspace)
                    gates[index].gate(x, into: logits, on: runtime)
                    let decays = HeadMap(logits, heads: heads)
                    Lion.decay(logits: decays)
                    return Lion.Path(order: gates[index].order, decays: decays)
                }
                Lion.attend(
                    Projections(thirdsOf: packed, heads: heads), along: path(0), gates.count == 2 ? path(1) : nil,
                    into: HeadMap(mixed, heads: heads), on: runtime)
            }
            proj(mixed, into: output, on: runtime)
        }
    }
}
