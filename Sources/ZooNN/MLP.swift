import ZooCore

/// The feed-forward part of a transformer block: `fc2(GELU(fc1(norm(x))))` on every token.
package struct MLP: Sendable {
    private let fc1: Linear
    private let fc2: Linear

    /// Reads `fc1` [hidden, channels] and `fc2` [channels, hidden].
    package init(_ w: Weights, channels: Int, hidden: Int, norm: LayerNorm) {
        fc1 = Linear(w["fc1"], in: channels, out: hidden, kernel: .linear, norm: norm, activation: .gelu)
        fc2 = Linear(w["fc2"], in: hidden, out: channels, kernel: .linear)
    }

    /// `x + mlp(norm(x))`, in place.
    package func callAsFunction(addingTo x: FeatureMap, on runtime: Runtime) {
        runtime.workspace.scope {
            let hidden = x.packed(channels: fc1.outputs, runtime.workspace)
            fc1(x, into: hidden, on: runtime)
            fc2(hidden, into: x, residual: x, on: runtime)
        }
    }

    /// Multiply-adds over `tokens` tokens.
    package func cost(tokens: Int) -> Cost { fc1.cost(pixels: tokens) + fc2.cost(pixels: tokens) }
}
