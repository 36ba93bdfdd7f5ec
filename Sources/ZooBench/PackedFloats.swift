/// Floats in aligned memory, for the inputs and outputs of what is measured.
package final class PackedFloats {
    package let base: UnsafeMutablePointer<Float>
    package let count: Int

    /// Zeros; every page is touched, so that no measurement pays for it.
    package init(count: Int) {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
        base = memory.bindMemory(to: Float.self, capacity: max(count, 1))
        base.initialize(repeating: 0, count: max(count, 1))
        self.count = count
    }

    package convenience init(_ values: [Float]) {
        self.init(count: values.count)
        for (index, value) in values.enumerated() { base[index] = value }
    }

    /// Fills it with NaN, so that what a kernel leaves out shows.
    package func poison() { base.update(repeating: .nan, count: count) }

    deinit { base.deallocate() }

    package var values: UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: base, count: count) }
}
