import CKernels
import Testing
import ZooCore

/// What products of bf16 weights promise beyond what GemmTests and ConvTests check in both precisions.
@Suite struct BF16Tests {
    /// Numbers around every decision of the rounding: ties to even from both sides, carries into the exponent, the
    /// largest numbers, infinities, zeros; and noise.
    static let values: [Float] = {
        let patterns: [UInt32] = [
            0x3F80_0000, 0x3F80_7FFF, 0x3F80_8000, 0x3F80_8001, 0x3F81_7FFF, 0x3F81_8000, 0x3F81_8001, 0x3FFF_8000,
            0x3FFF_FFFF, 0x7F7F_0000, 0x7F7F_7FFF, 0x7F7F_8000, 0x7F7F_FFFF, 0x7F80_0000, 0x0000_0000, 0x0080_0000,
            0x0080_8000, 0x0081_8000,
        ]
        var noise = Noise(3)
        let random = (0..<500).map { _ in
            UInt32.random(in: 0x0080_0000...0x7F7F_FFFF, using: &noise)
        }
        return (patterns + random).flatMap { [Float(bitPattern: $0), -Float(bitPattern: $0)] }
    }()

    @Test func fidelityOfRoundedWeights() {
        let weight = GuardedMatrix(Self.values.count, 1)
        for (index, value) in Self.values.enumerated() { weight.pointer[index] = value }
        let packed = PackedOperand(weight, precision: .bf16)
        #expect(packed.storage.surroundingsIntact)
        let bits = packed.bf16.map { Array(UnsafeBufferPointer(start: $0, count: packed.storage.columns * 2)) } ?? []
        for (index, value) in Self.values.enumerated() {
            #expect(UInt32(bits[2 * index]) << 16 == nearestBF16(value).bitPattern, "\(value)")
            #expect(bits[2 * index + 1] == 0, "beside an odd last channel")
        }
        #expect(bits[(2 * Self.values.count)...].allSatisfy { $0 == 0 }, "behind the last column")
    }

    @Test func packingPairsTheChannelsOfEveryTap() {
        let (n, taps, channels) = (35, 4, 5)
        let weight = GuardedMatrix(n, taps * channels)
        for column in 0..<n {
            for i in 0..<taps * channels { weight.pointer[column * taps * channels + i] = Float(column - 2 * i) }
        }
        let packed = PackedOperand(weight, taps: taps, precision: .bf16)
        #expect(ck_gemm_packed_bf16_count(n, taps, channels) == 64 * taps * 6)
        let bits = packed.bf16.map { Array(UnsafeBufferPointer(start: $0, count: 64 * taps * 6)) } ?? []
        for column in 0..<64 {
            for tap in 0..<taps {
                for channel in 0..<6 {
                    let expected = column < n && channel < channels ? Float(column - 2 * (tap * channels + channel)) : 0
                    let pair = (column / 32 * taps + tap) * 3 + channel / 2
                    let found = bits[(pair * 32 + column % 32) * 2 + channel % 2]
                    #expect(Float(bitPattern: UInt32(found) << 16) == expected)
                }
            }
        }
    }

    /// With a weight of one, a product is its rounded input.
    @Test(arguments: runnableISAs)
    func fidelityOfRoundedInputs(isa: ck_isa) {
        let product = Product(rows: Self.values.count, n: 1, k: 1, precision: .bf16)
        product.packed.storage.pointer[0] = Float(bitPattern: 0x3F80)
        for (index, value) in Self.values.enumerated() { product.x.pointer[index] = value }
        product.run(isa)
        for (index, value) in Self.values.enumerated() {
            #expect(product.operands.out.pointer[index] == nearestBF16(value), "\(value)")
        }
    }

