import CKernels
import Foundation
import Testing
import ZooCore

/// One convolution and what it reads and writes.
struct Convolution: CustomTestStringConvertible {
    var batch = 1
    var height: Int
    var width: Int
    var channels: Int
    var outChannels: Int
    var kernel: (height: Int, width: Int) = (3, 3)
    var stride = 1
    var padding = 1
    /// More zeros on the bottom and on the right than on the other sides.
    var extra = 0
    var pixelPadding = 0
    /// Whether the input goes through a norm and SiLU.
    var activated = false
    /// Whether the outputs are every second pixel of every second row.
    var interleaved = false
    var method = Method.direct
    var ends = Ends()

    /// As the definition has it, or Winograd's with weights that were transformed before or are in the call.
    enum Method: CaseIterable {
        case direct, transformed, transforming
    }

    var testDescription: String {
        "\(batch) x \(height) x \(width) x \(channels) -> \(outChannels), kernel \(kernel), stride \(stride), "
            + "padding \(padding), \(method)"
    }

    var outHeight: Int { ck_conv_output(height, kernel.height, stride, 2 * padding + extra) }
    var outWidth: Int { ck_conv_output(width, kernel.width, stride, 2 * padding + extra) }
    var k: Int { kernel.height * kernel.width * channels }

    /// Borders, strides that miss the last row, kernels larger than the image, patches, non-square everything.
    static let cases = [
        Convolution(height: 9, width: 7, channels: 3, outChannels: 32, stride: 2),
        Convolution(height: 8, width: 11, channels: 3, outChannels: 5, stride: 2, pixelPadding: 1),
        Convolution(height: 1, width: 1, channels: 5, outChannels: 6),
        Convolution(height: 2, width: 1, channels: 17, outChannels: 33, stride: 2),
        Convolution(
            batch: 3, height: 5, width: 6, channels: 32, outChannels: 32,
            ends: Ends(bias: true, activation: CK_ACTIVATION_GELU)),
        Convolution(
            batch: 3, height: 7, width: 5, channels: 31, outChannels: 40, pixelPadding: 3,
            ends: Ends(bias: true, scale: true, residual: .output)),
        Convolution(
            height: 6, width: 4, channels: 64, outChannels: 64, stride: 2, ends: Ends(residual: .separate)),
        Convolution(height: 8, width: 12, channels: 3, outChannels: 24, kernel: (4, 4), stride: 4, padding: 0),
        Convolution(height: 33, width: 32, channels: 3, outChannels: 20, kernel: (16, 16), stride: 16, padding: 0),
        Convolution(height: 12, width: 9, channels: 3, outChannels: 16, kernel: (7, 7), stride: 4, padding: 3),
        Convolution(height: 3, width: 3, channels: 2, outChannels: 3, kernel: (7, 7), padding: 3),
        Convolution(height: 4, width: 5, channels: 6, outChannels: 7, kernel: (1, 1), padding: 0),
        Convolution(height: 3, width: 4, channels: 5, outChannels: 8, kernel: (1, 1), padding: 2),
        Convolution(height: 5, width: 6, channels: 9, outChannels: 10, kernel: (2, 5), stride: 3, padding: 2),
        Convolution(batch: 2, height: 10, width: 40, channels: 20, outChannels: 34, ends: Ends(bias: true)),
        Convolution(height: 9, width: 8, channels: 5, outChannels: 33, stride: 2, padding: 0, extra: 1),
        Convolution(height: 7, width: 9, channels: 6, outChannels: 70, kernel: (1, 7), padding: 0),
        Convolution(height: 9, width: 3, channels: 6, outChannels: 40, kernel: (7, 1), padding: 3),
        Convolution(batch: 2, height: 6, width: 7, channels: 19, outChannels: 37, activated: true),
        Convolution(
            batch: 2, height: 5, width: 6, channels: 35, outChannels: 12, padding: 0, pixelPadding: 2, activated: true,
            ends: Ends(bias: true, residual: .output)),
        Convolution(
            batch: 2, height: 5, width: 6, channels: 9, outChannels: 33, kernel: (2, 2), padding: 0, extra: 1,
            interleaved: true, ends: Ends(bias: true, activation: CK_ACTIVATION_RELU)),
        // Weights above the limit of the second-level cache, and a map that is copied in several bands.
        Convolution(height: 4, width: 3, channels: 130, outChannels: 97, activated: true),
        Convolution(height: 5, width: 4, channels: 120, outChannels: 128, pixelPadding: 1, interleaved: true),
    ]

