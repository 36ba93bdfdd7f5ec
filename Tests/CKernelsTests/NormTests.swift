import CKernels
import Testing

@Suite struct NormTests {
    private static func norm(
        _ x: GuardedMatrix, gamma: GuardedMatrix?, beta: GuardedMatrix?, residual: GuardedMatrix? = nil,
        into out: GuardedMatrix, _ isa: ck_isa, pool: TestPool? = nil
    ) {
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = ck_layer_norm_args(
            rows: x.rows, channels: x.columns, x: x.pointer, x_stride: x.stride,
            gamma: gamma.map { UnsafePointer($0.pointer) }, beta: beta.map { UnsafePointer($0.pointer) },
            epsilon: 1e-6, residual: residual.map { UnsafePointer($0.pointer) },
            residual_stride: residual?.stride ?? 0, out: out.pointer, out_stride: out.stride)
        #expect(ck_layer_norm_f32(&context, &arguments) == CK_OK)
        #expect(out.surroundingsIntact, "output overrun")
    }

    private static func mean(_ x: GuardedMatrix, batch: Int, _ isa: ck_isa, pool: TestPool? = nil) -> GuardedMatrix {
        let out = GuardedMatrix(batch, x.columns)
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = ck_mean_args(
            batch: batch, tokens: x.rows / batch, channels: x.columns, x: x.pointer, x_stride: x.stride,
            out: out.pointer)
        #expect(ck_mean_f32(&context, &arguments) == CK_OK)
        #expect(out.surroundingsIntact, "output overrun")
        return out
    }

    @Test(arguments: runnableISAs, [false, true])
    func layerNormFidelityOnEveryChannelCount(isa: ck_isa, affine: Bool) {
        for channels in Array(1...70) + [127, 224, 257, 512] {
            let x = GuardedMatrix(5, channels, stride: channels + channels % 5, misalignment: channels % 3)
            let (gamma, beta) = (GuardedMatrix(1, channels), GuardedMatrix(1, channels))
            var noise = Noise(channels)
            x.fill(&noise, around: 2)
            gamma.fill(&noise)
            beta.fill(&noise)
            let out = GuardedMatrix(5, channels, stride: channels + 2)
            Self.norm(x, gamma: affine ? gamma : nil, beta: affine ? beta : nil, into: out, isa)
            for row in 0..<5 {
                let values = (0..<channels).map { Double(x.pointer[row * x.stride + $0]) }
                let mean = values.reduce(0, +) / Double(channels)
                let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(channels)
                for c in 0..<channels {
                    var expected = (values[c] - mean) / (variance + 1e-6).squareRoot()
                    // Two channels may be nearly equal: then the rounding of the mean counts against a small deviation.
                    let bound = 4 * 0x1p-24 * (4 + 3 / (variance + 1e-6).squareRoot())
                    if affine { expected = expected * Double(gamma.pointer[c]) + Double(beta.pointer[c]) }
                    let value = Double(out.pointer[row * out.stride + c])
                    #expect(abs(value - expected) < bound, "\(channels) channels, row \(row), channel \(c)")
                }
            }
            let (residual, sum) = (GuardedMatrix(5, channels, stride: channels + 1), GuardedMatrix(5, channels))
            residual.fill(&noise)
            Self.norm(x, gamma: affine ? gamma : nil, beta: affine ? beta : nil, residual: residual, into: sum, isa)
            for row in 0..<5 {
                for c in 0..<channels {
                    let expected =
                        Double(out.pointer[row * out.stride + c]) + Double(residual.pointer[row * residual.stride + c])
                    #expect(abs(Double(sum.pointer[row * channels + c]) - expected) < 1e-5 * (1 + abs(expected)))
                }
            }
            Self.norm(x, gamma: affine ? gamma : nil, beta: affine ? beta : nil, into: x, isa)
            #expect(x.bits == out.bits, "in place")
        }
    }

