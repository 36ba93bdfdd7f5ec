import CKernels
import Foundation
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// Effective attention against the formulas, written out in float64.
@Suite struct EffectiveAttentionTests {
    private struct Case {
        let tokens: Int
        let heads: Int
        let headDim: Int
        let q: [Float]
        let k: [Float]
        let v: [Float]

        init(tokens: Int, heads: Int, headDim: Int) {
            (self.tokens, self.heads, self.headDim) = (tokens, heads, headDim)
            func values(_ name: String) -> [Float] {
                SeededSource.uniform(name, shape: [tokens, heads * headDim]).values.map { 2 * $0 }
            }
            (q, k, v) = (values("q"), values("k"), values("v"))
        }

        func attention(
            _ core: EffectiveAttention.Core, _ query: EffectiveAttention.Query,
            _ change: EffectiveAttention.Change = .init(), rope: (height: Int, width: Int)? = nil,
            windows: ck_windows? = nil, on runtime: Runtime
        ) -> EffectiveAttention {
            // Linear attention has calls of its own kind; here it takes the place of another core.
            var (own, change) = (AttentionCore.softmax, change)
            switch core {
            case .attention(let core): own = core
            case .linear: change.core = core
            }
            return withCall(own, rope: rope, windows: windows, on: runtime) {
                EffectiveAttention(of: .init($0), query: query, change: change, on: runtime)
            }
        }

        /// The core's own output for this case's values.
        func output(_ core: EffectiveAttention.Core, on runtime: Runtime) -> [Float] {
            switch core {
            case .attention(let core):
                return withCall(core, on: runtime) { call in
                    runtime.run(call, in: "")
                    return Array(UnsafeBufferPointer(start: call.arguments.out, count: tokens * heads * headDim))
                }
            case .linear(let mixer):
                var (q, k, v) = (q, k, v)
                var output = [Float](repeating: .nan, count: tokens * heads * headDim)
                func map(_ values: inout [Float], _ body: (HeadMap) -> Void) {
                    values.withUnsafeMutableBufferPointer {
                        body(
                            HeadMap(
                                FeatureMap(
                                    batch: 1, height: 1, width: tokens, channels: heads * headDim,
                                    base: $0.baseAddress!), heads: heads))
                    }
                }
                map(&q) { q in
                    map(&k) { k in
                        map(&v) { v in
                            map(&output) { mixer(Projections(q: q, k: k, v: v), into: $0, on: runtime) }
                        }
                    }
                }
                return output
            }
        }

        private func withCall<R>(
            _ core: AttentionCore, rope: (height: Int, width: Int)? = nil, windows: ck_windows? = nil,
            on runtime: Runtime, _ body: (AttentionCall) -> R
        ) -> R {
            let channels = heads * headDim
            var output = [Float](repeating: .nan, count: tokens * channels)
            return q.withUnsafeBufferPointer { q in
                k.withUnsafeBufferPointer { k in
                    v.withUnsafeBufferPointer { v in
                        output.withUnsafeMutableBufferPointer { output in
                            let rope = rope.map {
                                runtime.rope(height: $0.height, width: $0.width, headDim: headDim)
                            }
                            let own = windows.map { $0.window_height * $0.window_width } ?? tokens
                            var arguments = ck_attention_args(
                                batch: 1, heads: heads, tokens: own, key_tokens: own, head_dim: headDim,
                                q: q.baseAddress,
                                k: k.baseAddress, v: v.baseAddress, q_stride: channels, k_stride: channels,
                                v_stride: channels, rope: rope, bias: nil, bias_stride: 0, windows: nil, local: nil,
                                local_stride: 0, gate: nil,
                                gate_stride: 0, out: output.baseAddress, out_stride: channels)
                            guard var windows else {
                                return body(AttentionCall(core: core, arguments: arguments))
                            }
                            return withUnsafePointer(to: &windows) {
                                arguments.windows = $0
                                return body(AttentionCall(core: core, arguments: arguments))
                            }
                        }
                    }
                }
            }
        }