    /// Tiles that reach over the image, blocks of several images and of parts of one, two slices of output channels.
    static let winogradCases =
        ([
            Convolution(batch: 7, height: 3, width: 5, channels: 5, outChannels: 9, ends: Ends(bias: true)),
            Convolution(height: 2, width: 91, channels: 33, outChannels: 40, ends: Ends(bias: true)),
            Convolution(height: 67, width: 3, channels: 18, outChannels: 31, padding: 2, activated: true),
            Convolution(
                height: 23, width: 26, channels: 70, outChannels: 20, ends: Ends(bias: true, residual: .output)),
            Convolution(
                batch: 2, height: 6, width: 7, channels: 40, outChannels: 300, pixelPadding: 5,
                ends: Ends(bias: true, activation: CK_ACTIVATION_SILU, scale: true)),
        ] + cases.filter { $0.kernel == (3, 3) && $0.stride == 1 }).flatMap { convolution in
            [Method.transformed, .transforming].map { method in
                var copy = convolution
                copy.method = method
                return copy
            }
        }
}

/// A convolution with its data.
struct Setting {
    let convolution: Convolution
    let x: GuardedMatrix
    let weight: GuardedMatrix
    let packed: PackedOperand
    let transformed: GuardedMatrix
    let operands: EndOperands
    let factor: GuardedMatrix
    let offset: GuardedMatrix

    init(_ convolution: Convolution, precision: Precision = .fp32, misalignment: Int = 1) {
        self.convolution = convolution
        let c = convolution
        var noise = Noise(c.k)
        weight = GuardedMatrix(c.outChannels, c.k)
        weight.fill(&noise)
        x = GuardedMatrix(
            c.batch * c.height * c.width, c.channels, stride: c.channels + c.pixelPadding, misalignment: misalignment)
        x.fill(&noise)
        packed = PackedOperand(weight, taps: c.kernel.height * c.kernel.width, precision: precision)
        transformed = GuardedMatrix(1, ck_winograd_packed_count(c.outChannels, c.channels))
        if c.method == .transformed {
            ck_winograd_pack(c.outChannels, c.channels, packed.storage.pointer, transformed.pointer)
        }
        // A row of operands is an output pixel; interleaved ones have the room of three others behind them.
        operands = EndOperands(
            c.ends, rows: c.batch * c.outHeight * c.outWidth * (c.interleaved ? 4 : 1), n: c.outChannels,
            padding: c.pixelPadding, misalignment: misalignment, noise: &noise)
        factor = GuardedMatrix(c.batch, c.channels, misalignment: misalignment)
        offset = GuardedMatrix(c.batch, c.channels)
        factor.fill(&noise, around: 1)
        offset.fill(&noise)
    }

    /// The output pixel, counted through the batch, among the rows of the operands.
    func row(of pixel: Int) -> Int {
        let c = convolution
        return c.interleaved ? pixel / c.outWidth * 4 * c.outWidth + pixel % c.outWidth * 2 : pixel
    }

    var arguments: ck_conv_args {
        let c = convolution
        return ck_conv_args(
            batch: c.batch, height: c.height, width: c.width, channels: c.channels, out_channels: c.outChannels,
            kernel_height: c.kernel.height, kernel_width: c.kernel.width, stride: c.stride,
            padding: ck_padding(
                top: c.padding, left: c.padding, bottom: c.padding + c.extra, right: c.padding + c.extra),
            x: x.pointer, x_stride: x.stride, factor: c.activated ? UnsafePointer(factor.pointer) : nil,
            offset: c.activated ? UnsafePointer(offset.pointer) : nil,
            packed: c.method == .transformed ? nil : packed.fp32, packed_bf16: packed.bf16,
            packed_winograd: c.method == .transformed ? UnsafePointer(transformed.pointer) : nil,
            winograd: c.method == .transforming ? 1 : 0, out: operands.out.pointer,
            out_stride: operands.out.stride * (c.interleaved ? 2 : 1),
            out_line_stride: c.interleaved ? 4 * c.outWidth * operands.out.stride : 0, epilogue: operands.epilogue)
    }

