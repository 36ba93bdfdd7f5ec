import CKernels
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// Whole networks with bf16 weights and products.
@Suite struct BF16Tests {
    /// Every product adds the rounding of its inputs and weights, 2^-9 of each on average: a hundred layers of a residual
    /// network make some thousandths of the logits' length out of it.
    @Test(
        arguments: [("RAVLT_T", "ravlt-t"), ("MALA_T", "mavit-t")],
        InstructionSet.available.filter { $0 != .ref && $0 != .portable })
    func fidelityAtFullSize(variant: (String, String), isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let card = try Registry.card(named: variant.1)
        let golden = try SafetensorsFile(path: Fixtures.path("models/\(variant.0).case.safetensors"))
        let model = try Registry.load(card, from: SeededSource(seed: 1), precision: .bf16)
        let logits = try run(model, seededImages([1, 3, 224, 224]), on: runtime).logits
        let expected = try golden.float64s(of: "plain.logits_fp64")
        let error = relativeL2(logits, expected)
        let largest = zip(logits, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
        #expect(error > 1e-4, "this is not bf16")
        let scale = expected.map(abs).max() ?? 0
        #expect(error < 0.008 && largest < 0.008 * scale, "\(variant.0) \(isa): \(error), largest \(largest)")
        #expect(logits.firstIndex(of: logits.max() ?? 0) == expected.firstIndex(of: expected.max() ?? 0))
    }

    @Test(arguments: ["ravlt-nano", "mavit-nano"], InstructionSet.available)
    func determinismOverThreadsBatchAndPosition(name: String, isa: InstructionSet) throws {
        let model = try Registry.load(Registry.card(named: name), from: SeededSource(seed: 1), precision: .bf16)
        let images = (0..<3).map { seededImages([1, 3, 40, 33], name: "image\($0)") }
        let one = try Runtime(threads: 1, instructionSet: isa)
        let single = try images.map { try run(model, $0, on: one) }
        let joined = Tensor(shape: [3, 40, 33, 3], values: images.flatMap(\.values))
        for threads in [1, 2, 3] {
            let runtime = try Runtime(threads: threads, instructionSet: isa)
            #expect(try run(model, images[0], on: runtime) == single[0], "\(threads) threads")
            #expect(try run(model, joined, on: runtime).logits == single.flatMap(\.logits), "\(threads) threads")
        }
    }

    /// Sees which products of a pass have float32 weights.
    private final class ProductObserver: KernelObserver {
        var products = 0
        var inFloat32: [String] = []

        func observe(_ call: some KernelCall, layer: String, nanoseconds: UInt64) {
            let isFloat32: Bool
            if let product = call as? ck_gemm_args {
                isFloat32 = product.packed_bf16 == nil
            } else if let convolution = call as? ck_conv_args {
                isFloat32 = convolution.packed_bf16 == nil
            } else {
                return
            }
            products += 1
            if isFloat32 { inFloat32.append(layer) }
        }
    }

    /// No layer of any family falls back to float32 silently.
    @Test(arguments: StructureTests.small) func everyProductIsInBF16(name: String) throws {
        let card = try Registry.card(named: name)
        let model = try Registry.load(card, from: SeededSource(seed: 1), precision: .bf16)
        let runtime = try Runtime(threads: 2)
        let observer = ProductObserver()
        runtime.observer = observer
        let size = card.preprocessing
        _ = try model.logits(seededImages([1, 3, size.inputHeight, size.inputWidth]), on: runtime)
        #expect(observer.products > 5)
        #expect(observer.inFloat32.isEmpty)
    }

    @Test func packedWeightsTakeHalfTheMemory() {
        let matrix = [Float](repeating: 1, count: 64 * 9 * 6)
        func bytes(_ precision: Precision) -> Int {
            PackedMatrix(matrix, n: 64, taps: 9, channels: 6, precision: precision).bytes
        }
        #expect(bytes(.fp32) == 4 * matrix.count)
        #expect(bytes(.bf16) == 2 * matrix.count)
    }
}
