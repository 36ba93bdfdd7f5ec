import ZooCore

/// A learned position embedding on a token grid, resampled where a map has another grid.
package struct PositionEmbedding: Sendable {
    /// How the embedding of one grid becomes that of another: separable, with half-pixel centres.
    package enum Resampling: Sendable {
        /// Triangle filter over the two nearest entries (PyTorch's `bilinear` without antialiasing).
        case bilinear
        /// Keys' cubic with a = -0.75 over the four nearest entries, the border repeated (PyTorch's `bicubic`).
        case bicubic
        /// Keys' cubic with a = -0.5, stretched when the grid shrinks, entries outside left out (timm's rule).
        case antialiasedBicubic
    }

    private let name: String
    private let height: Int
    private let width: Int
    private let channels: Int
    private let resampling: Resampling
    /// [height, width, C]
    private let grid: PackedWeight
    /// The embedding of the tokens before the grid, such as a class token: [leading * C].
    package let leading: [Float]

    /// Reads the tensor `name`, [1, leading + height * width, channels].
    package init(
        _ w: Weights, _ name: String, grid: (height: Int, width: Int), channels: Int, leading: Int = 0,
        resampling: Resampling
    ) {
        let values = w.tensor(name, [1, leading + grid.height * grid.width, channels])
        self.name = w.prefix + name
        (height, width) = grid
        self.channels = channels
        self.resampling = resampling
        self.leading = Array(values.prefix(leading * channels))
        self.grid = PackedWeight(Array(values.dropFirst(leading * channels)))
    }

    /// The embedding of a grid of this size: [1, height, width, C]. A resampled one is kept with the runtime.
    package func map(height: Int, width: Int, on runtime: Runtime) -> FeatureMap {
        var values = grid.pointer
        if (height, width) != (self.height, self.width) {
            values = runtime.table(of: grid, height: height, width: width, count: height * width * channels) {
                resample(to: $0, height: height, width: width)
            }
        }
        // Layers never write to what they add, so the cast is sound.
        return FeatureMap(
            batch: 1, height: height, width: width, channels: channels, base: UnsafeMutablePointer(mutating: values))
    }

    /// In float64 up to the last rounding.
    private func resample(to result: UnsafeMutablePointer<Float>, height: Int, width: Int) {
        let line = self.width * channels
        var lines = [Double](repeating: 0, count: height * line)
        for (y, taps) in taps(from: self.height, to: height).enumerated() {
            for (row, weight) in taps {
                for i in 0..<line { lines[y * line + i] += weight * Double(grid.pointer[row * line + i]) }
            }
        }
        for (x, taps) in taps(from: self.width, to: width).enumerated() {
            for y in 0..<height {
                for channel in 0..<channels {
                    let sum = taps.reduce(0) { $0 + $1.weight * lines[y * line + $1.index * channels + channel] }
                    result[(y * width + x) * channels + channel] = Float(sum)
                }
            }
        }
    }

    /// What each of `new` entries of an axis takes from the `old` ones.
    private func taps(from old: Int, to new: Int) -> [[(index: Int, weight: Double)]] {
        let ratio = Double(old) / Double(new)
        return (0..<new).map { entry in
            let centre = (Double(entry) + 0.5) * ratio
            func clamped(_ index: Int) -> Int { min(max(index, 0), old - 1) }
            switch resampling {
            case .bilinear:
                let position = max(centre - 0.5, 0)
                let first = clamped(Int(position))
                let fraction = position - Double(first)
                return [(first, 1 - fraction), (clamped(first + 1), fraction)]
            case .bicubic:
                let first = (centre - 0.5).rounded(.down)
                return (-1...2).map { step in
                    let index = first + Double(step)
                    return (clamped(Int(index)), Self.cubic(index - centre + 0.5, a: -0.75))
                }
            case .antialiasedBicubic:
                let stretch = max(ratio, 1)
                let first = max(0, Int(centre - 2 * stretch + 0.5))
                let last = min(old, Int(centre + 2 * stretch + 0.5))
                let weights = (first..<last).map { Self.cubic((Double($0) - centre + 0.5) / stretch, a: -0.5) }
                let sum = weights.reduce(0, +)
                return zip(first..<last, weights).map { ($0, $1 / sum) }
            }
        }
    }

    /// Keys' cubic convolution kernel.
    private static func cubic(_ x: Double, a: Double) -> Double {
        let x = abs(x)
        if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        if x < 2 { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a }
        return 0
    }
}
