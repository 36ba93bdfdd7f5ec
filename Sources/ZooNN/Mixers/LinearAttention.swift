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

        /// - Parameter ck: one of the kernel's.
        fileprivate init(_ ck: ck_feature) {
            self =
                switch ck {
                case CK_FEATURE_ELU1: .elu1
                case CK_FEATURE_RELU: .relu
                case CK_FEATURE_SILU: .silu
                case CK_FEATURE_TOKEN_SOFTMAX: .tokenSoftmax
                default: .identity
                }
        }

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

    /// The mixer that made a call.
    package init(of call: ck_linear_attention_args) {
        let divisor: Divisor =
            call.lower_bound > -.infinity ? .atLeast(call.lower_bound) : .sum(epsilon: call.epsilon)
        self.init(
            query: Feature(call.query_feature), key: Feature(call.key_feature),
            divisor: call.normalised == 0 ? .none : divisor,
            scale: call.scale.map { PackedWeight(Array(UnsafeBufferPointer(start: $0, count: call.heads))) })
    }

    /// L2ViT's, arXiv 2501.16182, whose divisor is at least 100.
    ///
    /// - Parameter scale: the learned temperature of each head; `nil` for 1.
    package static func l2vit(scale: PackedWeight? = nil) -> LinearAttention {
        LinearAttention(query: .relu, key: .relu, divisor: .atLeast(100), scale: scale)
    }

    package var isL2ViT: Bool {
        if case (.relu, .relu, .atLeast(100)) = (query, key, divisor) { true } else { false }
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