    func run(_ isa: ck_isa, pool: TestPool? = nil) {
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = arguments
        let scratch = guardedScratch(bytes: ck_conv_scratch(&context, &arguments))
        #expect(ck_conv_f32(&context, &arguments, scratch.pointer) == CK_OK)
        #expect(scratch.surroundingsIntact, "scratch overrun")
    }

    /// The sum of squared differences from the definition in double, for a convolution without ends.
    func squaredError() -> Double {
        let c = convolution
        var sum = 0.0
        for pixel in 0..<c.batch * c.outHeight * c.outWidth {
            let (image, y, x) = (
                pixel / (c.outHeight * c.outWidth), pixel / c.outWidth % c.outHeight, pixel % c.outWidth
            )
            for channel in 0..<c.outChannels {
                let exact = product(image: image, outY: y, outX: x, channel: channel).0
                let error = Double(operands.out.pointer[pixel * operands.out.stride + channel]) - exact
                sum += error * error
            }
        }
        return sum
    }

    /// The largest error over the outputs, in units of the bound; infinite when something else was touched.
    func worstError(exact: Bool) -> Double {
        guard operands.out.surroundingsIntact, packed.storage.surroundingsIntact, transformed.surroundingsIntact else {
            return .infinity
        }
        let c = convolution
        var worst = 0.0
        for image in 0..<c.batch {
            for outY in 0..<c.outHeight {
                for outX in 0..<c.outWidth {
                    let pixel = row(of: (image * c.outHeight + outY) * c.outWidth + outX)
                    for channel in 0..<c.outChannels {
                        var (sum, magnitude, slack) = product(image: image, outY: outY, outX: outX, channel: channel)
                        if c.method != .direct {
                            magnitude = tileMagnitude(image: image, outY: outY, outX: outX, channel: channel)
                        }
                        let (value, bound) = operands.expected(
                            row: pixel, column: channel, product: sum, magnitude: magnitude, k: c.k, exact: exact,
                            slack: slack)
                        let error = abs(Double(operands.out.pointer[pixel * operands.out.stride + channel]) - value)
                        worst = max(worst, error.isNaN ? .infinity : error / bound)
                    }
                }
            }
        }
        return worst
    }

    private func activated(_ x: Float, _ image: Int, _ channel: Int) -> Double {
        guard convolution.activated else { return Double(x) }
        let at = image * convolution.channels + channel
        let value = Double(x) * Double(factor.pointer[at]) + Double(offset.pointer[at])
        return value / (1 + exp(-value))
    }

    /// The sum, the sum of absolute terms, and what it may be off because an activated input lies so near to the middle
    /// between two bf16 numbers that its rounding is anybody's guess: twice per output at most.
    private func product(image: Int, outY: Int, outX: Int, channel: Int) -> (Double, Double, Double) {
        let c = convolution
        let isRounded = packed.precision == .bf16
        var (sum, magnitude, largest) = (0.0, 0.0, 0.0)
        for ky in 0..<c.kernel.height {
            for kx in 0..<c.kernel.width {
                let (y, column) = (outY * c.stride + ky - c.padding, outX * c.stride + kx - c.padding)
                guard (0..<c.height).contains(y), (0..<c.width).contains(column) else { continue }
                let from = x.pointer + ((image * c.height + y) * c.width + column) * x.stride
                let w = weight.pointer + channel * c.k + (ky * c.kernel.width + kx) * c.channels
                for i in 0..<c.channels {
                    let input = activated(from[i], image, i)
                    let term =
                        (isRounded ? packed.precision.rounded(Float(input)) : input) * packed.precision.rounded(w[i])
                    sum += term
                    largest = max(largest, abs(term))
                    // The activation itself is exact to a few units in the last place.
                    magnitude += abs(term) * (c.activated ? 8 : 1)
                }
            }
        }
        return (sum, magnitude, c.activated && isRounded ? 0x1p-7 * largest : 0)
    }

