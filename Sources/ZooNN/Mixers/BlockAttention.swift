import CKernels
import ZooCore

/// DiagAttention of TransNormer, arXiv 2210.10340: softmax attention inside blocks of 4 x 4 pixels. Zeros fill a grid up
/// to whole blocks, and take part in the softmax.
package struct PixelBlockMixer: HeadMixer {
    private static let side = 4
    private let grid: Grid

    package init(grid: Grid) {
        self.grid = grid
    }

    private var blocks: Grid {
        Grid(height: (grid.height + Self.side - 1) / Self.side, width: (grid.width + Self.side - 1) / Self.side)
    }

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            func gathered(_ rows: HeadMap) -> FeatureMap {
                let map = blockMap(of: rows, workspace)
                map.base.update(repeating: 0, count: map.rows * map.channels)
                eachRow(of: rows, map) { row, block in block.update(from: row, count: rows.dim) }
                return map
            }
            let (queries, keys, values) = (gathered(x.q), gathered(x.k), gathered(x.v))
            let answers = blockMap(of: output, workspace)
            AttentionCore.softmax(
                queries: queries, keys: keys, values: values, heads: 1, rope: false, into: answers, on: runtime)
            eachRow(of: output, answers) { row, block in row.update(from: block, count: output.dim) }
        }
    }

    /// Room for every block of every head as an image of its own.
    private func blockMap(of rows: HeadMap, _ workspace: Workspace) -> FeatureMap {
        FeatureMap(
            workspace, batch: rows.batch * rows.heads * blocks.count, height: Self.side, width: Self.side,
            channels: rows.dim)
    }

    /// Calls `body` with every row and its place in the blocks.
    private func eachRow(
        of rows: HeadMap, _ map: FeatureMap,
        _ body: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
    ) {
        for b in 0..<rows.batch {
            for h in 0..<rows.heads {
                for y in 0..<grid.height {
                    for x in 0..<grid.width {
                        let block = (y / Self.side) * blocks.width + x / Self.side
                        let pixel = (y % Self.side) * Self.side + x % Self.side
                        let image = (b * rows.heads + h) * blocks.count + block
                        body(
                            rows.row(b, h, y * grid.width + x),
                            map.base + (image * Self.side * Self.side + pixel) * rows.dim)
                    }
                }
            }
        }
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        AttentionCore.softmax.cost(tokens: Self.side * Self.side, heads: heads * blocks.count, headDim: dim)
    }
}

/// LLN+Diag, arXiv 2311.13541: the mean of linear log-normal attention and of softmax attention inside consecutive blocks
/// of as many tokens as a head has channels; the last block is shorter.
package struct LogNormalBlockMixer: HeadMixer {
    private let logNormal = LogNormalMixer()

    package init() {}

    package func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let linear = output.like(dim: output.dim, workspace)
            logNormal(x, into: linear, on: runtime)
            let rest = output.tokens % output.dim
            for b in 0..<output.batch {
                for h in 0..<output.heads {
                    func attend(from first: Int, blocks: Int, of size: Int) {
                        guard blocks * size > 0 else { return }
                        func map(_ rows: HeadMap) -> FeatureMap {
                            FeatureMap(
                                batch: blocks, height: 1, width: size, channels: rows.dim, stride: rows.strides.row,
                                base: rows.row(b, h, first))
                        }
                        AttentionCore.softmax(
                            queries: map(x.q), keys: map(x.k), values: map(x.v), heads: 1, rope: false,
                            into: map(output), on: runtime)
                    }
                    attend(from: 0, blocks: output.tokens / output.dim, of: output.dim)
                    attend(from: output.tokens - rest, blocks: 1, of: rest)
                    for n in 0..<output.tokens {
                        let (block, all) = (output.row(b, h, n), linear.row(b, h, n))
                        for c in 0..<output.dim { block[c] = 0.5 * (block[c] + all[c]) }
                    }
                }
            }
        }
    }

    package func cost(tokens: Int, heads: Int, dim: Int) -> Cost {
        logNormal.cost(tokens: tokens, heads: heads, dim: dim)
            + Cost(attention: 2 * tokens * min(dim, tokens) * dim * heads)
    }
}
