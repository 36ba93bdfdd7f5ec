import ZooCore

extension Operator {
    /// An attention core from given queries, keys and values; a token grid switches rotary position embedding on.
    ///
    /// (B, heads, N, d) is computed as B * heads batch elements of one head each: the same memory, nothing is moved.
    static func attention(_ core: AttentionCore, name: String, summary: String) -> Operator {
        Operator(
            name: name, summary: summary,
            inputs: queriesKeysValues() + [
                Input(
                    "grid", shape: "(2)", element: .integer, isRequired: false,
                    summary: "height and width of the token grid; switches RoPE on")
            ],
            prepare: { (arguments) throws(ZooError) in
                let (q, k, v) = try arguments.queriesKeysValues()
                let (tokens, headDim) = (q.shape[2], q.shape[3])
                let grid = try arguments.grid(tokens: tokens)
                guard grid == nil || headDim.isMultiple(of: 4) else {
                    throw ZooError(
                        .badData, "rotary position embedding needs another head dimension", at: "q",
                        expected: "d, a multiple of 4", found: "\(headDim)")
                }
                return call(core, q, k, v, grid: grid)
            })
    }

    /// InLine attention, whose kernel function is a parameter.
    static let inline = Operator(
        name: "inline", summary: "injective linear attention, arXiv 2412.06590", inputs: queriesKeysValues(),
        parameters: [
            Parameter(
                "kernel_function", defaultValue: InLineKernel.identity, summary: "applied to queries and keys")
        ],
        prepare: { (arguments) throws(ZooError) in
            let (q, k, v) = try arguments.queriesKeysValues()
            return call(.inline(arguments.choice("kernel_function", of: InLineKernel.self)), q, k, v, grid: nil)
        })

    /// - Parameter grid: of the tokens, for rotary position embedding.
    private static func call(
        _ core: AttentionCore, _ q: Tensor, _ k: Tensor, _ v: Tensor, grid: (height: Int, width: Int)?
    ) -> Call {
        let (batch, tokens, headDim) = (q.shape[0] * q.shape[1], q.shape[2], q.shape[3])
        return Call(
            outputShape: q.shape, cost: core.cost(tokens: tokens, heads: batch, headDim: headDim)
        ) { output, runtime in
            let shape = (batch, grid?.height ?? 1, grid?.width ?? tokens, headDim)
            withMaps(q, k, v, output, shape) { q, k, v, output in
                core(queries: q, keys: k, values: v, heads: 1, rope: grid != nil, into: output, on: runtime)
            }
        }
    }

    static let headsShape = "(B, heads, N, d)"

    static func queriesKeysValues(shape: String = headsShape) -> [Input] {
        [
            Input("q", shape: shape, summary: "queries, before any feature map"),
            Input("k", shape: shape, summary: "keys, before any feature map"),
            Input("v", shape: shape, summary: "values"),
        ]
    }
}

extension Operator.Arguments {
    /// `q`, `k` and `v`, all of one shape.
    func queriesKeysValues(
        shape: String = Operator.headsShape, rank: Int = 4
    ) throws(ZooError) -> (q: Tensor, k: Tensor, v: Tensor) {
        let q = try tensor("q", rank: rank, shape: shape)
        let k = try tensor("k", rank: rank, shape: shape)
        let v = try tensor("v", rank: rank, shape: shape)
        for (name, tensor) in [("k", k), ("v", v)] where tensor.shape != q.shape {
            throw ZooError(
                .badData, "tensor has another shape than q", at: name, expected: "\(q.shape)", found: "\(tensor.shape)")
        }
        return (q, k, v)
    }
}