    /// What an output of a tile can be off by, in Winograd's convolution, follows from all that its tile reads.
    private func tileMagnitude(image: Int, outY: Int, outX: Int, channel: Int) -> Double {
        let c = convolution
        var magnitude = 0.0
        for i in 0..<c.channels {
            var inputs = 0.0
            for y in (outY / 2 * 2 - c.padding)..<(outY / 2 * 2 - c.padding + 4) where (0..<c.height).contains(y) {
                for x in (outX / 2 * 2 - c.padding)..<(outX / 2 * 2 - c.padding + 4) where (0..<c.width).contains(x) {
                    inputs += abs(
                        activated(self.x.pointer[((image * c.height + y) * c.width + x) * self.x.stride + i], image, i))
                }
            }
            let weights = (0..<9).reduce(0.0) { $0 + Double(abs(weight.pointer[channel * c.k + $1 * c.channels + i])) }
            magnitude += inputs * weights * (c.activated ? 2 : 0.25)
        }
        return magnitude
    }
}

@Suite struct ConvTests {
    @Test(arguments: runnableISAs, Precision.allCases)
    func fidelityOnBordersStridesAndKernels(isa: ck_isa, precision: Precision) {
        for convolution in Convolution.cases {
            for misalignment in [0, 1] {
                let setting = Setting(convolution, precision: precision, misalignment: misalignment)
                setting.run(isa)
                #expect(setting.worstError(exact: isa == CK_ISA_REF) <= 1, "\(convolution.testDescription)")
            }
        }
    }

    @Test(arguments: runnableISAs)
    func fidelityOfWinograd(isa: ck_isa) {
        for convolution in Convolution.winogradCases {
            let setting = Setting(convolution)
            setting.run(isa)
            let isExact = isa == CK_ISA_REF && convolution.method == .transforming
            #expect(setting.worstError(exact: isExact) <= 1, "\(convolution.testDescription)")
        }
    }

    /// What lets layers choose it without asking for a tolerance of their own.
    @Test(arguments: runnableISAs.filter { $0 != CK_ISA_REF })
    func fidelityOfWinogradIsNoWorseThanTheDirectConvolutions(isa: ck_isa) {
        let errors = Convolution.Method.allCases.map { method in
            let setting = Setting(
                Convolution(height: 12, width: 10, channels: 64, outChannels: 32, method: method))
            setting.run(isa)
            return setting.squaredError()
        }
        #expect(errors[1] <= errors[0])
        #expect(errors[2] <= errors[0])
    }

    @Test(arguments: runnableISAs.filter { $0 != CK_ISA_REF })
    func weightsTransformedBeforeAndInTheCallGiveTheSameBits(isa: ck_isa) {
        for index in stride(from: 0, to: Convolution.winogradCases.count, by: 2) {
            let bits = Convolution.winogradCases[index...index + 1].map { convolution in
                let setting = Setting(convolution)
                setting.run(isa)
                return setting.operands.out.bits
            }
            #expect(bits[0] == bits[1])
        }
    }

    @Test(arguments: runnableISAs, Precision.allCases)
    func determinismAcrossThreads(isa: ck_isa, precision: Precision) throws {
        for convolution in Convolution.cases + (precision == .fp32 ? Convolution.winogradCases : []) {
            func bits(threads: Int) throws -> [UInt32] {
                let setting = Setting(convolution, precision: precision)
                setting.run(isa, pool: try TestPool(threads: threads))
                return setting.operands.out.bits
            }
            let alone = try bits(threads: 1)
            for threads in [2, 3, 8] {
                let same = try bits(threads: threads) == alone
                #expect(same, "\(threads) threads")
            }
        }
    }

    @Test(arguments: runnableISAs, Precision.allCases)
    func determinismAcrossTheBatch(isa: ck_isa, precision: Precision) {
        let convolution = Convolution(
            batch: 5, height: 9, width: 10, channels: 19, outChannels: 50, stride: 2, ends: Ends(bias: true))
        expectSameBitsAlone(convolution, isa, precision)
    }

