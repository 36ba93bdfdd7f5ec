import ZooCore

/// Agent attention, arXiv 2312.08874: a few agent tokens, pooled from the queries, gather from all keys and answer all
/// queries; a depthwise convolution of the values is added.
package struct AgentMixer: HeadMixer {
    /// The learned biases of both softmax steps, [heads][tokens][agents] each, for one resolution.
    package struct Biases: Sendable {
        fileprivate let gather: PackedWeight
        fileprivate let answer: PackedWeight

        /// Puts the biases of a checkpoint together: an interpolated coarse map plus one term per row and per column of
        /// the grid, and one for the class token where there is one.
        ///
        /// - Parameters:
        ///   - an, na: [heads][agents][7][7]
        ///   - ah, aw: [heads][agents][height] and [heads][agents][width]
        ///   - ha, wa: [heads][height][agents] and [heads][width][agents]
        ///   - classToken: biases [heads][agents] of the class token when it is gathered from and when it is answered.
        package init(
            an: [Float], na: [Float], ah: [Float], aw: [Float], ha: [Float], wa: [Float],
            classToken: (gather: [Float], answer: [Float])?, heads: Int, agents: Int, grid: Grid
        ) {
            let classTokens = classToken == nil ? 0 : 1
            func bias(
                _ coarse: [Float], _ classBias: [Float]?,
                _ term: (_ head: Int, _ agent: Int, _ y: Int, _ x: Int) -> Float
            ) -> PackedWeight {
                let tokens = grid.count + classTokens
                return PackedWeight(count: coarse.isEmpty ? 0 : heads * tokens * agents) { bias in
                    for plane in 0..<(coarse.count / 49) {
                        let (head, agent) = plane.quotientAndRemainder(dividingBy: agents)
                        if let classBias { bias[head * tokens * agents + agent] = classBias[plane] }
                        let resized = Self.resized(coarse[plane * 49..<plane * 49 + 49], to: grid)
                        for (pixel, value) in resized.enumerated() {
                            let (y, x) = pixel.quotientAndRemainder(dividingBy: grid.width)
                            bias[(head * tokens + classTokens + pixel) * agents + agent] =
                                value + term(head, agent, y, x)
                        }
                    }
                }
            }
            let (height, width) = (grid.height, grid.width)
            gather = bias(an, classToken?.gather) { head, agent, y, x in
                ah[(head * agents + agent) * height + y] + aw[(head * agents + agent) * width + x]
            }
            answer = bias(na, classToken?.answer) { head, agent, y, x in
                ha[(head * height + y) * agents + agent] + wa[(head * width + x) * agents + agent]
            }
        }

        /// Bilinear interpolation of a 7 x 7 map, pixel centres aligned, edges repeated.
        private static func resized(_ map: ArraySlice<Float>, to grid: Grid) -> [Float] {
            func taps(_ index: Int, _ size: Int) -> (low: Int, high: Int, weight: Double) {
                let at = max(0, (Double(index) + 0.5) * 7 / Double(size) - 0.5)
                let low = min(Int(at), 6)
                return (low, min(low + 1, 6), at - Double(low))
            }
            let first = map.startIndex
            return (0..<grid.count).map { pixel in
                let (y, x) = (taps(pixel / grid.width, grid.height), taps(pixel % grid.width, grid.width))
                func row(_ row: Int) -> Double {
                    let (left, right) = (Double(map[first + row * 7 + x.low]), Double(map[first + row * 7 + x.high]))
                    return left + (right - left) * x.weight
                }
                return Float(row(y.low) + (row(y.high) - row(y.low)) * y.weight)
            }
        }
    }

    private let biases: Biases
    private let side: Int
    private let grid: Grid
    private let classTokens: Int
    private let local: DepthwiseConv2d
    private let units: UnitRows
    private let gather = LinearAttention(query: .identity, key: .tokenSoftmax, divisor: .none)
    private let answer = LinearAttention(query: .identity, key: .identity, divisor: .none)

    /// - Parameters:
    ///   - side: the agents are pooled to side x side.
    ///   - classTokens: 1 for a class token before the grid, which pooling and convolution pass over, else 0.
    ///   - local: the depthwise convolution over all channels.
    package init(biases: Biases, side: Int, grid: Grid, classTokens: Int, local: DepthwiseConv2d) {
        self.biases = biases
        self.side = side
        self.grid = grid
        self.classTokens = classTokens
        self.local = local
        units = UnitRows(side * side)
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let agents = pooled(x.q, workspace)
            let gathered = HeadMap(
                batch: x.v.batch, heads: x.v.heads, tokens: side * side, dim: x.v.dim,
                base: workspace.floats(x.v.batch * x.v.heads * side * side * x.v.dim))
            let logits = x.q.like(dim: side * side, workspace)
            x.k.products(with: agents, bias: biases.gather, into: logits, on: runtime)
            gather(Projections(q: units.heads(of: x.k), k: logits, v: x.v), into: gathered, on: runtime)
            x.q.products(with: agents, bias: biases.answer, into: logits, on: runtime)
            RowMap.softmax(logits, into: logits, on: runtime)
            output.writeMerged(workspace) { merged in
                workspace.scope { convolve(x.v.merged(workspace), into: merged, on: runtime) }
                let out = HeadMap(merged, heads: output.heads)
                answer(
                    Projections(q: logits, k: units.heads(of: x.q), v: gathered), local: out, into: out, on: runtime)
            }
        }
    }

    /// The depthwise convolution of the grid; 0 for the class token.
    private func convolve(_ values: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        for image in 0..<values.batch {
            let (from, to) = (values.images(image..<image + 1), output.images(image..<image + 1))
            for token in 0..<classTokens { (to.base + token * to.stride).update(repeating: 0, count: to.channels) }
            local(
                grid.map(from.tokens(classTokens..<from.tokens)), into: grid.map(to.tokens(classTokens..<to.tokens)),
                on: runtime)
        }
    }

    /// The mean query of each cell of a side x side grid, times d^-1/2. Cells overlap where side does not divide the grid.
    private func pooled(_ queries: HeadMap, _ workspace: Workspace) -> HeadMap {
        let agents = HeadMap(
            batch: queries.batch, heads: queries.heads, tokens: side * side, dim: queries.dim,
            base: workspace.floats(queries.batch * queries.heads * side * side * queries.dim))
        let scale = 1 / Double(queries.dim).squareRoot()
        for b in 0..<queries.batch {
            for h in 0..<queries.heads {
                for agent in 0..<side * side {
                    let (rows, columns) = (cell(agent / side, of: grid.height), cell(agent % side, of: grid.width))
                    let mean = agents.row(b, h, agent)
                    mean.update(repeating: 0, count: queries.dim)
                    for y in rows {
                        for x in columns {
                            let query = queries.row(b, h, classTokens + y * grid.width + x)
                            for c in 0..<queries.dim { mean[c] += query[c] }
                        }
                    }
                    let factor = Float(scale / Double(rows.count * columns.count))
                    for c in 0..<queries.dim { mean[c] *= factor }
                }
            }
        }
        return agents
    }

    private func cell(_ index: Int, of size: Int) -> Range<Int> {
        index * size / side..<((index + 1) * size + side - 1) / side
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        Cost(attention: 4 * tokens * side * side * heads * dim) + local.cost(pixels: grid.count)
    }
}

