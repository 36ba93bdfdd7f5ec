import ZooCore

/// Swin's step to the next stage: the four pixels of each 2x2 cell side by side, layer norm, a linear layer to twice the
/// channels without bias.
package struct PatchMerging: Sendable {
    private let channels: Int
    private let reduction: Linear

    /// Reads `norm.weight` and `norm.bias` [4 C] and `reduction.weight` [2 C, 4 C], whose columns take the pixels (even
    /// row, even column), (odd, even), (even, odd), (odd, odd).
    package init(_ w: Weights, channels: Int, epsilon: Float = 1e-5) {
        self.channels = channels
        reduction = Linear(
            w["reduction"], in: 4 * channels, out: 2 * channels, kernel: .linear, hasBias: false,
            norm: LayerNorm(w["norm"], channels: 4 * channels, epsilon: epsilon))
    }

    /// Rows or columns of the map over `size` of the input; an odd one is filled up with zeros.
    package func outputSize(_ size: Int) -> Int { (size + 1) / 2 }

    /// Writes to `output`, [batch, outputSize(height), outputSize(width), 2 C].
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let cells = output.like(channels: 4 * channels, workspace)
            var cell = cells.base
            for image in 0..<x.batch {
                for y in 0..<output.height {
                    for column in 0..<output.width {
                        for part in 0..<4 {
                            copy(x, image, y: 2 * y + part % 2, x: 2 * column + part / 2, to: cell)
                            cell += channels
                        }
                    }
                }
            }
            reduction(cells, into: output, on: runtime)
        }
    }

    /// One pixel, or zeros where there is none.
    private func copy(_ map: FeatureMap, _ image: Int, y: Int, x: Int, to cell: UnsafeMutablePointer<Float>) {
        if y < map.height && x < map.width {
            cell.update(from: map.base + ((image * map.height + y) * map.width + x) * map.stride, count: channels)
        } else {
            cell.update(repeating: 0, count: channels)
        }
    }

    /// Multiply-adds for `pixels` output pixels.
    package func cost(pixels: Int) -> Cost { reduction.cost(pixels: pixels) }
}
