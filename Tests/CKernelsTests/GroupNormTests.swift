import CKernels
import Foundation
import Testing

@Suite struct GroupNormTests {
    /// A map of `batch` images with what a group norm needs, and room for its result.
    private struct Case {
        let (batch, pixels, channels, groups): (Int, Int, Int, Int)
        let x: GuardedMatrix
        let gamma: GuardedMatrix
        let beta: GuardedMatrix

        init(_ batch: Int, _ pixels: Int, _ channels: Int, _ groups: Int, around mean: Float = 0) {
            (self.batch, self.pixels, self.channels, self.groups) = (batch, pixels, channels, groups)
            var noise = Noise(pixels + channels)
            x = GuardedMatrix(batch * pixels, channels, stride: channels + channels % 5, misalignment: channels % 3)
            gamma = GuardedMatrix(1, channels)
            beta = GuardedMatrix(1, channels)
            x.fill(&noise, around: mean)
            gamma.fill(&noise)
            beta.fill(&noise)
        }

        func arguments(silu: Bool, into out: GuardedMatrix) -> ck_group_norm_args {
            ck_group_norm_args(
                batch: batch, pixels: pixels, channels: channels, groups: groups, x: x.pointer, x_stride: x.stride,
                gamma: gamma.pointer, beta: beta.pointer, epsilon: 1e-6, silu: silu ? 1 : 0, out: out.pointer,
                out_stride: out.stride)
        }

        func run(silu: Bool, into out: GuardedMatrix, _ isa: ck_isa, pool: TestPool? = nil) {
            withExtendedLifetime((self, pool)) {
                var context = ck_context(isa: isa, pool: pool?.pool)
                var arguments = arguments(silu: silu, into: out)
                let scratch = GuardedMatrix(1, ck_group_norm_scratch(&context, &arguments) / 4)
                #expect(ck_group_norm_f32(&context, &arguments, scratch.pointer) == CK_OK)
                #expect(out.surroundingsIntact && scratch.surroundingsIntact, "output or scratch overrun")
            }
        }

        /// The definition in double, and the bound on a float's distance from it: the roundings of x, of factor and
        /// offset count against the deviation of the group, those of the activation against the value.
        func check(_ out: GuardedMatrix, silu: Bool) {
            let members = channels / groups
            for b in 0..<batch {
                for group in 0..<groups {
                    func value(_ pixel: Int, _ c: Int) -> Double {
                        Double(x.pointer[(b * pixels + pixel) * x.stride + group * members + c])
                    }
                    let values = (0..<pixels).flatMap { pixel in (0..<members).map { value(pixel, $0) } }
                    let mean = values.reduce(0, +) / Double(values.count)
                    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
                    let scale = 1 / (variance + 1e-6).squareRoot()
                    var worst = 0.0
                    for pixel in 0..<pixels {
                        for c in 0..<members {
                            let (gamma, beta) =
                                (gamma.pointer[group * members + c], beta.pointer[group * members + c])
                            let normalised = (value(pixel, c) - mean) * scale
                            var expected = normalised * Double(gamma) + Double(beta)
                            if silu { expected /= 1 + exp(-expected) }
                            let found = out.pointer[(b * pixels + pixel) * out.stride + group * members + c]
                            let bound = 0x1p-24 * (8 + 4 * abs(normalised) + 8 * abs(mean) * scale)
                            worst = max(worst, abs(Double(found) - expected) / bound)
                        }
                    }
                    #expect(worst < 1, "\(batch)x\(pixels)x\(channels), image \(b), group \(group), silu \(silu)")
                }
            }
        }
    }

    private static let shapes = [
        (1, 1, 1, 1), (1, 1, 32, 1), (1, 63, 3, 3), (2, 64, 6, 2), (3, 65, 35, 5), (1, 129, 64, 32), (2, 200, 96, 32),
        (1, 100, 127, 1), (1, 300, 128, 32), (1, 70, 224, 32), (1, 40, 512, 32), (3, 5, 33, 11),
    ]

    @Test(arguments: runnableISAs, [false, true])
    func fidelityOnEveryShape(isa: ck_isa, silu: Bool) {
        for (batch, pixels, channels, groups) in Self.shapes {
            let own = Case(batch, pixels, channels, groups)
            let out = GuardedMatrix(batch * pixels, channels, stride: channels + 3)
            own.run(silu: silu, into: out, isa)
            own.check(out, silu: silu)
            own.run(silu: silu, into: own.x, isa)
            #expect(own.x.bits == out.bits, "in place")
        }
    }

    @Test(arguments: runnableISAs)
    func fidelityWhereTheMeanIsFarAboveTheDeviation(isa: ck_isa) {
        let own = Case(2, 500, 64, 8, around: 300)
        let out = GuardedMatrix(1000, 64)
        own.run(silu: false, into: out, isa)
        own.check(out, silu: false)
    }

