import CKernels
import ZooCore

/// Causal linear attentions: every token sees itself and those before it.
package enum CausalScan {
    /// Gated linear attention, arXiv 2312.06635: every channel of the state decays by sigmoid(gate)^(1/16) per token.
    case gated(by: HeadMap)
    /// LightNet, arXiv 2405.21022: a running softmax over the tokens.
    case runningSoftmax

    /// Writes to `output`; both forms scale by d^-1/2.
    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        var arguments = ck_causal_scan_args()
        (arguments.batch, arguments.heads, arguments.tokens) = (x.q.batch, x.q.heads, x.q.tokens)
        (arguments.features, arguments.value_dim) = (x.q.dim, x.v.dim)
        (arguments.q, arguments.q_strides) = (UnsafePointer(x.q.base), x.q.strides)
        (arguments.k, arguments.k_strides) = (UnsafePointer(x.k.base), x.k.strides)
        (arguments.v, arguments.v_strides) = (UnsafePointer(x.v.base), x.v.strides)
        switch self {
        case .gated(let gate):
            arguments.kind = CK_SCAN_GATED
            (arguments.gate, arguments.gate_strides) = (UnsafePointer(gate.base), gate.strides)
        case .runningSoftmax: arguments.kind = CK_SCAN_RUNNING_SOFTMAX
        }
        arguments.scale = Float(1 / Double(x.q.dim).squareRoot())
        (arguments.out, arguments.out_strides) = (output.base, output.strides)
        runtime.run(arguments, in: "attention")
    }

    package static func cost(tokens: Int, heads: Int, dim: Int, valueDim: Int) -> Cost {
        Cost(attention: 3 * tokens * heads * dim * valueDim)
    }
}

/// LightNet's causal form.
package struct CausalLightNetMixer: HeadMixer {
    package init() {}

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        CausalScan.runningSoftmax(x, into: output, on: runtime)
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        CausalScan.cost(tokens: tokens, heads: heads, dim: dim, valueDim: dim)
    }
}

/// Gated linear attention with gates that are known beforehand.
package struct GatedMixer: HeadMixer {
    private let gates: PackedWeight

    /// - Parameter gates: logits [batch][heads][tokens][dim].
    package init(gates: [Float]) {
        self.gates = PackedWeight(gates)
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        let gate = HeadMap(
            batch: x.q.batch, heads: x.q.heads, tokens: x.q.tokens, dim: x.q.dim,
            base: UnsafeMutablePointer(mutating: gates.pointer))
        CausalScan.gated(by: gate)(x, into: output, on: runtime)
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        CausalScan.cost(tokens: tokens, heads: heads, dim: dim, valueDim: dim)
    }
}

/// The layer of gated linear attention: low-rank gates, a root-mean-square norm per head, and a gate on the output.
package struct GatedLinearAttention: Sendable {
    private let heads: Int
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let outputGate: Linear
    private let gateDown: Linear
    private let gateUp: Linear
    private let norm: PackedWeight
    private let output: Linear

    /// Reads `q_proj`, `k_proj` [keyChannels, channels], `v_proj`, `g_proj`, `o_proj` [channels, channels], all without
    /// bias, `gk_proj.0.weight` [rank, channels], `gk_proj.1` [keyChannels, rank] and `g_norm_swish_gate.weight`
    /// [channels / heads].
    package init(_ w: Weights, channels: Int, keyChannels: Int, heads: Int, rank: Int = 16) {
        func plain(_ w: Weights, _ inputs: Int, _ outputs: Int) -> Linear {
            Linear(w, in: inputs, out: outputs, kernel: .linear, hasBias: false)
        }
        self.heads = heads
        query = plain(w["q_proj"], channels, keyChannels)
        key = plain(w["k_proj"], channels, keyChannels)
        value = plain(w["v_proj"], channels, channels)
        outputGate = plain(w["g_proj"], channels, channels)
        gateDown = plain(w["gk_proj"][0], channels, rank)
        gateUp = Linear(w["gk_proj"][1], in: rank, out: keyChannels, kernel: .linear)
        norm = PackedWeight(w["g_norm_swish_gate"].tensor("weight", [channels / heads]))
        output = plain(w["o_proj"], channels, channels)
    }

    /// Writes to `output`, which has the shape of `x` and must not overlap it.
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            func projected(_ x: FeatureMap, _ projection: Linear) -> FeatureMap {
                let map = x.like(channels: projection.outputs, workspace)
                projection(x, into: map, on: runtime)
                return map
            }
            func headMap(_ map: FeatureMap) -> HeadMap { HeadMap(map, heads: heads) }
            let mixed = x.like(channels: value.outputs, workspace)
            workspace.scope {
                let gates = projected(projected(x, gateDown), gateUp)
                let projections = Projections(
                    q: headMap(projected(x, query)), k: headMap(projected(x, key)), v: headMap(projected(x, value)))
                CausalScan.gated(by: headMap(gates))(projections, into: headMap(mixed), on: runtime)
            }
            let gate = projected(x, outputGate)
            RowMap.rmsNorm(inner: 1e-6, outer: 0, weight: norm, gate: headMap(gate))(
                headMap(mixed), into: headMap(mixed), on: runtime)
            self.output(mixed, into: output, on: runtime)
        }
    }
}
