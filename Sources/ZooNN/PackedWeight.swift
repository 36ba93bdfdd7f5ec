import CKernels
import ZooCore

/// Read-only kernel weights in float32.
package typealias PackedWeight = PackedArray<Float>

/// Read-only values in aligned memory, shared by every copy of the layer that owns them.
///
/// The pointer is written once, before the object is visible to anyone else, and only read afterwards: hence
/// `@unchecked Sendable`.
package final class PackedArray<Element: BitwiseCopyable>: @unchecked Sendable {
    package let pointer: UnsafePointer<Element>
    package let count: Int

    /// Takes room for `count` elements and lets `fill` write them.
    package init(count: Int, fill: (UnsafeMutablePointer<Element>) -> Void) {
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        let elements = memory.bindMemory(to: Element.self, capacity: max(count, 1))
        fill(elements)
        self.pointer = UnsafePointer(elements)
        self.count = count
    }

    /// A plain copy, such as a bias.
    package convenience init(_ values: [Element]) {
        self.init(count: values.count) { destination in
            values.withUnsafeBufferPointer { source in
                guard let base = source.baseAddress else { return }
                destination.update(from: base, count: source.count)
            }
        }
    }

    deinit { pointer.deallocate() }
}

/// The weight of a product in the panels that `ck_gemm_f32` and `ck_conv_f32` read, in a model's precision.
package struct PackedMatrix: Sendable {
    /// Exactly one of the three is there.
    private let fp32: PackedWeight?
    private let bf16: PackedArray<ck_bf16>?
    private let winograd: PackedWeight?

    package var pointer: UnsafePointer<Float>? { fp32?.pointer }
    package var bf16Pointer: UnsafePointer<ck_bf16>? { bf16?.pointer }
    package var winogradPointer: UnsafePointer<Float>? { winograd?.pointer }

    /// Bytes of the packed form.
    package var bytes: Int { 4 * (fp32?.count ?? 0) + 2 * (bf16?.count ?? 0) + 4 * (winograd?.count ?? 0) }

    /// - Parameters:
    ///   - matrix: [n][taps][channels]; empty while a definition's names are only recorded.
    ///   - taps: positions of a convolution's kernel; 1 for a linear layer.
    ///   - isTransformed: whether a 3x3 kernel is transformed for Winograd's convolution; in float32 only.
    package init(
        _ matrix: [Float], n: Int, taps: Int = 1, channels: Int, precision: Precision, isTransformed: Bool = false
    ) {
        let (n, k) = matrix.isEmpty ? (0, 0) : (n, taps * channels)
        precondition(matrix.count == n * k)
        precondition(!isTransformed || (taps == 9 && precision == .fp32))
        switch precision {
        case .fp32:
            let packed = PackedWeight(count: ck_gemm_packed_count(n, k)) { packed in
                matrix.withUnsafeBufferPointer { ck_gemm_pack(n, k, $0.baseAddress, k, packed) }
            }
            let depth = k / taps
            fp32 = isTransformed ? nil : packed
            winograd =
                isTransformed
                ? PackedWeight(count: ck_winograd_packed_count(n, depth)) {
                    ck_winograd_pack(n, depth, packed.pointer, $0)
                } : nil
            bf16 = nil
        case .bf16:
            (fp32, winograd) = (nil, nil)
            bf16 = PackedArray(count: ck_gemm_packed_bf16_count(n, taps, channels)) { packed in
                matrix.withUnsafeBufferPointer { ck_gemm_pack_bf16(n, taps, channels, $0.baseAddress, k, packed) }
            }
        }
    }
}
