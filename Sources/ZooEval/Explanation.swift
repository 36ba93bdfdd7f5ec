import Foundation
import ZooCore
import ZooImage
import ZooModels
import ZooNN

/// What the attention of one block of a network looks at in an image.
public struct Explanation: Sendable {
    /// Which query is asked.
    public enum Query: Sendable, Equatable {
        /// The token in the middle of the grid.
        case centre
        /// Row and column of the token grid.
        case token(row: Int, column: Int)
        /// The class token.
        case classToken
        /// The mean over all queries.
        case mean
    }

    /// What is asked.
    public struct Request: Sendable {
        /// Counted from 0; `nil` for the last block with more than one token.
        public var block: Int?
        public var query = Query.centre
        /// Another operator on the same queries and keys; `nil` for the block's own.
        public var `operator`: String?
        /// Multiplied into the queries.
        public var queryScale: Float = 1

        public init() {}
    }

    /// One head in numbers. The entropy is that of the magnitudes, normalised to sum to one.
    public struct Head: Sendable, Codable, Equatable {
        /// `nil` for the mean over the heads.
        public let head: Int?
        /// Nats.
        public let entropy: Double
        /// Over the logarithm of the number of tokens: 1 if all weigh the same.
        public let relativeEntropy: Double
        /// The share of the magnitude that is negative.
        public let negativeShare: Double
        public let rowSum: Double
        public let peak: Peak
        /// The means over all queries of the image.
        public let meanEntropy: Double
        public let meanNegativeShare: Double
        /// The smallest and the largest row sum of all queries.
        public let rowSums: [Double]
    }

    /// The token with the largest weight.
    public struct Peak: Sendable, Codable, Equatable {
        /// Row and column; `nil` for the class token.
        public let token: [Int]?
        public let weight: Double
    }

    /// Operator and sizes of every attention block of the network.
    public let blocks: [String]
    public let block: Int
    /// The operator whose attention this is.
    public let `operator`: String
    public let query: Query
    /// Row and column of the query's token, `nil` for the class token and the mean.
    public let token: [Int]?
    /// The grid of the queries.
    public let gridHeight: Int
    public let gridWidth: Int
    /// The grid of the keys, which some networks make coarser.
    public let keyHeight: Int
    public let keyWidth: Int
    /// Whether a class token comes before the grid.
    public let hasClassToken: Bool
    public let heads: [Head]
    /// The mean over the heads.
    public let mean: Head
    /// The weights for the tokens of the grid, row by row: the mean over the heads, then every head.
    public let maps: [[Float]]
    /// The block's queries (scaled as asked for), keys and values, (1, heads, tokens, head dimension).
    public let queries: Tensor
    public let keys: Tensor
    public let values: Tensor
    /// Whether the operator rotates queries and keys by their place in the grid.
    public let hasRotation: Bool

    /// The attention blocks of a network for an input of this size.
    private static func blocks(
        _ model: any ImageClassifier, _ input: ImageBatch, on runtime: Runtime
    ) throws(ZooError) -> [AttentionProbe.Block] {
        let probe = AttentionProbe(on: runtime)
        try observe(model, input, with: probe, on: runtime)
        return probe.blocks
    }

    private static func observe(
        _ model: any ImageClassifier, _ input: ImageBatch, with probe: AttentionProbe, on runtime: Runtime
    ) throws(ZooError) {
        runtime.observer = probe
        defer { runtime.observer = nil }
        try model.forward(input, into: ClassifierOutput(), on: runtime)
    }

