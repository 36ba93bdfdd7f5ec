import CKernels
import ZooCore

/// Linear attention: feature maps, one sum over the keys, one product per query. O(tokens * features * dim).
package struct LinearAttention: HeadMixer {
    /// What becomes of a row of queries or keys.
    package enum Feature: Sendable {
        /// Features made beforehand.
        case identity
        /// ELU + 1
        case elu1
        case relu
        case silu
        /// Softmax over the tokens for each channel; of keys only, without a divisor.
        case tokenSoftmax

        fileprivate var ck: ck_feature {
            switch self {
            case .identity: CK_FEATURE_IDENTITY
            case .elu1: CK_FEATURE_ELU1
            case .relu: CK_FEATURE_RELU
            case .silu: CK_FEATURE_SILU
            case .tokenSoftmax: CK_FEATURE_TOKEN_SOFTMAX
            }
        }
    }

    /// What a query's answer is divided by, with s the sum of its weights.
    package enum Divisor: Sendable {
        case none
        /// s + epsilon
        case sum(epsilon: Float)
        /// N (s / N + epsilon), N the number of tokens: numerator and denominator are means.
        case mean(epsilon: Float)
        /// max(s, bound)
        case atLeast(Float)
    }

    private let query: Feature
    private let key: Feature
    private let divisor: Divisor
    private let scale: PackedWeight?

    /// - Parameter scale: one factor per head at the end; `nil` for none.
    package init(query: Feature, key: Feature, divisor: Divisor, scale: PackedWeight? = nil) {
        self.query = query
        self.key = key
        self.divisor = divisor
        self.scale = scale
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        self(x, local: nil, into: output, on: runtime)
    }

    /// Writes `attention(x) + local`.
    ///
    /// - Parameters:
    ///   - x: queries and keys of any number of features, values of the output's width.
    ///   - local: added at the end; may be `output` itself.
    package func callAsFunction(_ x: Projections, local: HeadMap?, into output: HeadMap, on runtime: Runtime) {
        var arguments = ck_linear_attention_args()
        (arguments.batch, arguments.heads) = (x.q.batch, x.q.heads)
        (arguments.tokens, arguments.key_tokens) = (x.q.tokens, x.k.tokens)
        (arguments.features, arguments.value_dim) = (x.q.dim, x.v.dim)
        (arguments.query_feature, arguments.key_feature) = (query.ck, key.ck)
        (arguments.q, arguments.q_strides) = (UnsafePointer(x.q.base), x.q.strides)
        (arguments.k, arguments.k_strides) = (UnsafePointer(x.k.base), x.k.strides)
        (arguments.v, arguments.v_strides) = (UnsafePointer(x.v.base), x.v.strides)
        arguments.normalised = 1
        arguments.lower_bound = -.infinity
        switch divisor {
        case .none: arguments.normalised = 0
        case .sum(let epsilon): arguments.epsilon = epsilon
        case .mean(let epsilon): arguments.epsilon = epsilon * Float(x.k.tokens)
        case .atLeast(let bound): arguments.lower_bound = bound
        }
        arguments.scale = scale?.pointer
        if let local { (arguments.local, arguments.local_strides) = (UnsafePointer(local.base), local.strides) }
        (arguments.out, arguments.out_strides) = (output.base, output.strides)
        runtime.run(arguments, in: "attention")
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        cost(tokens: tokens, heads: heads, features: dim, dim: dim)
    }

    package func cost(tokens: Int, heads: Int, features: Int, dim: Int) -> Cost {
        let sums = if case .none = divisor { 0 } else { 2 * tokens * features }
        return Cost(attention: heads * (2 * tokens * features * dim + sums))
    }
}
