import CKernels
import ZooCore

/// Linear additive attention of LadaGAN, arXiv 2401.09596: every head has one query, the softmax-weighted mean of all, and
/// the answer of a token is that query times its key times its value, element by element.
package struct AdditiveMixer: HeadMixer {
    private let logits: HeadProjection
    private let heads: Int
    private let units = UnitRows(1)
    private let mean = LinearAttention(query: .identity, key: .tokenSoftmax, divisor: .none)

    /// - Parameter weight: [heads][heads * dim], one logit per head from all channels of a token. A bias would cancel.
    package init(weight: [Float], heads: Int, dim: Int) {
        self.heads = heads
        logits = HeadProjection(
            [weight], inputs: heads * dim, outputs: heads, scale: Float(1 / Double(dim).squareRoot()))
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let queries = HeadMap(
                batch: x.q.batch, heads: heads, tokens: 1, dim: x.q.dim,
                base: workspace.floats(x.q.batch * x.q.channels))
            workspace.scope {
                let all = FeatureMap(workspace, batch: x.q.batch, height: 1, width: x.q.tokens, channels: heads)
                logits(HeadMap(x.q.merged(workspace), heads: 1), into: HeadMap(all, heads: 1), on: runtime)
                mean(
                    Projections(q: units.heads(of: x.q), k: HeadMap(all, heads: heads), v: x.q), into: queries,
                    on: runtime)
            }
            for b in 0..<output.batch {
                for h in 0..<heads {
                    let query = queries.row(b, h, 0)
                    for n in 0..<output.tokens {
                        let (key, value, out) = (x.k.row(b, h, n), x.v.row(b, h, n), output.row(b, h, n))
                        for c in 0..<output.dim { out[c] = value[c] * key[c] * query[c] }
                    }
                }
            }
        }
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        Cost(attention: 3 * tokens * heads * dim + tokens * heads * dim * heads)
    }
}

extension AttentionLayer where Mixer == AdditiveMixer {
    /// Reads `to_qkv`, `q_attn` [heads, channels] and `to_out`. The bias of `q_attn` is part of the checkpoint and
    /// without effect.
    package init(additive w: Weights, channels: Int, heads: Int) {
        _ = w["q_attn"].tensor("bias", [heads])
        let mixer = AdditiveMixer(
            weight: w["q_attn"].tensor("weight", [heads, channels]), heads: heads, dim: channels / heads)
        self.init(
            [Linear(w["to_qkv"], in: channels, out: 3 * channels, kernel: .linear)], mixer,
            Linear(w["to_out"], in: channels, out: channels, kernel: .linear), channels: channels, heads: heads)
    }
}

/// LadaGAN's transformer block, modulated by a vector z per image.
package struct Ladaformer: Sendable {
    /// A layer norm whose affine part comes from z: `norm(x) * gamma(relu(h(z))) + beta(relu(h(z)))`.
    private struct ModulatedNorm: Sendable {
        private let hidden: Linear
        private let gamma: Linear
        private let beta: Linear

        init(_ w: Weights, channels: Int, condition: Int) {
            hidden = Linear(w["h"][0], in: condition, out: channels, kernel: .linear)
            gamma = Linear(w["mlp_gamma"], in: channels, out: channels, kernel: .linear)
            beta = Linear(w["mlp_beta"], in: channels, out: channels, kernel: .linear)
        }

        func callAsFunction(_ x: FeatureMap, _ z: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
            let workspace = runtime.workspace
            workspace.scope {
                let h = z.like(channels: hidden.outputs, workspace)
                let (scale, shift) = (h.like(channels: h.channels, workspace), h.like(channels: h.channels, workspace))
                hidden(z, into: h, on: runtime)
                RowMap.relu(offset: 0)(HeadMap(h, heads: 1), into: HeadMap(h, heads: 1), on: runtime)
                gamma(h, into: scale, on: runtime)
                beta(h, into: shift, on: runtime)
                for image in 0..<x.batch {
                    let (from, to) = (x.images(image..<image + 1), output.images(image..<image + 1))
                    let arguments = ck_layer_norm_args(
                        rows: x.tokens, channels: x.channels, x: from.base, x_stride: from.stride,
                        gamma: scale.base + image * scale.stride, beta: shift.base + image * shift.stride,
                        epsilon: 1e-6, residual: nil, residual_stride: 0, out: to.base, out_stride: to.stride)
                    runtime.run(arguments, in: "ln")
                }
            }
        }
    }

    private let norm1: ModulatedNorm
    private let norm2: ModulatedNorm
    private let attention: AttentionLayer<AdditiveMixer>
    private let fc1: Linear
    private let fc2: Linear

    /// Reads `ln_1`, `attn`, `ln_2`, `mlp.0` and `mlp.2`.
    package init(_ w: Weights, channels: Int, condition: Int, heads: Int, hidden: Int) {
        norm1 = ModulatedNorm(w["ln_1"], channels: channels, condition: condition)
        norm2 = ModulatedNorm(w["ln_2"], channels: channels, condition: condition)
        attention = AttentionLayer(additive: w["attn"], channels: channels, heads: heads)
        fc1 = Linear(w["mlp"][0], in: channels, out: hidden, kernel: .linear, activation: .gelu)
        fc2 = Linear(w["mlp"][2], in: hidden, out: channels, kernel: .linear)
    }

    /// Writes `mlp(ln_2(y, z))` with `y = x + attn(ln_1(x, z))`; as published, nothing is added to the MLP.
    ///
    /// - Parameter z: [batch, 1, 1, condition].
    package func callAsFunction(_ x: FeatureMap, z: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let normed = x.like(channels: x.channels, workspace)
            let attended = x.like(channels: x.channels, workspace)
            norm1(x, z, into: normed, on: runtime)
            attention(normed, into: attended, residual: x, on: runtime)
            norm2(attended, z, into: normed, on: runtime)
            let hidden = x.like(channels: fc1.outputs, workspace)
            fc1(normed, into: hidden, on: runtime)
            fc2(hidden, into: output, on: runtime)
        }
    }
}
