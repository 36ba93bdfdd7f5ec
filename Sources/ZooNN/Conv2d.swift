import CKernels
import ZooCore

/// Zeros around an image.
package struct Padding: Sendable {
    package var top: Int
    package var left: Int
    package var bottom: Int
    package var right: Int

    package init(top: Int, left: Int, bottom: Int, right: Int) {
        (self.top, self.left, self.bottom, self.right) = (top, left, bottom, right)
    }

    /// As many on every side.
    package static func same(_ size: Int) -> Padding { symmetric(size, size) }

    /// `rows` above and below, `columns` on the left and on the right.
    package static func symmetric(_ rows: Int, _ columns: Int) -> Padding {
        Padding(top: rows, left: columns, bottom: rows, right: columns)
    }

    var ck: ck_padding { ck_padding(top: top, left: left, bottom: bottom, right: right) }
}

/// A dense 2-D convolution with zero padding, batch norm folded in, activation fused.
package struct Conv2d: Sendable {
    private let name: String
    package let inputs: Int
    package let outputs: Int
    private let kernel: (height: Int, width: Int)
    private let stride: Int
    private let padding: Padding
    private let method: Method
    private let weight: PackedMatrix
    private let epilogue: Epilogue

    /// How the sums of products are found.
    private enum Method {
        /// As the definition has them.
        case direct
        /// Winograd's, with weights transformed once.
        case winograd
        /// Winograd's, with weights transformed in every call: they would take too much memory.
        case transforming

        /// Whatever saves time: a transform takes as long as a few dozen channels' products.
        init(inputs: Int, outputs: Int, kernel: (height: Int, width: Int), stride: Int, precision: Precision) {
            let leastInputs = 32
            let mostFloats = 4 << 20
            guard kernel == (3, 3), stride == 1, precision == .fp32, inputs >= leastInputs else {
                self = .direct
                return
            }
            self = ck_winograd_packed_count(outputs, inputs) < mostFloats ? .winograd : .transforming
        }
    }

    /// Reads `weight` [out, in, kernel, kernel] and `bias` [out].
    package init(
        _ w: Weights, in inputs: Int, out outputs: Int, kernel: Int, stride: Int = 1, padding: Int,
        batchNorm: BatchNorm? = nil, activation: Activation = .none
    ) {
        self.init(
            w, in: inputs, out: outputs, kernel: (kernel, kernel), stride: stride, padding: .same(padding),
            batchNorm: batchNorm, activation: activation)
    }

    /// Reads `weight` [out, in, height, width] and, where the checkpoint has one, `bias` [out].
    package init(
        _ w: Weights, in inputs: Int, out outputs: Int, kernel: (height: Int, width: Int), stride: Int = 1,
        padding: Padding, hasBias: Bool = true, batchNorm: BatchNorm? = nil, activation: Activation = .none
    ) {
        var weight = w.tensor("weight", [outputs, inputs, kernel.height, kernel.width])
        var bias = hasBias ? w.tensor("bias", [outputs]) : [Float](repeating: 0, count: outputs)
        if let batchNorm { (weight, bias) = batchNorm.folded(into: weight, bias: bias) }
        self.init(
            name: w.path, weight: weight, bias: bias, in: inputs, out: outputs, kernel: kernel, stride: stride,
            padding: padding, activation: activation, precision: w.precision)
    }

    /// Takes the weight [out][in][height][width] and the bias [out] from somewhere else.
    package init(
        name: String, weight: [Float], bias: [Float], in inputs: Int, out outputs: Int,
        kernel: (height: Int, width: Int), stride: Int, padding: Padding, activation: Activation = .none,
        precision: Precision
    ) {
        self.name = name
        self.inputs = inputs
        self.outputs = outputs
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        let taps = kernel.height * kernel.width
        method = Method(inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, precision: precision)
        self.weight = PackedMatrix(
            Self.channelsLast(weight, k: taps * inputs, inputs: inputs), n: outputs, taps: taps, channels: inputs,
            precision: precision, isTransformed: method == .winograd)
        self.epilogue = Epilogue(bias: bias, activation: activation, scale: nil)
    }

    /// [out][in][ky][kx] to [out][ky][kx][in].
    private static func channelsLast(_ weight: [Float], k: Int, inputs: Int) -> [Float] {
        let taps = k / inputs
        var result = weight
        for out in 0..<(weight.count / max(k, 1)) {
            for channel in 0..<inputs {
                for tap in 0..<taps {
                    result[out * k + tap * inputs + channel] = weight[out * k + channel * taps + tap]
                }
            }
        }
        return result
    }

    /// Rows of the output over `size` rows of input; for kernels and padding with equal sides, columns too.
    package func outputSize(_ size: Int) -> Int {
        ck_conv_output(size, kernel.height, stride, padding.top + padding.bottom)
    }

    /// Columns of the output over `size` columns of input.
    package func outputWidth(_ size: Int) -> Int {
        ck_conv_output(size, kernel.width, stride, padding.left + padding.right)
    }

    /// Writes to `output`, [batch, outputSize(height), outputWidth(width), outputs], and adds `residual` of that shape.
    ///
    /// - Parameter norm: what `x` goes through first, with SiLU after it.
    package func callAsFunction(
        _ x: FeatureMap, norm: ChannelFactors? = nil, into output: FeatureMap, residual: FeatureMap? = nil,
        on runtime: Runtime
    ) {
        run(x, padding, norm, Place(output), residual, runtime)
    }

    /// Writes the output rows `rows` of one image to `output`, which has as many rows. The bits are those of the whole
    /// image's where `rows` begin at an even row: Winograd's tiles are two rows high.
    ///
    /// - Parameter x: the whole image.
    package func callAsFunction(
        _ x: FeatureMap, rows: Range<Int>, norm: ChannelFactors? = nil, into output: FeatureMap, on runtime: Runtime
    ) {
        self(x, rows: rows, norm: norm, into: Place(output), on: runtime)
    }

    /// Where outputs go: every pixel of a map, or every second one of every second row.
    struct Place {
        let base: UnsafeMutablePointer<Float>
        let stride: Int
        /// Floats from row to row; 0 for dense rows.
        let lineStride: Int

        init(_ map: FeatureMap) {
            (base, stride, lineStride) = (map.base, map.stride, 0)
        }

        /// Pixel (row, column) of each square of four.
        init(_ map: FeatureMap, row: Int, column: Int) {
            base = map.base + (row * map.width + column) * map.stride
            stride = 2 * map.stride
            lineStride = 2 * map.width * map.stride
        }
    }

    func callAsFunction(
        _ x: FeatureMap, rows: Range<Int>, norm: ChannelFactors?, into place: Place, on runtime: Runtime
    ) {
        let first = rows.lowerBound * stride - padding.top
        let last = (rows.upperBound - 1) * stride + kernel.height - padding.top
        var edges = padding
        edges.top = max(0, -first)
        edges.bottom = max(0, last - x.height)
        let part = x.lines(max(0, first)..<min(last, x.height))
        run(part, edges, norm, place, nil, runtime)
    }

    private func run(
        _ x: FeatureMap, _ padding: Padding, _ norm: ChannelFactors?, _ place: Place, _ residual: FeatureMap?,
        _ runtime: Runtime
    ) {
        let arguments = ck_conv_args(
            batch: x.batch, height: x.height, width: x.width, channels: inputs, out_channels: outputs,
            kernel_height: kernel.height, kernel_width: kernel.width, stride: stride, padding: padding.ck, x: x.base,
            x_stride: x.stride, factor: norm.map { UnsafePointer($0.factor) },
            offset: norm.map { UnsafePointer($0.offset) }, packed: weight.pointer, packed_bf16: weight.bf16Pointer,
            packed_winograd: weight.winogradPointer, winograd: method == .transforming ? 1 : 0, out: place.base,
            out_stride: place.stride, out_line_stride: place.lineStride,
            epilogue: epilogue.ck(residual: residual))
        runtime.run(arguments, in: name)
    }

    /// A map of the right shape for the output, from the workspace.
    package func output(for x: FeatureMap, _ workspace: Workspace) -> FeatureMap {
        FeatureMap(
            workspace, batch: x.batch, height: outputSize(x.height), width: outputWidth(x.width), channels: outputs)
    }

    /// Multiply-adds for `pixels` output pixels.
    package func cost(pixels: Int) -> Cost {
        Cost(convolutions: pixels * outputs * inputs * kernel.height * kernel.width)
    }
}

/// A norm whose statistics are known: x * factor + offset, channel by channel of each image.
package struct ChannelFactors {
    /// [batch, channels] both.
    let factor: UnsafeMutablePointer<Float>
    let offset: UnsafeMutablePointer<Float>
}