    /// Widened pairs are summed like the processors' dot product: the second of a pair first, every product exact.
    @Test(arguments: runnableISAs.filter { $0 == CK_ISA_AVX2 || ($0 == CK_ISA_AVX512 && !ck_bf16_dot_available()) })
    func everyOutputIsOneChainOfPairs(isa: ck_isa) {
        for (n, k) in [(40, 77), (32, 128)] {
            let product = Product(rows: 15, n: n, k: k, precision: .bf16, ends: Ends(bias: true))
            product.run(isa)
            var wrong = 0
            for row in 0..<15 {
                for column in 0..<n {
                    var sum = product.operands.bias.pointer[column]
                    for pair in stride(from: 0, to: k, by: 2) {
                        for i in [pair + 1, pair] where i < k {
                            let w = nearestBF16(product.weight.pointer[column * k + i])
                            sum = sum.addingProduct(nearestBF16(product.x.pointer[row * k + i]), w)
                        }
                    }
                    wrong += product.operands.out.pointer[row * n + column] == sum ? 0 : 1
                }
            }
            #expect(wrong == 0, "k \(k)")
        }
    }

    @Test(arguments: runnableISAs, [false, true])
    func notANumberStaysInItsRow(isa: ck_isa, normalised: Bool) {
        for special in [Float.nan, .infinity, -.infinity] {
            let product = Product(rows: 31, n: 33, k: 45, precision: .bf16, normalised: normalised)
            product.x.pointer[7 * 45 + 44] = special
            product.run(isa)
            for row in 0..<31 {
                let values = (0..<33).map { product.operands.out.pointer[row * 33 + $0] }
                #expect(values.allSatisfy { $0.isFinite == (row != 7) }, "\(special), row \(row)")
            }
        }
    }

    /// An odd number of channels leaves pairs half empty: their other half must not be the next pixel.
    @Test(arguments: runnableISAs)
    func notANumberStaysInItsWindow(isa: ck_isa) {
        for special in [Float.nan, .infinity] {
            let setting = Setting(Convolution(height: 7, width: 9, channels: 3, outChannels: 33), precision: .bf16)
            setting.x.pointer[(3 * 9 + 4) * 3] = special
            setting.run(isa)
            for pixel in 0..<63 {
                let touched = abs(pixel / 9 - 3) <= 1 && abs(pixel % 9 - 4) <= 1
                let values = (0..<33).map { setting.operands.out.pointer[pixel * 33 + $0] }
                #expect(values.allSatisfy { $0.isFinite != touched }, "\(special), pixel \(pixel)")
            }
        }
    }

    @Test func rejectsTwoWeightsOrNone() {
        let (single, half) = (Product(rows: 3, n: 5, k: 4), Product(rows: 3, n: 5, k: 4, precision: .bf16))
        let scratch = guardedScratch(bytes: 1 << 16)
        var context = ck_context(isa: CK_ISA_PORTABLE, pool: nil)
        func status(_ fp32: UnsafePointer<Float>?, _ bf16: UnsafePointer<ck_bf16>?) -> ck_status {
            var arguments = single.arguments
            (arguments.packed, arguments.packed_bf16) = (fp32, bf16)
            return ck_gemm_f32(&context, &arguments, scratch.pointer)
        }
        #expect(status(single.packed.fp32, nil) == CK_OK)
        #expect(status(nil, half.packed.bf16) == CK_OK)
        #expect(status(nil, nil) == CK_BAD_ARGUMENT)
        #expect(status(single.packed.fp32, half.packed.bf16) == CK_BAD_ARGUMENT)
        let convolution = Setting(Convolution(height: 5, width: 4, channels: 3, outChannels: 6), precision: .bf16)
        var arguments = convolution.arguments
        arguments.packed = single.packed.fp32
        #expect(ck_conv_f32(&context, &arguments, scratch.pointer) == CK_BAD_ARGUMENT)
        (arguments.packed, arguments.packed_bf16) = (nil, nil)
        #expect(ck_conv_f32(&context, &arguments, scratch.pointer) == CK_BAD_ARGUMENT)
    }
}