    @Test(arguments: runnableISAs)
    func meanFidelityOnEveryShape(isa: ck_isa) {
        for (batch, tokens, channels) in [(1, 1, 1), (3, 49, 70), (2, 196, 33), (1, 1000, 64), (2, 63, 200)] {
            let x = GuardedMatrix(batch * tokens, channels, stride: channels + 3, misalignment: 1)
            var noise = Noise(tokens)
            x.fill(&noise, around: 1)
            let out = Self.mean(x, batch: batch, isa)
            for b in 0..<batch {
                for c in 0..<channels {
                    let sum = (0..<tokens).reduce(0.0) { $0 + Double(x.pointer[(b * tokens + $1) * x.stride + c]) }
                    #expect(abs(Double(out.pointer[b * channels + c]) - sum / Double(tokens)) < 1e-6)
                }
            }
        }
    }

    private static func normMean(
        _ x: GuardedMatrix, batch: Int, _ isa: ck_isa, pool: TestPool? = nil
    ) -> GuardedMatrix {
        let out = GuardedMatrix(batch, x.columns)
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = ck_norm_mean_args(
            batch: batch, tokens: x.rows / batch, channels: x.columns, x: x.pointer, x_stride: x.stride, epsilon: 1e-6,
            out: out.pointer)
        let scratch = GuardedMatrix(1, ck_norm_mean_scratch(&context, &arguments) / 4)
        #expect(ck_norm_mean_f32(&context, &arguments, scratch.pointer) == CK_OK)
        #expect(out.surroundingsIntact && scratch.surroundingsIntact, "output or scratch overrun")
        return out
    }