    @Test(arguments: runnableISAs)
    func determinismAcrossTheBatchOfWinograd(isa: ck_isa) {
        let convolution = Convolution(
            batch: 5, height: 9, width: 10, channels: 19, outChannels: 50, method: .transformed, ends: Ends(bias: true))
        expectSameBitsAlone(convolution, isa, .fp32)
    }

    private func expectSameBitsAlone(_ batch: Convolution, _ isa: ck_isa, _ precision: Precision) {
        var convolution = batch
        let whole = Setting(convolution, precision: precision)
        whole.run(isa)
        convolution.batch = 1
        let floats = 9 * 10 * 19
        let outputs = whole.operands.out.bits.count / 5
        for image in 0..<5 {
            let single = Setting(convolution, precision: precision)
            for i in 0..<floats { single.x.pointer[i] = whole.x.pointer[image * floats + i] }
            single.operands.bias.copyValues(from: whole.operands.bias)
            single.transformed.copyValues(from: whole.transformed)
            single.run(isa)
            let same = single.operands.out.bits.elementsEqual(
                whole.operands.out.bits[image * outputs..<(image + 1) * outputs])
            #expect(same, "image \(image)")
        }
    }

    @Test func outputSizeFollowsTheFormula() {
        #expect(ck_conv_output(224, 3, 2, 2) == 112)
        #expect(ck_conv_output(7, 3, 2, 2) == 4)
        #expect(ck_conv_output(8, 3, 2, 1) == 4)
        #expect(ck_conv_output(224, 16, 16, 0) == 14)
        #expect(ck_conv_output(2, 7, 1, 4) == 0)
        #expect(ck_conv_output(5, 0, 1, 0) == 0)
        #expect(ck_conv_output(5, 3, 0, 0) == 0)
        #expect(ck_conv_output(5, 3, 1, .max) == 0)
    }

    @Test func rejectsUnsoundArguments() {
        let setting = Setting(Convolution(height: 5, width: 4, channels: 3, outChannels: 6))
        let scratch = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { scratch.deallocate() }
        func status(isa: ck_isa = CK_ISA_PORTABLE, _ change: (inout ck_conv_args) -> Void) -> ck_status {
            var context = ck_context(isa: isa, pool: nil)
            var arguments = setting.arguments
            change(&arguments)
            return ck_conv_f32(&context, &arguments, scratch)
        }
        #expect(status { _ in } == CK_OK)
        #expect(status { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.height = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.channels = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.out_channels = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.stride = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.kernel_height = 9 } == CK_BAD_SHAPE)
        #expect(status { $0.padding.top = .max } == CK_BAD_SHAPE)
        #expect(status { $0.padding.right = .max / 2 } == CK_BAD_SHAPE)
        #expect(status { $0.factor = UnsafePointer(setting.factor.pointer) } == CK_BAD_ARGUMENT)
        #expect(status { $0.out_line_stride = 5 } == CK_BAD_ARGUMENT)
        #expect(
            status {
                $0.out_line_stride = 1000
                $0.epilogue.residual = UnsafePointer(setting.x.pointer)
                $0.epilogue.residual_stride = 6
            } == CK_BAD_ARGUMENT)
        #expect(status { $0.batch = .max } == CK_BAD_SHAPE)
        #expect(status { $0.winograd = 1 } == CK_OK)
        #expect(
            status {
                $0.winograd = 1
                $0.stride = 2
            } == CK_BAD_SHAPE)
        #expect(
            status {
                $0.winograd = 1
                $0.kernel_width = 2
            } == CK_BAD_SHAPE)
        #expect(status { $0.packed_winograd = $0.packed } == CK_BAD_ARGUMENT)
        #expect(
            status {
                ($0.packed_winograd, $0.packed) = ($0.packed, nil)
                $0.winograd = 1
            } == CK_BAD_ARGUMENT)
        #expect(status { $0.x = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.packed = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.x_stride = 2 } == CK_BAD_ARGUMENT)
        #expect(status { $0.out_stride = 5 } == CK_BAD_ARGUMENT)
        #expect(status(isa: CK_ISA_COUNT) { _ in } == CK_UNAVAILABLE)
    }
}
