import ZooCore

extension Operator {
    private static let rowsShape = "(N, heads, d)"
    /// Row numbers come as float32, which holds whole numbers up to here.
    private static let highestRows = 1 << 24

    /// Scattered linear attention over ragged groups.
    static let scattered = Operator(
        name: "sla", summary: "scattered linear attention over ragged groups, arXiv 2401.00912",
        inputs: queriesKeysValues(shape: rowsShape) + [
            Input("counts", shape: "(groups)", element: .integer, summary: "rows of each group, 0 or more"),
            Input(
                "offsets", shape: "(groups)", element: .integer, isRequired: false,
                summary: "first row of each group; one after the other where not given"),
        ],
        prepare: { (arguments) throws(ZooError) in
            let (q, k, v) = try arguments.queriesKeysValues(shape: rowsShape, rank: 3)
            let (rows, heads, headDim) = (q.shape[0], q.shape[1], q.shape[2])
            guard rows <= highestRows, headDim <= 1024 else {
                throw ZooError(
                    .badData, "tensor is too large", at: "q", expected: "at most \(highestRows) rows and d = 1024",
                    found: "\(q.shape)")
            }
            let counts = try arguments.wholeNumbers("counts")
            let groups: RowGroups
            if arguments.tensors["offsets"] != nil {
                groups = try RowGroups(offsets: arguments.wholeNumbers("offsets"), counts: counts, rows: rows)
            } else {
                groups = try RowGroups(counts: counts, rows: rows)
            }
            let core = ScatteredAttention(heads: heads)
            return Call(outputShape: q.shape, cost: core.cost(rows: rows, headDim: headDim)) { output, runtime in
                withMaps(q, k, v, output, (1, 1, rows, heads * headDim)) { q, k, v, output in
                    core(queries: q, keys: k, values: v, groups: groups, into: output, on: runtime)
                }
            }
        })
}

extension Operator.Arguments {
    /// The elements of a vector of integers.
    fileprivate func wholeNumbers(_ name: String) throws(ZooError) -> [Int] {
        let tensor = try tensor(name, rank: 1, shape: "(groups)")
        var numbers: [Int] = []
        numbers.reserveCapacity(tensor.count)
        for value in tensor.values {
            guard let number = Int(exactly: value) else {
                throw ZooError(.badData, "tensor holds no row number", at: name, found: "\(value)")
            }
            numbers.append(number)
        }
        return numbers
    }
}