extension AttentionLayer where Mixer == AgentMixer {
    /// The layer of Agent-Swin and, with a class token, of Agent-DeiT: `qkv`, `proj`, `dwc` and the biases `an_bias`,
    /// `na_bias`, `ah_bias`, `aw_bias`, `ha_bias`, `wa_bias`, with a class token also `ac_bias` and `ca_bias`.
    ///
    /// - Parameter side: the agents are side x side.
    package init(agent w: Weights, channels: Int, heads: Int, side: Int, grid: Grid, hasClassToken: Bool) {
        let agents = side * side
        let classToken =
            hasClassToken
            ? (
                gather: w.tensor("ac_bias", [1, heads, agents, 1]),
                answer: w.tensor("ca_bias", [1, heads, 1, agents])
            ) : nil
        let biases = AgentMixer.Biases(
            an: w.tensor("an_bias", [heads, agents, 7, 7]), na: w.tensor("na_bias", [heads, agents, 7, 7]),
            ah: w.tensor("ah_bias", [1, heads, agents, grid.height, 1]),
            aw: w.tensor("aw_bias", [1, heads, agents, 1, grid.width]),
            ha: w.tensor("ha_bias", [1, heads, grid.height, 1, agents]),
            wa: w.tensor("wa_bias", [1, heads, 1, grid.width, agents]), classToken: classToken, heads: heads,
            agents: agents, grid: grid)
        let mixer = AgentMixer(
            biases: biases, side: side, grid: grid, classTokens: hasClassToken ? 1 : 0,
            local: DepthwiseConv2d(w["dwc"], channels: channels, kernel: 3, residual: false))
        self.init(qkv: w, mixer, channels: channels, heads: heads)
    }
}

extension FeatureMap {
    /// Some tokens of a single image, as one row of pixels.
    fileprivate func tokens(_ range: Range<Int>) -> FeatureMap {
        FeatureMap(
            batch: 1, height: 1, width: range.count, channels: channels, stride: stride,
            base: base + range.lowerBound * stride)
    }
}