        /// The attention of one query by the operators' READMEs, in float64 and without rotation.
        func row(_ core: EffectiveAttention.Core, _ head: Int, _ query: Int) -> [Double] {
            let n = Double(tokens)
            let scale = 1 / Double(headDim).squareRoot()
            let keys = 0..<tokens
            let elu = { (x: Double) in x > 0 ? x + 1 : exp(x) }
            guard case .attention(let core) = core else {
                let scores = keys.map { dot(head, query, $0) { max($0, 0) } }
                let divisor = max(100, scores.reduce(0, +))
                return scores.map { $0 / divisor }
            }
            switch core {
            case .softmax:
                let scores = keys.map { score(head, query, $0) }
                let sum = scores.reduce(0, +)
                return scores.map { $0 / sum }
            case .rala:
                // One weight per key for all queries, from the mean of the mapped queries.
                let logits = keys.map { key in keys.reduce(0) { $0 + scale / n * dot(head, $1, key, elu) } }
                let scores = keys.map { exp(logits[$0]) * dot(head, query, $0, elu) }
                let (weight, sum) = (logits.reduce(0) { $0 + exp($1) }, scores.reduce(0, +))
                return scores.map { $0 / (sum + 1e-6 * weight) }
            case .mala:
                let scores = keys.map { scale / n * dot(head, query, $0, elu) }
                let sum = scores.reduce(0, +)
                return scores.map { $0 * (1 + 1 / (sum + 1e-6)) - sum / n }
            case .inline(let kernel):
                let scores = keys.map { scale / n * dot(head, query, $0, kernel.formula) }
                let mean = scores.reduce(0, +) / n
                return scores.map { $0 - mean + 1 / n }
            }
        }

        /// Before normalisation, of softmax attention.
        func score(_ head: Int, _ query: Int, _ key: Int) -> Double {
            exp(dot(head, query, key) / Double(headDim).squareRoot())
        }

        func dot(_ head: Int, _ query: Int, _ key: Int, _ map: (Double) -> Double = { $0 }) -> Double {
            (0..<headDim).reduce(0) { sum, t in
                let column = head * headDim + t
                return sum + map(Double(q[query * heads * headDim + column]))
                    * map(Double(k[key * heads * headDim + column]))
            }
        }
    }

    private static let cases = [(1, 1, 4), (7, 2, 4), (16, 1, 16), (19, 3, 8), (65, 2, 32)]

    @Test(arguments: EffectiveAttention.interchangeable, cases)
    func fidelityARowIsThatOfTheFormula(_ core: EffectiveAttention.Core, _ size: (Int, Int, Int)) throws {
        let one = Case(tokens: size.0, heads: size.1, headDim: size.2)
        let runtime = try Runtime(threads: 1)
        let query = one.tokens / 2
        let attention = one.attention(core, .token(query), on: runtime)
        for (index, head) in attention.heads.enumerated() {
            let expected = one.row(core, index, query)
            #expect(relativeDistance(head.weights, expected) < (core.isSoftmax ? 1e-5 : 1e-4))
            #expect(abs(head.rows[query].sum - expected.reduce(0, +)) < 1e-4)
            #expect(core.isLinear || head.rows.allSatisfy { abs($0.sum - 1) < 1e-4 })
            #expect(abs(head.rows[query].entropy - entropy(expected)) < 1e-4)
            let negative = expected.reduce(0) { $0 + max(-$1, 0) } / expected.reduce(0) { $0 + abs($1) }
            #expect(abs(head.rows[query].negativeShare - negative) < 1e-4)
        }
    }

    private func entropy(_ weights: [Double]) -> Double {
        let magnitude = weights.reduce(0) { $0 + abs($1) }
        return -weights.reduce(0) { $0 + ($1 == 0 ? 0 : abs($1) / magnitude * log(abs($1) / magnitude)) }
    }