    /// - Parameter image: what the model sees, `Preprocessor.crop`'s result.
    /// - Throws: `ZooError` of kind `usage` for a block, token or operator that there is not, `unavailable` for an
    ///   attention that cannot be unrolled, `badData` where it is not finite.
    public init(
        _ request: Request, _ model: any ImageClassifier, _ image: RGBImage, _ preprocessor: Preprocessor,
        on runtime: Runtime
    ) throws {
        var values = [Float](repeating: 0, count: preprocessor.inputCount)
        values.withUnsafeMutableBufferPointer { preprocessor.normalize(image, into: $0) }
        var change = EffectiveAttention.Change()
        change.core = try request.operator.map { (name) throws(ZooError) in try Self.core(named: name) }
        change.queryScale = request.queryScale
        let (blocks, found) = try values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { throw ZooError(.internal, "an input without pixels") }
            let input = ImageBatch(batch: 1, height: image.height, width: image.width, values: base)
            let blocks = try Self.blocks(model, input, on: runtime)
            let block = try Self.choose(request.block, among: blocks)
            try Self.check(change, blocks[block])
            let grid = try Self.grid(blocks[block].tokens, blocks[block], image)
            let keyGrid = try Self.grid(blocks[block].keyTokens, blocks[block], image)
            let query = try Self.index(of: request.query, in: grid)
            let probe = AttentionProbe(unrolling: (block, query, change), on: runtime)
            try Self.observe(model, input, with: probe, on: runtime)
            guard let attention = probe.result else { throw ZooError(.internal, "the block was not seen again") }
            return (blocks, (block: block, grid: grid, keyGrid: keyGrid, query: query, attention: attention))
        }
        let (grid, keyGrid, attention) = (found.grid, found.keyGrid, found.attention)
        guard attention.heads.allSatisfy({ $0.weights.allSatisfy(\.isFinite) }) else {
            throw ZooError(
                .badData, "the attention is no number: the weights are damaged or not for this model",
                at: "block \(found.block)", expected: "finite numbers")
        }
        self.blocks = blocks.map(\.shape)
        block = found.block
        `operator` = "\(attention.core)"
        query = request.query
        if case .token(let index) = found.query, index >= grid.classTokens {
            let place = index - grid.classTokens
            token = [place / grid.width, place % grid.width]
        } else {
            token = nil
        }
        (gridHeight, gridWidth) = (grid.height, grid.width)
        (keyHeight, keyWidth) = (keyGrid.height, keyGrid.width)
        hasClassToken = keyGrid.classTokens > 0
        let count = attention.heads.count
        let average = (0..<attention.keyTokens).map { token in
            attention.heads.reduce(Float(0)) { $0 + $1.weights[token] } / Float(count)
        }
        let described = attention.heads.enumerated().map { index, head in
            Self.describe(head.weights, head: index, rows: head.rows, keyGrid)
        }
        heads = described
        mean = Self.describe(average, head: nil, rows: attention.heads.flatMap(\.rows), keyGrid)
        maps = ([average] + attention.heads.map(\.weights)).map { Array($0.dropFirst(keyGrid.classTokens)) }
        func perHead(_ packed: [Float]) -> Tensor {
            let width = attention.headDim
            let tokens = packed.count / (count * width)
            var values: [Float] = []
            for head in 0..<count {
                for token in 0..<tokens {
                    let first = (token * count + head) * width
                    values += packed[first..<first + width]
                }
            }
            return Tensor(shape: [1, count, tokens, width], values: values)
        }
        queries = perHead(attention.queries)
        keys = perHead(attention.keys)
        self.values = perHead(attention.values)
        hasRotation = blocks[found.block].isRotated
    }

    private typealias Grid = (height: Int, width: Int, classTokens: Int)

    private static func core(named name: String) throws(ZooError) -> EffectiveAttention.Core {
        func spelling(_ core: EffectiveAttention.Core) -> String { "\(core)".replacing(" ", with: "-") }
        let cores = EffectiveAttention.interchangeable
        guard let core = cores.first(where: { spelling($0) == name.lowercased() }) else {
            throw ZooError(
                .usage, "no operator whose attention can be unrolled", at: "--operator",
                expected: cores.map(spelling).joined(separator: ", "), found: name)
        }
        return core
    }

    private static func choose(_ wanted: Int?, among blocks: [AttentionProbe.Block]) throws(ZooError) -> Int {
        guard !blocks.isEmpty else { throw ZooError(.usage, "the model has no attention") }
        let block = wanted ?? blocks.lastIndex { ($0.tokens ?? 0) > 1 } ?? blocks.count - 1
        guard blocks.indices.contains(block) else {
            throw ZooError(
                .usage, "no such block", at: "--block", expected: "0...\(blocks.count - 1)", found: "\(block)")
        }
        guard blocks[block].tokens != nil else {
            let possible = blocks.indices.filter { blocks[$0].tokens != nil }.map(String.init).joined(separator: ", ")
            throw ZooError(
                .unavailable,
                "attention of this kind is not unrolled", at: "block \(block)",
                expected: "softmax, rala, mala, inline or linear", found: blocks[block].shape,
                hint: possible.isEmpty ? "no block of this model can" : "blocks that can: \(possible)",
                code: "explain.not-unrollable")
        }
        return block
    }

    private static func check(
        _ change: EffectiveAttention.Change, _ block: AttentionProbe.Block
    ) throws(ZooError) {
        guard let core = change.core, !block.isPlain, "\(core)" != "softmax" else { return }
        throw ZooError(
            .unavailable, "only softmax attention has windows, a bias or other numbers of keys", at: "--operator",
            expected: "softmax in this block", found: "\(core)", code: "explain.not-plain")
    }

    /// The token grid: that of windows or the position embedding, else the one that has the image's aspect, with or
    /// without a class token before it.
    private static func grid(
        _ tokens: Int?, _ block: AttentionProbe.Block, _ image: RGBImage
    ) throws(ZooError) -> Grid {
        let tokens = tokens ?? 0
        if let grid = block.grid, grid.height * grid.width == tokens { return (grid.height, grid.width, 0) }
        for classTokens in [0, 1] {
            for stride in 1...max(image.height, image.width) {
                let (height, width) = ((image.height + stride - 1) / stride, (image.width + stride - 1) / stride)
                if height * width == tokens - classTokens { return (height, width, classTokens) }
            }
        }
        throw ZooError(
            .unavailable, "the tokens of this block are no grid over the image", found: block.shape,
            code: "explain.no-grid")
    }

    private static func index(of query: Query, in grid: Grid) throws(ZooError) -> EffectiveAttention.Query {
        switch query {
        case .mean: return .mean
        case .centre: return .token(grid.classTokens + grid.height / 2 * grid.width + grid.width / 2)
        case .classToken:
            guard grid.classTokens > 0 else {
                throw ZooError(.usage, "the model has no class token", at: "--token", expected: "ROW,COLUMN or mean")
            }
            return .token(0)
        case .token(let row, let column):
            guard (0..<grid.height).contains(row), (0..<grid.width).contains(column) else {
                throw ZooError(
                    .usage, "the token lies outside the grid", at: "--token",
                    expected: "0,0 to \(grid.height - 1),\(grid.width - 1)", found: "\(row),\(column)")
            }
            return .token(grid.classTokens + row * grid.width + column)
        }
    }

    private static func describe(
        _ weights: [Float], head: Int?, rows: [EffectiveAttention.Row], _ grid: Grid
    ) -> Head {
        let row = EffectiveAttention.Row(weights)
        let peak = weights.indices.max { weights[$0] < weights[$1] } ?? 0
        let place = peak - grid.classTokens
        let count = Double(max(rows.count, 1))
        return Head(
            head: head, entropy: row.entropy,
            relativeEntropy: weights.count > 1 ? row.entropy / log(Double(weights.count)) : 1,
            negativeShare: row.negativeShare, rowSum: row.sum,
            peak: Peak(
                token: place >= 0 ? [place / grid.width, place % grid.width] : nil, weight: Double(weights[peak])),
            meanEntropy: rows.reduce(0) { $0 + $1.entropy } / count,
            meanNegativeShare: rows.reduce(0) { $0 + $1.negativeShare } / count,
            rowSums: [rows.map(\.sum).min() ?? 0, rows.map(\.sum).max() ?? 0])
    }
}
