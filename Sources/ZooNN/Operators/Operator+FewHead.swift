import ZooCore

extension Operator {
    private static let tokensShape = "(B, N, C)"

    /// Few-head attention of LiT with its depthwise branch.
    static let lit = Operator(
        name: "lit", summary: "few-head linear attention with a depthwise branch, arXiv 2501.12976",
        inputs: queriesKeysValues(shape: tokensShape) + [
            Input("dwc.weight", shape: "(d, 1, K, K)", summary: "filters of a head's channels, shared by all heads"),
            Input("dwc.bias", shape: "(d)", summary: "their bias"),
            Input("heads", shape: "(1)", element: .integer, isRequired: false, summary: "C / d where not given"),
            Input(
                "grid", shape: "(2)", element: .integer, isRequired: false,
                summary: "height and width of the token grid; a square where not given"),
        ],
        parameters: [
            Parameter("heads", defaultValue: 0, in: 0...65536, summary: "the same as the tensor; 0: C / d")
        ],
        prepare: { (arguments) throws(ZooError) in
            let (q, k, v) = try arguments.queriesKeysValues(shape: tokensShape, rank: 3)
            let (batch, tokens, channels) = (q.shape[0], q.shape[1], q.shape[2])
            let weight = try arguments.tensor("dwc.weight", rank: 4, shape: "(d, 1, K, K)")
            let (headDim, kernel) = (weight.shape[0], weight.shape[3])
            guard [3, 5, 7].contains(kernel), weight.shape == [headDim, 1, kernel, kernel] else {
                throw ZooError(
                    .badData, "tensor has another shape", at: "dwc.weight", expected: "(d, 1, K, K) with K = 3, 5 or 7",
                    found: "\(weight.shape)")
            }
            guard headDim <= 1024, channels.isMultiple(of: headDim) else {
                throw ZooError(
                    .badData, "channels are no heads of as many channels as filters", at: "dwc.weight",
                    expected: "d at most 1024 and a divisor of \(channels)", found: "\(headDim)")
            }
            let bias = try arguments.tensor("dwc.bias", rank: 1, shape: "(d)")
            guard bias.count == headDim else {
                throw ZooError(
                    .badData, "tensor has another shape", at: "dwc.bias", expected: "[\(headDim)]",
                    found: "\(bias.shape)")
            }
            let heads = channels / headDim
            if let given = arguments.tensors["heads"], given.values != [Float(heads)] {
                throw ZooError(
                    .badData, "heads do not fit dwc.weight", at: "heads", expected: "C / d = \(heads)",
                    found: "\(given.values)")
            }
            guard [0, Double(heads)].contains(arguments.number("heads")) else {
                throw ZooError(
                    .usage, "heads do not fit dwc.weight", at: "heads", expected: "C / d = \(heads)",
                    found: "\(arguments.number("heads"))")
            }
            let grid = try arguments.gridOrSquare(tokens: tokens)
            let core = FewHeadAttention(
                heads: heads, headDim: headDim, kernel: kernel, weight: weight.values, bias: bias.values, name: "lit")
            let cost = core.cost(tokens: tokens)
            return Call(
                outputShape: q.shape,
                cost: Cost(convolutions: batch * cost.convolutions, attention: batch * cost.attention)
            ) { output, runtime in
                withMaps(q, k, v, output, (batch, grid.height, grid.width, channels)) { q, k, v, output in
                    core(queries: q, keys: k, values: v, into: output, on: runtime)
                }
            }
        })

    /// The tensors as maps of one shape (batch, height, width, channels).
    static func withMaps(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, _ output: UnsafeMutablePointer<Float>,
        _ shape: (batch: Int, height: Int, width: Int, channels: Int),
        _ body: (FeatureMap, FeatureMap, FeatureMap, FeatureMap) -> Void
    ) {
        func map(_ base: UnsafePointer<Float>) -> FeatureMap {
            FeatureMap(
                batch: shape.batch, height: shape.height, width: shape.width, channels: shape.channels,
                base: UnsafeMutablePointer(mutating: base))
        }
        q.withUnsafeValues { q in
            k.withUnsafeValues { k in
                v.withUnsafeValues { v in
                    guard let q = q.baseAddress, let k = k.baseAddress, let v = v.baseAddress else { return }
                    body(map(q), map(k), map(v), map(output))
                }
            }
        }
    }
}

extension Operator.Arguments {
    /// The token grid; a square where none is given.
    fileprivate func gridOrSquare(tokens: Int) throws(ZooError) -> (height: Int, width: Int) {
        if let grid = try grid(tokens: tokens) { return grid }
        let side = Int(Double(tokens).squareRoot().rounded())
        guard side * side == tokens else {
            throw ZooError(
                .badData, "tensor is missing", at: "grid", expected: "(2), as \(tokens) tokens are no square")
        }
        return (side, side)
    }
}
