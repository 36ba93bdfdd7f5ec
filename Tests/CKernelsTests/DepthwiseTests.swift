import CKernels
import Testing

/// A depthwise convolution in guarded memory.
private final class Depthwise {
    let batch: Int
    let height: Int
    let width: Int
    let kernel: Int
    let bias: Bool
    let residual: Bool
    let window: (height: Int, width: Int)
    let x: GuardedMatrix
    let weight: GuardedMatrix
    let biases: GuardedMatrix

    init(
        batch: Int = 1, height: Int, width: Int, channels: Int, kernel: Int, bias: Bool = true, residual: Bool = true,
        window: (height: Int, width: Int)? = nil, padding: Int = 0, misalignment: Int = 0
    ) {
        (self.batch, self.height, self.width, self.kernel) = (batch, height, width, kernel)
        (self.bias, self.residual, self.window) = (bias, residual, window ?? (height, width))
        x = GuardedMatrix(batch * height * width, channels, stride: channels + padding, misalignment: misalignment)
        weight = GuardedMatrix(kernel * kernel, channels, misalignment: misalignment)
        biases = GuardedMatrix(1, channels, misalignment: misalignment)
        var noise = Noise(channels + width)
        for matrix in [x, weight, biases] { matrix.fill(&noise) }
    }

    func run(_ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
        let out = GuardedMatrix(x.rows, x.columns, stride: x.stride + 1)
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = ck_dwconv_args(
            batch: batch, height: height, width: width, channels: x.columns, kernel: kernel,
            window_height: window.height, window_width: window.width, x: x.pointer,
            x_stride: x.stride, weight: weight.pointer, bias: bias ? UnsafePointer(biases.pointer) : nil,
            add_input: residual ? 1 : 0, out: out.pointer, out_stride: out.stride)
        #expect(ck_dwconv_f32(&context, &arguments) == CK_OK)
        #expect(out.surroundingsIntact, "output overrun")
        return out
    }

    /// The largest error in units of what a chain of float32 operations on these terms may be off by.
    func worstError(of out: GuardedMatrix) -> Double {
        var worst = 0.0
        for row in 0..<x.rows {
            let (image, pixel) = row.quotientAndRemainder(dividingBy: height * width)
            let (y, column) = pixel.quotientAndRemainder(dividingBy: width)
            for channel in 0..<x.columns {
                var sum = bias ? Double(biases.pointer[channel]) : 0
                if residual { sum += Double(x.pointer[row * x.stride + channel]) }
                var magnitude = 2.0
                for tap in 0..<kernel * kernel {
                    let inY = y + tap / kernel - kernel / 2
                    let inX = column + tap % kernel - kernel / 2
                    guard (0..<height).contains(inY), (0..<width).contains(inX),
                        inY / window.height == y / window.height,
                        inX / window.width == column / window.width
                    else { continue }
                    let source = (image * height + inY) * width + inX
                    let term =
                        Double(weight.pointer[tap * x.columns + channel])
                        * Double(x.pointer[source * x.stride + channel])
                    sum += term
                    magnitude += abs(term)
                }
                let error = abs(Double(out.pointer[row * out.stride + channel]) - sum)
                worst = max(worst, error.isNaN ? .infinity : error / (8 * 0x1p-24 * magnitude))
            }
        }
        return worst
    }
}

@Suite struct DepthwiseTests {
    @Test(arguments: runnableISAs, [3, 5, 7])
    func fidelityOnEveryWidth(isa: ck_isa, kernel: Int) {
        for width in 1...23 {
            let conv = Depthwise(height: 1 + width % 9, width: width, channels: 1 + width * 3, kernel: kernel)
            #expect(conv.worstError(of: conv.run(isa)) < 1, "width \(width)")
        }
    }

