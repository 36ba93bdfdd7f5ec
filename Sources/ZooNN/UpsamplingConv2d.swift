import ZooCore

/// Nearest-neighbour upsampling by two and a 3x3 convolution with padding 1, in one: every output pixel sees only 2x2
/// input pixels, so each of the four kinds of output pixels is a 2x2 convolution of the small map, with sums of the
/// weights. That is 4/9 of the multiply-adds, and no enlarged map.
package struct UpsamplingConv2d: Sendable {
    package let outputs: Int
    private let inputs: Int
    /// For output pixels at even and odd rows, then at even and odd columns.
    private let phases: [Conv2d]

    /// Reads `weight` [out, in, 3, 3] and `bias` [out].
    package init(_ w: Weights, in inputs: Int, out outputs: Int) {
        self.inputs = inputs
        self.outputs = outputs
        let weight = w.tensor("weight", [outputs, inputs, 3, 3])
        let bias = w.tensor("bias", [outputs])
        phases = (0..<4).map { phase in
            let (row, column) = (phase / 2, phase % 2)
            return Conv2d(
                name: w.path, weight: Self.summed(weight, row: row, column: column), bias: bias, in: inputs,
                out: outputs, kernel: (2, 2), stride: 1,
                padding: Padding(top: 1 - row, left: 1 - column, bottom: row, right: column), precision: w.precision)
        }
    }

    /// Adds up, in float64, the weights that meet the same input pixel: of output pixel 2 i the first stands alone and
    /// the other two meet, of output pixel 2 i + 1 the first two meet.
    private static func summed(_ weight: [Float], row: Int, column: Int) -> [Float] {
        func taps(_ odd: Int) -> [ClosedRange<Int>] { odd == 0 ? [0...0, 1...2] : [0...1, 2...2] }
        return stride(from: 0, to: weight.count, by: 9).flatMap { first in
            taps(row).flatMap { rows in
                taps(column).map { columns in
                    Float(
                        rows.reduce(0.0) { sum, y in columns.reduce(sum) { $0 + Double(weight[first + y * 3 + $1]) } })
                }
            }
        }
    }

    /// Writes, for the input rows `rows` of one image, the rows `2 * rows.lowerBound ..< 2 * rows.upperBound` of the
    /// enlarged image to `output`.
    ///
    /// - Parameter x: the whole image.
    package func callAsFunction(_ x: FeatureMap, rows: Range<Int>, into output: FeatureMap, on runtime: Runtime) {
        for (phase, conv) in phases.enumerated() {
            let place = Conv2d.Place(output, row: phase / 2, column: phase % 2)
            conv(x, rows: rows, norm: nil, into: place, on: runtime)
        }
    }

    /// Multiply-adds as the definition has them, for `pixels` pixels of the enlarged map.
    package func cost(pixels: Int) -> Cost { Cost(convolutions: pixels * outputs * inputs * 9) }
}
