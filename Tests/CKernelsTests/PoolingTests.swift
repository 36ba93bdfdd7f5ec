import CKernels
import Testing

@Suite struct PoolingTests {
    private struct Case {
        var batch = 1
        let height: Int
        let width: Int
        let channels: Int
        var kernel = 3
        var stride = 1
        var padding = 1

        var outHeight: Int { ck_conv_output(height, kernel, stride, 2 * padding) }
        var outWidth: Int { ck_conv_output(width, kernel, stride, 2 * padding) }

        func input(misalignment: Int) -> GuardedMatrix {
            var noise = Noise(height + channels)
            let x = GuardedMatrix(
                batch * height * width, channels, stride: channels + channels % 3, misalignment: misalignment)
            x.fill(&noise)
            return x
        }

        func arguments(_ kind: ck_pooling, _ x: GuardedMatrix, into out: GuardedMatrix) -> ck_pooling_args {
            ck_pooling_args(
                batch: batch, height: height, width: width, channels: channels, kernel: kernel, stride: stride,
                padding: padding, kind: kind, x: x.pointer, x_stride: x.stride, out: out.pointer,
                out_stride: out.stride)
        }

        func run(_ kind: ck_pooling, _ x: GuardedMatrix, _ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
            let out = GuardedMatrix(batch * outHeight * outWidth, channels, stride: channels + 2, misalignment: 1)
            withExtendedLifetime((x, pool)) {
                var context = ck_context(isa: isa, pool: pool?.pool)
                var arguments = arguments(kind, x, into: out)
                #expect(ck_pooling_f32(&context, &arguments) == CK_OK)
                #expect(out.surroundingsIntact, "output overrun")
            }
            return out
        }

        /// The pixels of a window that lie in the image, in order.
        func window(_ x: GuardedMatrix, image: Int, outY: Int, outX: Int, channel: Int) -> [Float] {
            var values: [Float] = []
            for y in outY * stride - padding..<outY * stride - padding + kernel where y >= 0 && y < height {
                for column in outX * stride - padding..<outX * stride - padding + kernel
                where column >= 0 && column < width {
                    let pixel = (image * height + y) * width + column
                    values.append(x.pointer[pixel * x.stride + channel])
                }
            }
            return values
        }
    }

    private static let cases = [
        Case(height: 1, width: 1, channels: 1), Case(height: 8, width: 8, channels: 33),
        Case(batch: 3, height: 7, width: 9, channels: 20), Case(height: 5, width: 4, channels: 16, padding: 0),
        Case(batch: 2, height: 9, width: 8, channels: 35, stride: 2, padding: 0),
        Case(height: 17, width: 3, channels: 7, stride: 2, padding: 0),
        Case(height: 6, width: 5, channels: 4, kernel: 2, stride: 2, padding: 0),
        Case(height: 4, width: 5, channels: 65, kernel: 5, padding: 4),
    ]

    @Test(arguments: runnableISAs)
    func fidelityWithPaddingThatDoesNotCount(isa: ck_isa) {
        for own in Self.cases {
            for misalignment in [0, 1] {
                let x = own.input(misalignment: misalignment)
                let (average, highest) = (own.run(CK_POOLING_AVERAGE, x, isa), own.run(CK_POOLING_MAX, x, isa))
                for row in 0..<own.batch * own.outHeight * own.outWidth {
                    let (image, place) = row.quotientAndRemainder(dividingBy: own.outHeight * own.outWidth)
                    for c in 0..<own.channels {
                        let window = own.window(
                            x, image: image, outY: place / own.outWidth, outX: place % own.outWidth, channel: c)
                        #expect(highest.pointer[row * highest.stride + c] == window.max())
                        let mean = window.reduce(0) { $0 + Double($1) } / Double(window.count)
                        let error = abs(Double(average.pointer[row * average.stride + c]) - mean)
                        #expect(error <= 0x1p-24 * Double(window.count + 2), "\(error)")
                    }
                }
            }
        }
    }

    @Test(arguments: [CK_POOLING_AVERAGE, CK_POOLING_MAX])
    func determinismOverThreadsAndInstructionSets(kind: ck_pooling) throws {
        for own in Self.cases {
            let x = own.input(misalignment: 0)
            let alone = own.run(kind, x, CK_ISA_PORTABLE)
            for isa in runnableISAs where isa != CK_ISA_REF {
                #expect(own.run(kind, x, isa, pool: try TestPool(threads: 3)).bits == alone.bits)
            }
        }
    }

    @Test func rejectsUnsoundArguments() {
        let own = Case(height: 5, width: 4, channels: 3)
        let x = own.input(misalignment: 0)
        func status(isa: ck_isa = CK_ISA_PORTABLE, _ change: (inout ck_pooling_args) -> Void) -> ck_status {
            let out = GuardedMatrix(20, 3)
            var context = ck_context(isa: isa, pool: nil)
            var arguments = own.arguments(CK_POOLING_MAX, x, into: out)
            change(&arguments)
            return withExtendedLifetime((x, out)) { ck_pooling_f32(&context, &arguments) }
        }
        #expect(status { _ in } == CK_OK)
        #expect(status { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.height = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.width = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.channels = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.kernel = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.padding = 3 } == CK_BAD_SHAPE)
        #expect(status { $0.kernel = .max } == CK_BAD_SHAPE)
        #expect(status { $0.batch = .max } == CK_BAD_SHAPE)
        #expect(status { $0.kernel = 9 } == CK_BAD_ARGUMENT)
        #expect(status { $0.stride = 0 } == CK_BAD_ARGUMENT)
        #expect(status { $0.kind = ck_pooling(rawValue: 2) } == CK_BAD_ARGUMENT)
        #expect(status { $0.x = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.x_stride = 2 } == CK_BAD_ARGUMENT)
        #expect(status { $0.out_stride = 2 } == CK_BAD_ARGUMENT)
        #expect(status(isa: CK_ISA_COUNT) { _ in } == CK_UNAVAILABLE)
    }
}