    @Test(arguments: runnableISAs)
    func normMeanFidelityOnEveryShape(isa: ck_isa) {
        for (batch, tokens, channels) in [(1, 1, 4), (3, 49, 70), (2, 196, 33), (1, 1000, 64), (2, 64, 200)] {
            let x = GuardedMatrix(batch * tokens, channels, stride: channels + 3, misalignment: 1)
            var noise = Noise(tokens)
            x.fill(&noise, around: 2)
            let out = Self.normMean(x, batch: batch, isa)
            for b in 0..<batch {
                var expected = [Double](repeating: 0, count: channels)
                for token in 0..<tokens {
                    let row = (0..<channels).map { Double(x.pointer[(b * tokens + token) * x.stride + $0]) }
                    let mean = row.reduce(0, +) / Double(channels)
                    let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(channels)
                    for c in 0..<channels {
                        expected[c] += (row[c] - mean) / (variance + 1e-6).squareRoot() / Double(tokens)
                    }
                }
                for c in 0..<channels { #expect(abs(Double(out.pointer[b * channels + c]) - expected[c]) < 3e-6) }
            }
        }
    }

    @Test(arguments: runnableISAs)
    func determinismOverThreadsAndPosition(isa: ck_isa) throws {
        let x = GuardedMatrix(600, 90)
        var noise = Noise(3)
        x.fill(&noise)
        let (whole, threaded) = (GuardedMatrix(600, 90), GuardedMatrix(600, 90))
        Self.norm(x, gamma: nil, beta: nil, into: whole, isa)
        let means = Self.mean(x, batch: 3, isa)
        let normMeans = Self.normMean(x, batch: 3, isa)
        for threads in [2, 3, 8] {
            let pool = try TestPool(threads: threads)
            Self.norm(x, gamma: nil, beta: nil, into: threaded, isa, pool: pool)
            #expect(threaded.bits == whole.bits)
            #expect(Self.mean(x, batch: 3, isa, pool: pool).bits == means.bits)
            #expect(Self.normMean(x, batch: 3, isa, pool: pool).bits == normMeans.bits)
        }
        let (last, lastOut) = (GuardedMatrix(200, 90), GuardedMatrix(200, 90))
        last.update { row, column, _ in x.pointer[(400 + row) * 90 + column] }
        Self.norm(last, gamma: nil, beta: nil, into: lastOut, isa)
        #expect(lastOut.bits == Array(whole.bits[(400 * 90)...]))
        #expect(Self.mean(last, batch: 1, isa).bits == Array(means.bits[180...]))
        #expect(Self.normMean(last, batch: 1, isa).bits == Array(normMeans.bits[180...]))
    }

    @Test(arguments: runnableISAs)
    func equalChannelsGiveBetaAndNaNStaysInItsRow(isa: ck_isa) {
        let (x, beta, out) = (GuardedMatrix(3, 37), GuardedMatrix(1, 37), GuardedMatrix(3, 37))
        var noise = Noise(1)
        beta.fill(&noise)
        x.update { row, _, _ in row == 0 ? 0.75 : row == 1 ? .nan : 0 }
        Self.norm(x, gamma: nil, beta: beta, into: out, isa)
        for c in 0..<37 {
            #expect(abs(out.pointer[c] - beta.pointer[c]) < 1e-3, "a rounding of the mean, times 1 / sqrt(epsilon)")
            #expect(out.pointer[37 + c].isNaN)
            #expect(out.pointer[74 + c] == beta.pointer[c])
        }
        #expect(Self.mean(x, batch: 1, isa).values.allSatisfy { $0.isNaN })
    }

    @Test func rejectsWhatItCannotCompute() {
        let x = GuardedMatrix(2, 4)
        var context = ck_context(isa: CK_ISA_PORTABLE, pool: nil)
        func norm(_ change: (inout ck_layer_norm_args) -> Void) -> ck_status {
            var arguments = ck_layer_norm_args(
                rows: 2, channels: 4, x: x.pointer, x_stride: 4, gamma: nil, beta: nil, epsilon: 1e-6, residual: nil,
                residual_stride: 0, out: x.pointer, out_stride: 4)
            change(&arguments)
            return ck_layer_norm_f32(&context, &arguments)
        }
        #expect(norm { $0.rows = 0 } == CK_BAD_SHAPE)
        #expect(norm { $0.channels = 0 } == CK_BAD_SHAPE)
        #expect(norm { $0.x = nil } == CK_BAD_ARGUMENT)
        #expect(norm { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(norm { $0.x_stride = 3 } == CK_BAD_ARGUMENT)
        #expect(norm { $0.out_stride = 3 } == CK_BAD_ARGUMENT)
        #expect(norm { ($0.residual, $0.residual_stride) = (UnsafePointer(x.pointer), 3) } == CK_BAD_ARGUMENT)
        func mean(_ change: (inout ck_mean_args) -> Void) -> ck_status {
            var arguments = ck_mean_args(batch: 1, tokens: 2, channels: 4, x: x.pointer, x_stride: 4, out: x.pointer)
            change(&arguments)
            return ck_mean_f32(&context, &arguments)
        }
        #expect(mean { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(mean { $0.tokens = 0 } == CK_BAD_SHAPE)
        #expect(mean { $0.channels = 0 } == CK_BAD_SHAPE)
        #expect(mean { $0.x = nil } == CK_BAD_ARGUMENT)
        #expect(mean { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(mean { $0.x_stride = 3 } == CK_BAD_ARGUMENT)
        func normMean(_ change: (inout ck_norm_mean_args) -> Void) -> ck_status {
            var arguments = ck_norm_mean_args(
                batch: 1, tokens: 2, channels: 4, x: x.pointer, x_stride: 4, epsilon: 1e-6, out: x.pointer)
            change(&arguments)
            return ck_norm_mean_f32(&context, &arguments, nil)
        }
        #expect(normMean { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(normMean { $0.tokens = .max } == CK_BAD_SHAPE)
        #expect(normMean { $0.channels = 0 } == CK_BAD_SHAPE)
        #expect(normMean { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(normMean { $0.x_stride = 3 } == CK_BAD_ARGUMENT)
        #expect(normMean { _ in } == CK_BAD_ARGUMENT, "scratch is missing")
        context.isa = CK_ISA_COUNT
        #expect(normMean { _ in } == CK_UNAVAILABLE)
        #expect(norm { _ in } == CK_UNAVAILABLE)
        #expect(mean { _ in } == CK_UNAVAILABLE)
    }
}
