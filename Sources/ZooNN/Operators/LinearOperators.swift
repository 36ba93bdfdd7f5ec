import ZooCore

/// The linear attentions: a feature map, one sum over the keys and one product per query.
extension Operator {
    static let linearElu = mixing(
        "linear_elu", "elu1(q) . sum of elu1(k) v / (elu1(q) . sum of elu1(k) + 1e-6), arXiv 2006.16236",
        mixer: { _, _ in LinearAttention(query: .elu1, key: .elu1, divisor: .sum(epsilon: 1e-6)) })

    static let linearReLU = mixing(
        "linear_relu", "relu(q) . sum of relu(k) v / (relu(q) . sum of relu(k) + 1e-15), arXiv 2205.14756",
        mixer: { _, _ in LinearAttention(query: .relu, key: .relu, divisor: .sum(epsilon: 1e-15)) })

    static let linFusion = mixing(
        "linfusion", "elu1(q) . mean of elu1(k) v / (elu1(q) . mean of elu1(k) + 1e-4), arXiv 2409.02097",
        mixer: { _, _ in LinearAttention(query: .elu1, key: .elu1, divisor: .mean(epsilon: 1e-4)) })

    static let l2vit = mixing(
        "l2vit", "temperature * relu(q) . sum of relu(k) v / max(relu(q) . sum of relu(k), 100), arXiv 2501.16182",
        inputs: [Input("temperature", shape: "(heads, 1, 1)", summary: "one factor per head")],
        mixer: { (arguments, shape) throws(ZooError) in
            LinearAttention.l2vit(scale: PackedWeight(try arguments.values("temperature", [shape.heads, 1, 1])))
        })

    static let lionLit = mixing(
        "lion_lit", "w = elu1(q) . elu1(k) / sqrt(d); sum of w v / (sum of w + 1e-6), arXiv 2502.16249",
        mixer: { _, shape in
            LinearAttention(
                query: .elu1, key: .elu1, divisor: .sum(epsilon: Float(1e-6 * Double(shape.dim).squareRoot())))
        })

    static let lightNetBidirectional = mixing(
        "lightnet_bidir", "silu(q) . sum of softmax over tokens (k) v, arXiv 2405.21022",
        mixer: { _, _ in LinearAttention(query: .silu, key: .tokenSoftmax, divisor: .none) })

    static let efficient = mixing(
        "efficient", "softmax over channels (q) . sum of softmax over tokens (k) v, arXiv 1812.01243",
        mixer: { _, _ in EfficientMixer() })

    static let normLinear = mixing(
        "norm_linear",
        "x = elu1(q) . sum of elu1(k) v; x / (root mean square of x over heads + 1e-8), arXiv 2210.10340",
        mixer: { _, _ in NormLinearMixer() })

    static let performerSoftmax = performer(
        .softmax, "performer_softmax", "random positive features of softmax, FAVOR+, arXiv 2009.14794")

    static let performerReLU = performer(
        .relu, "performer_relu", "random features relu(P x d^-1/4) + 1e-3, arXiv 2009.14794")

    private static func performer(_ kernel: PerformerMixer.Kernel, _ name: String, _ summary: String) -> Operator {
        mixing(
            name, summary, inputs: [Input("proj", shape: "(m, d)", summary: "random matrix of the checkpoint")],
            mixer: { (arguments, shape) throws(ZooError) in
                let features = try arguments.tensor("proj", rank: 2, shape: "(m, \(shape.dim))").shape[0]
                try check(features, atMost: 1024, "number of features", at: "proj")
                let matrix = try arguments.values("proj", [features, shape.dim])
                return PerformerMixer(kernel, matrix: matrix, features: features, dim: shape.dim)
            })
    }

    static let hedgehog = mixing(
        "hedgehog",
        "f(x) = [softmax(x W), softmax(-x W)]; f(q) . sum of f(k) v / (f(q) . sum of f(k) + 1e-12), "
            + "arXiv 2402.04347",
        inputs: [
            Input("w_q", shape: "(heads, d, f)", summary: "feature matrices of the queries"),
            Input("w_k", shape: "(heads, d, f)", summary: "feature matrices of the keys"),
        ],
        mixer: { (arguments, shape) throws(ZooError) in
            let expected = "(\(shape.heads), \(shape.dim), f)"
            let features = try arguments.tensor("w_q", rank: 3, shape: expected).shape[2]
            try check(features, atMost: 512, "number of features", at: "w_q")
            let sizes = [shape.heads, shape.dim, features]
            return HedgehogMixer(
                queryWeights: try arguments.values("w_q", sizes), keyWeights: try arguments.values("w_k", sizes),
                heads: shape.heads, dim: shape.dim, features: features)
        })

    static let logNormal = mixing(
        "lln", "exp(alpha q) . sum of exp(beta k) v / (exp(alpha q) . sum of exp(beta k) + 1e-8), arXiv 2311.13541",
        mixer: { _, _ in LogNormalMixer() })

    static let focused = mixing(
        "focused",
        "f(q) . mean of f(k + p) v / (f(q) . mean of f(k + p) + 1e-6) + dwconv5(v), f the norm-keeping cube, "
            + "arXiv 2308.00442",
        inputs: [
            Input("scale", shape: "(1, 1, C)", summary: "divisor of q and k, before softplus"),
            Input("positional_encoding", shape: "(1, N, C)", summary: "added to k"),
            Input("dwc.weight", shape: "(d, 1, 5, 5)", summary: "depthwise filters, the same for every head"),
            Input("dwc.bias", shape: "(d)", summary: "bias of the depthwise convolution"),
            .grid,
        ],
        mixer: { (arguments, shape) throws(ZooError) in
            FocusedMixer(
                scale: try arguments.values("scale", [1, 1, shape.channels]),
                positions: try arguments.values("positional_encoding", [1, shape.tokens, shape.channels]),
                filter: try arguments.values("dwc.weight", [shape.dim, 1, 5, 5]),
                bias: try arguments.values("dwc.bias", [shape.dim]), channels: shape.channels, heads: shape.heads,
                grid: try arguments.requiredGrid(tokens: shape.tokens))
        })
}