    @Test(arguments: runnableISAs)
    func determinismOverThreadsAndPosition(isa: ck_isa) throws {
        let own = Case(3, 333, 96, 32, around: 1)
        let (whole, threaded) = (GuardedMatrix(999, 96), GuardedMatrix(999, 96))
        own.run(silu: true, into: whole, isa)
        for threads in [2, 3, 8] {
            own.run(silu: true, into: threaded, isa, pool: try TestPool(threads: threads))
            #expect(threaded.bits == whole.bits)
        }
        let last = Case(1, 333, 96, 32)
        last.x.update { row, column, _ in own.x.pointer[(666 + row) * own.x.stride + column] }
        last.gamma.copyValues(from: own.gamma)
        last.beta.copyValues(from: own.beta)
        let lastOut = GuardedMatrix(333, 96)
        last.run(silu: true, into: lastOut, isa)
        #expect(lastOut.bits == Array(whole.bits[(666 * 96)...]))
    }

    @Test(arguments: runnableISAs)
    func equalPixelsGiveBetaAndNaNStaysInItsGroup(isa: ck_isa) {
        let own = Case(2, 70, 12, 3)
        own.x.update { row, column, _ in row < 70 ? 0.75 : column == 5 && row == 100 ? .nan : Float(row % 7) }
        let out = GuardedMatrix(140, 12)
        own.run(silu: false, into: out, isa)
        for row in 0..<140 {
            for column in 0..<12 {
                let value = out.pointer[row * 12 + column]
                if row < 70 {
                    #expect(abs(value - own.beta.pointer[column]) < 1e-3, "a rounding, times 1 / sqrt(epsilon)")
                } else {
                    #expect(value.isNaN == (4..<8).contains(column))
                }
            }
        }
    }

    @Test(arguments: runnableISAs)
    func factorsAreThoseOfTheNorm(isa: ck_isa) {
        for (batch, pixels, channels, groups) in Self.shapes {
            let own = Case(batch, pixels, channels, groups, around: 2)
            let out = GuardedMatrix(batch * pixels, channels)
            own.run(silu: false, into: out, isa)
            let (factor, offset) = (GuardedMatrix(batch, channels), GuardedMatrix(batch, channels))
            withExtendedLifetime(own) {
                var context = ck_context(isa: isa, pool: nil)
                var norm = own.arguments(silu: false, into: out)
                norm.out = nil
                var arguments = ck_group_norm_factors_args(norm: norm, factor: factor.pointer, offset: offset.pointer)
                let scratch = GuardedMatrix(1, ck_group_norm_factors_scratch(&context, &arguments) / 4)
                #expect(ck_group_norm_factors_f32(&context, &arguments, scratch.pointer) == CK_OK)
                #expect(factor.surroundingsIntact && offset.surroundingsIntact && scratch.surroundingsIntact)
                arguments.factor = nil
                #expect(ck_group_norm_factors_f32(&context, &arguments, scratch.pointer) == CK_BAD_ARGUMENT)
            }
            for row in 0..<batch * pixels {
                for c in 0..<channels {
                    let at = row / pixels * channels + c
                    let product = Double(own.x.pointer[row * own.x.stride + c]) * Double(factor.pointer[at])
                    let value = product + Double(offset.pointer[at])
                    // The sum of two rounded numbers, one of which may be larger than the result.
                    let bound = 0x1p-22 * (abs(product) + abs(Double(offset.pointer[at])) + 1)
                    #expect(abs(value - Double(out.pointer[row * channels + c])) <= bound, "\(row), \(c)")
                }
            }
        }
    }

    @Test func rejectsWhatItCannotCompute() {
        let own = Case(1, 2, 4, 2)
        var context = ck_context(isa: CK_ISA_PORTABLE, pool: nil)
        func status(scratch: Bool = true, _ change: (inout ck_group_norm_args) -> Void) -> ck_status {
            var arguments = own.arguments(silu: false, into: own.x)
            change(&arguments)
            let memory = GuardedMatrix(1, ck_group_norm_scratch(&context, &arguments) / 4)
            return withExtendedLifetime((own, memory)) {
                ck_group_norm_f32(&context, &arguments, scratch ? memory.pointer : nil)
            }
        }
        #expect(status { _ in } == CK_OK)
        #expect(status { $0.batch = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.pixels = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.pixels = .max } == CK_BAD_SHAPE)
        #expect(status { $0.channels = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.channels = 5 } == CK_BAD_SHAPE)
        #expect(status { $0.channels = .max - 1 } == CK_BAD_SHAPE)
        #expect(status { $0.groups = 0 } == CK_BAD_SHAPE)
        #expect(status { $0.x = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.gamma = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.beta = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.out = nil } == CK_BAD_ARGUMENT)
        #expect(status { $0.x_stride = 3 } == CK_BAD_ARGUMENT)
        #expect(status { $0.out_stride = 3 } == CK_BAD_ARGUMENT)
        #expect(status(scratch: false) { _ in } == CK_BAD_ARGUMENT)
        context.isa = CK_ISA_COUNT
        #expect(status { _ in } == CK_UNAVAILABLE)
    }
}
