import CKernels
import ZooCore

/// Linear attention of few, wide heads with a depthwise convolution of the values beside it: LiT, arXiv 2501.12976.
///
/// `phi(q) S / (phi(q) . mean phi(k) + 1e-6) + conv(v)` with `phi = ReLU + 1e-6` and `S` the mean of `phi(k)^T v`; the
/// convolution has one filter per channel of a head, shared by all heads.
package struct FewHeadAttention: Sendable {
    private let name: String
    private let heads: Int
    private let headDim: Int
    private let kernel: Int
    private let weight: PackedWeight
    private let bias: PackedWeight

    /// Reads `dwc.weight` [headDim, 1, kernel, kernel] and `dwc.bias` [headDim].
    ///
    /// - Parameter w: the scope of the attention module, which holds `dwc` beside its projections.
    package init(_ w: Weights, heads: Int, headDim: Int, kernel: Int = 5) {
        let branch = w["dwc"]
        self.init(
            heads: heads, headDim: headDim, kernel: kernel,
            weight: branch.tensor("weight", [headDim, 1, kernel, kernel]), bias: branch.tensor("bias", [headDim]),
            name: w.path)
    }

    /// - Parameters:
    ///   - kernel: 3, 5 or 7.
    ///   - weight: [headDim, 1, kernel, kernel].
    ///   - bias: [headDim].
    init(heads: Int, headDim: Int, kernel: Int, weight: [Float], bias: [Float], name: String) {
        self.name = name
        self.heads = heads
        self.headDim = headDim
        self.kernel = kernel
        self.weight = PackedWeight(DepthwiseConv2d.tapMajor(weight, channels: headDim))
        self.bias = PackedWeight(bias)
    }

    /// Writes to `output`, which must not overlap the others.
    ///
    /// - Parameter queries, keys, values: [batch, height, width, heads * headDim] each, before any feature map.
    package func callAsFunction(
        queries: FeatureMap, keys: FeatureMap, values: FeatureMap, into output: FeatureMap, on runtime: Runtime
    ) {
        let attention = ck_attention_args(
            batch: queries.batch, heads: heads, tokens: queries.tokens, key_tokens: keys.tokens, head_dim: headDim,
            q: queries.base,
            k: keys.base, v: values.base, q_stride: queries.stride, k_stride: keys.stride, v_stride: values.stride,
            rope: nil, bias: nil, bias_stride: 0, windows: nil, local: nil, local_stride: 0, gate: nil, gate_stride: 0,
            out: output.base,
            out_stride: output.stride)
        let arguments = ck_fewhead_args(
            attention: attention, height: values.height, width: values.width, kernel: kernel, weight: weight.pointer,
            bias: bias.pointer)
        runtime.run(arguments, in: name)
    }

    /// Multiply-adds of one image: two products of tokens x d per token and channel, and the convolution.
    package func cost(tokens: Int) -> Cost {
        Cost(
            convolutions: tokens * heads * headDim * kernel * kernel, attention: 2 * tokens * heads * headDim * headDim)
    }
}
