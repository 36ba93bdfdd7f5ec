import ZooCore

extension Operator {
    /// The sizes of q, k and v.
    struct HeadShape {
        let batch: Int
        let heads: Int
        let tokens: Int
        let dim: Int

        var channels: Int { heads * dim }
    }

    /// An operator from q, k and v, (B, heads, N, d) each, to as many rows.
    ///
    /// - Parameter mixer: checks further inputs and makes what computes.
    static func mixing<Mixer: HeadMixer>(
        _ name: String, _ summary: String, inputs: [Input] = [], parameters: [Parameter] = [],
        mixer: @escaping @Sendable (Arguments, HeadShape) throws(ZooError) -> Mixer
    ) -> Operator {
        Operator(
            name: name, summary: summary, inputs: Input.queriesKeysValues + inputs, parameters: parameters,
            prepare: { (arguments) throws(ZooError) in
                let (q, k, v) = try arguments.queriesKeysValues()
                let shape = HeadShape(batch: q.shape[0], heads: q.shape[1], tokens: q.shape[2], dim: q.shape[3])
                try check(shape.dim, atMost: 1024, "head dimension", at: "q")
                let mixer = try mixer(arguments, shape)
                let one = mixer.cost(tokens: shape.tokens, heads: shape.heads, dim: shape.dim)
                let cost = Cost(
                    convolutions: one.convolutions * shape.batch, attention: one.attention * shape.batch)
                return Call(outputShape: q.shape, cost: cost) { output, runtime in
                    func map(_ base: UnsafePointer<Float>?) -> HeadMap? {
                        base.map {
                            HeadMap(
                                batch: shape.batch, heads: shape.heads, tokens: shape.tokens, dim: shape.dim,
                                base: UnsafeMutablePointer(mutating: $0))
                        }
                    }
                    q.withUnsafeValues { q in
                        k.withUnsafeValues { k in
                            v.withUnsafeValues { v in
                                guard let q = map(q.baseAddress), let k = map(k.baseAddress),
                                    let v = map(v.baseAddress), let output = map(output)
                                else { return }
                                mixer(Projections(q: q, k: k, v: v), into: output, on: runtime)
                            }
                        }
                    }
                }
            })
    }

    /// Refuses a size that the kernels have no room for.
    static func check(_ size: Int, atMost limit: Int, _ what: String, at name: String) throws(ZooError) {
        guard size <= limit else {
            throw ZooError(.badData, "\(what) is too large", at: name, expected: "at most \(limit)", found: "\(size)")
        }
    }
}

extension Operator.Input {
    /// What every operator of heads reads.
    fileprivate static let queriesKeysValues = [
        Operator.Input("q", shape: "(B, heads, N, d)", summary: "queries, before any feature map"),
        Operator.Input("k", shape: "(B, heads, N, d)", summary: "keys, before any feature map"),
        Operator.Input("v", shape: "(B, heads, N, d)", summary: "values"),
    ]

    /// The token grid, for operators that cannot do without.
    static let grid = Operator.Input(
        "grid", shape: "(2)", element: .integer, isRequired: false,
        summary: "height and width of the token grid; the square one where it is left out")
}

extension Operator.Arguments {
    /// The elements of a parameter of known shape.
    func values(_ name: String, _ shape: [Int]) throws(ZooError) -> [Float] {
        let tensor = try tensor(name, rank: shape.count, shape: "\(shape)")
        guard tensor.shape == shape else {
            throw ZooError(
                .badData, "tensor has another shape", at: name, expected: "\(shape)", found: "\(tensor.shape)")
        }
        return tensor.values
    }

    /// Whether an optional input is given.
    func has(_ name: String) -> Bool { tensors[name] != nil }

    /// The grid of `tokens` tokens: the given one, else the square.
    func requiredGrid(tokens: Int) throws(ZooError) -> Grid {
        if let grid = try grid(tokens: tokens) { return Grid(height: grid.height, width: grid.width) }
        let side = Int(Double(tokens).squareRoot().rounded())
        guard tokens > 0, side * side == tokens else {
            throw ZooError(
                .badData, "tensor is missing", at: "grid",
                expected: "height and width with the product \(tokens), which is not a square")
        }
        return Grid(height: side, width: side)
    }

    /// The grid of all tokens or of all but the first, a class token; and how many class tokens there are.
    func gridBehindClassToken(tokens: Int) throws(ZooError) -> (grid: Grid, classTokens: Int) {
        if let behind = try? requiredGrid(tokens: tokens - 1) { return (behind, 1) }
        return (try requiredGrid(tokens: tokens), 0)
    }
}
