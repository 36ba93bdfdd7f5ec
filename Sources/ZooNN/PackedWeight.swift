import CKernels
import ZooCore

/// Read-only kernel weights in aligned memory, shared by every copy of the layer that owns them.
///
/// The pointer is written once, before the object is visible to anyone else, and only read afterwards: hence
/// `@unchecked Sendable`.
package final class PackedWeight: @unchecked Sendable {
    package let pointer: UnsafePointer<Float>
    package let count: Int

    /// Takes room for `count` floats and lets `fill` write them.
    package init(count: Int, fill: (UnsafeMutablePointer<Float>) -> Void) {
        let bytes = max(count, 1) * MemoryLayout<Float>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        let floats = memory.bindMemory(to: Float.self, capacity: max(count, 1))
        fill(floats)
        self.pointer = UnsafePointer(floats)
        self.count = count
    }

    /// A plain copy, such as a bias.
    package convenience init(_ values: [Float]) {
        self.init(count: values.count) { destination in
            values.withUnsafeBufferPointer { source in
                guard let base = source.baseAddress else { return }
                destination.update(from: base, count: source.count)
            }
        }
    }

    /// A matrix [n][k] in the panels that `ck_gemm_f32` and `ck_conv_f32` read; empty for an empty matrix, which is
    /// what a definition gets while its names are only recorded.
    package convenience init(packing matrix: [Float], n: Int, k: Int) {
        guard !matrix.isEmpty else {
            self.init(count: 0) { _ in }
            return
        }
        precondition(matrix.count == n * k)
        self.init(count: ck_gemm_packed_count(n, k)) { packed in
            matrix.withUnsafeBufferPointer { ck_gemm_pack(n, k, $0.baseAddress, k, packed) }
        }
    }

    deinit { pointer.deallocate() }
}
