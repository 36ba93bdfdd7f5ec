/// A stack of scratch memory: a forward pass takes pieces and gives them back in reverse order.
///
/// Memory is obtained in slabs that are kept, so that a second pass over the same shapes allocates nothing. Contents
/// are undefined when taken.
package final class Workspace {
    private struct Slab {
        let base: UnsafeMutablePointer<Float>
        let capacity: Int
    }

    private var slabs: [Slab] = []
    private var slab = 0
    private var used = 0

    package init() {}

    deinit {
        for slab in slabs { slab.base.deallocate() }
    }

    /// Bytes held, whether in use or not.
    package var capacity: Int { slabs.reduce(0) { $0 + $1.capacity } * MemoryLayout<Float>.stride }

    /// Takes `count` floats, 64-byte aligned, until the enclosing `scope` ends.
    package func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
        let rounded = (Swift.max(count, 1) + 15) / 16 * 16
        while slab < slabs.count {
            if slabs[slab].capacity - used >= rounded {
                defer { used += rounded }
                return slabs[slab].base + used
            }
            slab += 1
            used = 0
        }
        let capacity = Swift.max(rounded, 1 << 18)
        let bytes = capacity * MemoryLayout<Float>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        slabs.append(Slab(base: memory.bindMemory(to: Float.self, capacity: capacity), capacity: capacity))
        used = rounded
        return slabs[slab].base
    }

    /// Lets `body` take its pieces from `memory` first, as far as they fit: memory that its owner needs later.
    ///
    /// - Parameter memory: 64-byte aligned.
    package func lending<R>(_ memory: UnsafeMutableBufferPointer<Float>, _ body: () throws -> R) rethrows -> R {
        guard let base = memory.baseAddress else { return try body() }
        let (outerSlab, outerUsed, place) = (slab, used, min(slab + 1, slabs.count))
        slabs.insert(Slab(base: base, capacity: memory.count), at: place)
        (slab, used) = (place, 0)
        defer {
            slabs.remove(at: place)
            (slab, used) = (outerSlab, outerUsed)
        }
        return try body()
    }

    /// Gives back at its end everything that `body` took.
    package func scope<R>(_ body: () throws -> R) rethrows -> R {
        let (outerSlab, outerUsed) = (slab, used)
        defer { (slab, used) = (outerSlab, outerUsed) }
        return try body()
    }
}
