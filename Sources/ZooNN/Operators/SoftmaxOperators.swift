import ZooCore

/// Operators built on a softmax over few things: agents, mixtures, blocks, or one logit per token.
extension Operator {
    static let agent = mixing(
        "agent",
        "u = softmax over tokens (a k^T / sqrt(d) + b1) v; softmax over agents (q a^T / sqrt(d) + b2) u "
            + "+ dwconv3(v), a the pooled queries, arXiv 2312.08874",
        inputs: [
            Input("an_bias", shape: "(heads, A, 7, 7)", summary: "bias of keys for agents, resized to the grid"),
            Input("na_bias", shape: "(heads, A, 7, 7)", summary: "bias of agents for queries, resized to the grid"),
            Input("ah_bias", shape: "(1, heads, A, H, 1)", summary: "added to an_bias by row"),
            Input("aw_bias", shape: "(1, heads, A, 1, W)", summary: "added to an_bias by column"),
            Input("ha_bias", shape: "(1, heads, H, 1, A)", summary: "added to na_bias by row"),
            Input("wa_bias", shape: "(1, heads, 1, W, A)", summary: "added to na_bias by column"),
            Input("dwc.weight", shape: "(C, 1, 3, 3)", summary: "depthwise filters"),
            Input("dwc.bias", shape: "(C)", summary: "bias of the depthwise convolution"),
            Input(
                "ac_bias", shape: "(1, heads, A, 1)", isRequired: false,
                summary: "bias of the class token, token 0, for agents"),
            Input(
                "ca_bias", shape: "(1, heads, 1, A)", isRequired: false,
                summary: "bias of agents for the class token; with ac_bias or not at all"),
            .grid,
        ],
        mixer: { (arguments, shape) throws(ZooError) in
            let (heads, channels) = (shape.heads, shape.channels)
            let agents = try arguments.tensor("an_bias", rank: 4, shape: "(\(heads), A, 7, 7)").shape[1]
            let side = Int(Double(agents).squareRoot().rounded())
            guard side * side == agents, agents <= 1024 else {
                throw ZooError(
                    .badData, "number of agents does not fit", at: "an_bias", expected: "a square, at most 1024",
                    found: "\(agents)")
            }
            let hasClassToken = arguments.has("ac_bias") || arguments.has("ca_bias")
            guard shape.tokens > (hasClassToken ? 1 : 0) else {
                throw ZooError(.badData, "there is no token beside the class token", at: "q", found: "\(shape.tokens)")
            }
            let grid = try arguments.requiredGrid(tokens: shape.tokens - (hasClassToken ? 1 : 0))
            let classToken =
                hasClassToken
                ? (
                    gather: try arguments.values("ac_bias", [1, heads, agents, 1]),
                    answer: try arguments.values("ca_bias", [1, heads, 1, agents])
                ) : nil
            let biases = AgentMixer.Biases(
                an: try arguments.values("an_bias", [heads, agents, 7, 7]),
                na: try arguments.values("na_bias", [heads, agents, 7, 7]),
                ah: try arguments.values("ah_bias", [1, heads, agents, grid.height, 1]),
                aw: try arguments.values("aw_bias", [1, heads, agents, 1, grid.width]),
                ha: try arguments.values("ha_bias", [1, heads, grid.height, 1, agents]),
                wa: try arguments.values("wa_bias", [1, heads, 1, grid.width, agents]), classToken: classToken,
                heads: heads, agents: agents, grid: grid)
            let local = DepthwiseConv2d(
                "dwc", weight: try arguments.values("dwc.weight", [channels, 1, 3, 3]),
                bias: try arguments.values("dwc.bias", [channels]), channels: channels, kernel: 3)
            return AgentMixer(
                biases: biases, side: side, grid: grid, classTokens: hasClassToken ? 1 : 0, local: local)
        })

    static let linformer = mixing(
        "linformer", "softmax(q (P_k^T k)^T / sqrt(d)) P_v^T v, arXiv 2006.04768",
        inputs: [
            Input("proj_k", shape: "(N, r)", summary: "mixtures of the keys; a shorter sequence uses the first rows"),
            Input("proj_v", shape: "(N, r)", summary: "mixtures of the values"),
        ],
        mixer: { (arguments, shape) throws(ZooError) in
            let weights = try arguments.tensor("proj_k", rank: 2, shape: "(\(shape.tokens) or more, r)")
            try check(weights.shape[1], atMost: 1024, "number of mixtures", at: "proj_k")
            guard weights.shape[0] >= shape.tokens else {
                throw ZooError(
                    .badData, "more tokens than the projection has rows", at: "proj_k",
                    expected: "at least \(shape.tokens) rows", found: "\(weights.shape[0])")
            }
            return LinformerMixer(
                keyWeights: weights.values, valueWeights: try arguments.values("proj_v", weights.shape),
                mixtures: weights.shape[1], heads: shape.heads, dim: shape.dim)
        })

    static let additive = mixing(
        "additive", "Q = sum of softmax over tokens ((w . q + b) / sqrt(d)) q; v * k * Q, arXiv 2401.09596",
        inputs: [
            Input("w", shape: "(heads, C)", summary: "one logit per head from all channels of a query"),
            Input("b", shape: "(heads)", isRequired: false, summary: "bias of the logits; the softmax removes it"),
        ],
        mixer: { (arguments, shape) throws(ZooError) in
            if arguments.has("b") { _ = try arguments.values("b", [shape.heads]) }
            return AdditiveMixer(
                weight: try arguments.values("w", [shape.heads, shape.channels]), heads: shape.heads, dim: shape.dim)
        })

    static let blockDiagonal = mixing(
        "block_diag4", "softmax attention inside blocks of 4 x 4 pixels, zero padding included, arXiv 2210.10340",
        inputs: [.grid],
        mixer: { (arguments, shape) throws(ZooError) in
            PixelBlockMixer(grid: try arguments.requiredGrid(tokens: shape.tokens))
        })

    static let logNormalDiagonal = mixing(
        "lln_diag", "half lln, half softmax attention inside blocks of d tokens, arXiv 2311.13541",
        mixer: { _, _ in LogNormalBlockMixer() })
}