    @Test(arguments: runnableISAs)
    func fidelityOnModelShapesAndStrides(isa: ck_isa) {
        let cases = [
            Depthwise(height: 14, width: 14, channels: 64, kernel: 3),
            Depthwise(batch: 3, height: 7, width: 7, channels: 33, kernel: 3, bias: false, padding: 7),
            Depthwise(height: 28, width: 28, channels: 16, kernel: 5, residual: false, padding: 48, misalignment: 5),
            Depthwise(batch: 2, height: 5, width: 16, channels: 20, kernel: 7, bias: false, residual: false),
        ]
        for conv in cases { #expect(conv.worstError(of: conv.run(isa)) < 1) }
    }

    @Test(arguments: runnableISAs)
    func fidelityInWindows(isa: ck_isa) {
        for window in [(14, 7), (7, 14), (1, 14), (14, 1), (2, 3), (5, 9), (100, 100)] {
            for kernel in [3, 7] {
                let conv = Depthwise(batch: 2, height: 14, width: 14, channels: 21, kernel: kernel, window: window)
                #expect(conv.worstError(of: conv.run(isa)) < 1, "windows \(window), kernel \(kernel)")
            }
        }
    }

    @Test(arguments: runnableISAs)
    func determinismOverThreadsAndBatch(isa: ck_isa) throws {
        let conv = Depthwise(batch: 3, height: 30, width: 19, channels: 37, kernel: 3)
        let whole = conv.run(isa)
        for threads in [2, 3, 8] { #expect(conv.run(isa, pool: try TestPool(threads: threads)).bits == whole.bits) }
        let single = Depthwise(height: 30, width: 19, channels: 37, kernel: 3)
        single.weight.copyValues(from: conv.weight)
        single.biases.copyValues(from: conv.biases)
        for position in 0..<3 {
            single.x.update { row, column, _ in
                conv.x.pointer[(position * single.x.rows + row) * conv.x.stride + column]
            }
            let count = single.x.rows * single.x.columns
            #expect(single.run(isa).bits == Array(whole.bits[position * count..<(position + 1) * count]))
        }
    }

    @Test(arguments: runnableISAs)
    func propagatesNaNToItsNeighboursOnly(isa: ck_isa) {
        let conv = Depthwise(height: 9, width: 17, channels: 19, kernel: 3)
        conv.x.pointer[(4 * 17 + 8) * conv.x.stride + 18] = .nan
        let out = conv.run(isa)
        for row in 0..<out.rows {
            for channel in 0..<out.columns {
                let near = abs(row / 17 - 4) <= 1 && abs(row % 17 - 8) <= 1 && channel == 18
                #expect(out.pointer[row * out.stride + channel].isNaN == near)
            }
        }
    }

    @Test func rejectsWhatItCannotCompute() {
        let conv = Depthwise(height: 3, width: 3, channels: 4, kernel: 3)
        let out = GuardedMatrix(9, 4)
        func status(_ isa: ck_isa = CK_ISA_PORTABLE, _ change: (inout ck_dwconv_args) -> Void) -> ck_status {
            var context = ck_context(isa: isa, pool: nil)
            var arguments = ck_dwconv_args(
                batch: 1, height: 3, width: 3, channels: 4, kernel: 3, window_height: 3, window_width: 3,
                x: conv.x.pointer, x_stride: 4, weight: conv.weight.pointer, bias: nil, add_input: 0, out: out.pointer,
                out_stride: 4)
            change(&arguments)
            return ck_dwconv_f32(&context, &arguments)
        }
        #expect(status { _ in } == CK_OK)
        #expect(status { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.height = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.width = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.channels = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.window_height = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.window_width = 0 } == CK_BAD_SHAPE)
        for kernel in [0, 1, 2, 4, 9] { #expect(status { $0.kernel = kernel } == CK_BAD_SHAPE) }
        #expect(status { $0.batch = .max } == CK_BAD_SHAPE)
        #expect(status { $0.x = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.weight = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.x_stride = 3 } == CK_BAD_ARGUMENT)
        #expect(status { $0.out_stride = 3 } == CK_BAD_ARGUMENT)
        #expect(status(CK_ISA_COUNT) { _ in } == CK_UNAVAILABLE)
    }
}