    /// Windows of 3x3 on a rolled grid of 5x4: a query sees those that share its window, and loses to the padding what
    /// its zero keys get.
    @Test func fidelityWindowsHideWhatLiesOutside() throws {
        let one = Case(tokens: 20, heads: 2, headDim: 8)
        let runtime = try Runtime(threads: 1)
        let windows = ck_windows(
            height: 5, width: 4, window_height: 3, window_width: 3, shift_y: 1, shift_x: 2, separation: 0,
            outside_key: nil, outside_value: nil)
        func window(_ token: Int) -> [Int] { [(token / 4 + 4) % 5 / 3, (token % 4 + 2) % 4 / 3] }
        for query in 0..<20 {
            let attention = one.attention(.attention(.softmax), .token(query), windows: windows, on: runtime)
            let seen = (0..<20).map { window($0) == window(query) }
            for (index, head) in attention.heads.enumerated() {
                let scores = (0..<20).map { seen[$0] ? one.score(index, query, $0) : 0 }
                let total = scores.reduce(Double(9 - seen.count { $0 })) { $0 + $1 }
                #expect(relativeDistance(head.weights, scores.map { $0 / total }) < 1e-5)
            }
        }
    }

    /// Whatever the operator, the matrix times the values is the operator's output.
    @Test(arguments: EffectiveAttention.interchangeable)
    func fidelityTheMatrixReproducesTheOutput(_ core: EffectiveAttention.Core) throws {
        let one = Case(tokens: 21, heads: 2, headDim: 8)
        let runtime = try Runtime(threads: 2)
        let output = one.output(core, on: runtime)
        for query in [0, 10, 20] {
            let attention = one.attention(core, .token(query), on: runtime)
            for head in 0..<2 {
                let columns = head * 8..<head * 8 + 8
                let expected = columns.map { column in
                    (0..<21).reduce(0.0) {
                        $0 + Double(attention.heads[head].weights[$1]) * Double(one.v[$1 * 16 + column])
                    }
                }
                #expect(
                    relativeDistance(
                        Array(output[columns.lowerBound + query * 16..<columns.upperBound + query * 16]), expected)
                        < 1e-4)
            }
        }
    }

    @Test func theMeanIsThatOfAllQueries() throws {
        let one = Case(tokens: 12, heads: 1, headDim: 8)
        let runtime = try Runtime(threads: 1)
        let rows = (0..<12).map { one.attention(.attention(.rala), .token($0), on: runtime).heads[0].weights }
        let expected = (0..<12).map { key in rows.reduce(0.0) { $0 + Double($1[key]) } / 12 }
        #expect(
            relativeDistance(one.attention(.attention(.rala), .mean, on: runtime).heads[0].weights, expected) < 1e-6)
    }

    /// Longer queries sharpen softmax and MALA; a plain linear attention would not notice, RALA hardly does.
    @Test func longerQueriesSharpenSoftmaxAndMALA() throws {
        let one = Case(tokens: 32, heads: 1, headDim: 16)
        let runtime = try Runtime(threads: 1)
        var change = EffectiveAttention.Change()
        change.queryScale = 4
        for core in [EffectiveAttention.Core.attention(.softmax), .attention(.mala)] {
            let plain = one.attention(core, .token(3), on: runtime).heads[0]
            let longer = one.attention(core, .token(3), change, on: runtime).heads[0]
            #expect((longer.weights.max() ?? 0) > 1.5 * (plain.weights.max() ?? 0))
        }
    }

    @Test func anotherOperatorTakesTheSameQueriesAndKeys() throws {
        let one = Case(tokens: 12, heads: 2, headDim: 8)
        let runtime = try Runtime(threads: 1)
        var change = EffectiveAttention.Change()
        change.core = .attention(.mala)
        let replaced = one.attention(.attention(.softmax), .token(5), change, rope: (3, 4), on: runtime)
        let direct = one.attention(.attention(.mala), .token(5), rope: (3, 4), on: runtime)
        #expect(replaced.heads.map(\.weights) == direct.heads.map(\.weights))
    }

    /// Watching changes nothing: the logits are those of an unobserved pass.
    @Test(arguments: ["ravlt-nano", "mavit-nano"])
    func observingLeavesTheNetworkAlone(_ name: String) throws {
        let card = try Registry.card(named: name)
        let seeded = try #require(try SeededSource(specification: "seeded:3"))
        let model = try Registry.load(card, from: seeded)
        let images = SeededSource.uniform("images", shape: [1, 32, 32, 3])
        let runtime = try Runtime(threads: 1)
        let expected = try model.logits(images, on: runtime)
        let probe = AttentionProbe(unrolling: (1, .mean, .init()), on: runtime)
        runtime.observer = probe
        let logits = try model.logits(images, on: runtime)
        runtime.observer = nil
        #expect(logits == expected)
        #expect(probe.blocks.map(\.tokens) == [64, 16, 4, 4, 1])
        #expect(probe.result?.tokens == 16)
        #expect(probe.blocks[0].grid?.height == 8 && probe.blocks[0].grid?.width == 8)
    }

    /// Multiplies the linear attentions of a network out and compares with what they answered.
    private final class Multiplier: KernelObserver {
        private(set) var distances: [Double] = []
        private unowned let runtime: Runtime

        init(on runtime: Runtime) { self.runtime = runtime }

        func observe(_ call: some KernelCall, layer: String, nanoseconds: UInt64) {
            guard let call = call as? ck_linear_attention_args, let source = EffectiveAttention.Source(call) else {
                return
            }
            let token = call.tokens / 2
            let attention = EffectiveAttention(of: source, query: .token(token), on: runtime)
            let channels = call.heads * call.value_dim
            for head in 0..<call.heads {
                let columns = head * call.value_dim..<(head + 1) * call.value_dim
                let expected = columns.map { column in
                    (0..<call.key_tokens).reduce(0.0) {
                        $0 + Double(attention.heads[head].weights[$1])
                            * Double(attention.values[$1 * channels + column])
                    }
                }
                let row = call.out + token * call.out_strides.row
                let difference = zip(columns, expected).reduce(0.0) { max($0, abs(Double(row[$1.0]) - $1.1)) }
                distances.append(difference / expected.reduce(1e-30) { max($0, abs($1)) })
            }
        }
    }

    /// The linear blocks of L2ViT with their temperatures, seen from outside.
    @Test func fidelityOfTheLinearBlocksOfL2ViT() throws {
        let model = try Registry.load(Registry.card(named: "l2vit-tiny"), from: SeededSource(seed: 1))
        let runtime = try Runtime(threads: 2)
        let multiplier = Multiplier(on: runtime)
        runtime.observer = multiplier
        _ = try model.logits(SeededSource.uniform("images", shape: [1, 64, 48, 3]), on: runtime)
        runtime.observer = nil
        // One block in two of [2, 2, 6, 2] with [3, 6, 12, 24] heads.
        #expect(multiplier.distances.count == 3 + 6 + 3 * 12 + 24)
        #expect(multiplier.distances.allSatisfy { $0 < 1e-5 }, "\(multiplier.distances.max() ?? 0)")
    }

    private func relativeDistance(_ a: [Float], _ b: [Double]) -> Double {
        let difference = zip(a, b).reduce(0.0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
        let norm = b.reduce(0) { $0 + $1 * $1 }
        return a.count == b.count ? (difference / norm).squareRoot() : .infinity
    }
}

extension EffectiveAttention.Core {
    fileprivate var isSoftmax: Bool { if case .attention(.softmax) = self { true } else { false } }
    fileprivate var isLinear: Bool { if case .linear = self { true } else { false } }
}

extension InLineKernel {
    fileprivate var formula: (Double) -> Double {
        switch self {
        case .identity: { $0 }
        case .relu: { max($0, 0) }
        case .leakyrelu: { $0 > 0 ? $0 : 0.01 * $0 }
        case .exp: { Foundation.exp(0.2 * $0) }
        }
    }
}
