import ZooCore

/// The operators that need an order of the tokens.
extension Operator {
    static let lionDecay = mixing(
        "lion_d",
        "w_ij = f(q_i) . f(k_j) sigmoid(a)^|i-j| / sqrt(d), f(x) the unit vector of silu(x) + 1/2; "
            + "sum of w v / (sum of w + 1e-6), arXiv 2502.16249",
        inputs: [Input("a", shape: "(heads)", summary: "logits of the decays")],
        mixer: { (arguments, shape) throws(ZooError) in
            LionMixer(.perHead(try arguments.values("a", [shape.heads])))
        })

    static let lionSelective = mixing(
        "lion_s", "lion_d with one decay 1 - sigmoid(logit) per token, none for token 0, arXiv 2502.16249",
        inputs: [
            Input("logits", shape: "(B, heads, N)", summary: "logits of the gates; those of token 0 are not used")
        ],
        mixer: { (arguments, shape) throws(ZooError) in LionMixer(try arguments.gates("logits", shape)) })

    static let lionDecaySnake = mixing(
        "lion_d_snake", "lion_d with the mean of the decays along two snake orders, rows and columns, arXiv 2502.16249",
        inputs: [
            Input("a", shape: "(heads)", summary: "logits of the decays by rows"),
            Input("a2", shape: "(heads)", summary: "logits of the decays by columns"),
            snakeGrid,
        ],
        mixer: { (arguments, shape) throws(ZooError) in
            try snake(
                arguments, shape, .perHead(try arguments.values("a", [shape.heads])),
                .perHead(try arguments.values("a2", [shape.heads])))
        })

    static let lionSelectiveSnake = mixing(
        "lion_s_snake", "lion_s along two snake orders, rows and columns, arXiv 2502.16249",
        inputs: [
            Input("logits", shape: "(B, heads, N)", summary: "logits of the gates by rows"),
            Input("logits2", shape: "(B, heads, N)", summary: "logits of the gates by columns"),
            snakeGrid,
        ],
        mixer: { (arguments, shape) throws(ZooError) in
            try snake(arguments, shape, try arguments.gates("logits", shape), try arguments.gates("logits2", shape))
        })

    private static let snakeGrid = Input(
        "grid", shape: "(2)", element: .integer, isRequired: false,
        summary:
            "height and width of the token grid behind a class token, or of all tokens; the square one where it is "
            + "left out")

    private static func snake(
        _ arguments: Arguments, _ shape: HeadShape, _ rows: LionMixer.Decays, _ columns: LionMixer.Decays
    ) throws(ZooError) -> LionMixer {
        let (grid, classTokens) = try arguments.gridBehindClassToken(tokens: shape.tokens)
        return LionMixer(
            rows, order: .snakeByRows(grid, classTokens: classTokens), columns,
            order: .snakeByColumns(grid, classTokens: classTokens))
    }

    static let lightNetCausal = mixing(
        "lightnet_causal", "silu(q_t) . sum over j <= t of softmax over j <= t (k)_j v_j / sqrt(d), arXiv 2405.21022",
        mixer: { _, _ in CausalLightNetMixer() })

    static let gatedLinear = mixing(
        "gla_causal", "S_t = diag(sigmoid(g_t)^(1/16)) S_(t-1) + k_t v_t; q_t S_t / sqrt(d), arXiv 2312.06635",
        inputs: [Input("gate_logits", shape: "(B, heads, N, d)", summary: "logits g of the gates")],
        mixer: { (arguments, shape) throws(ZooError) in
            GatedMixer(
                gates: try arguments.values("gate_logits", [shape.batch, shape.heads, shape.tokens, shape.dim]))
        })
}

extension Operator.Arguments {
    fileprivate func gates(_ name: String, _ shape: Operator.HeadShape) throws(ZooError) -> LionMixer.Decays {
        .perToken(try values(name, [shape.batch, shape.heads, shape.tokens]), tokens: shape.tokens)
    }
}
