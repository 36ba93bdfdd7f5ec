/// What a kernel does, as a profile groups it.
package enum KernelKind: Int, Sendable, CaseIterable {
    /// Linear layers and 1x1 convolutions, with the norms and activations fused into them.
    case gemm
    /// Dense convolutions.
    case convolution
    case depthwise
    /// Norms that stand alone.
    case norm
    /// Attention cores.
    case attention
    /// Global pooling.
    case pooling
}

/// Where the time of forward passes goes. Attach one to `Runtime.profile`, run, detach, read.
package struct KernelProfile: Sendable {
    /// The sums over all kernel calls of one kind.
    package struct Entry: Sendable {
        package var calls = 0
        package var nanoseconds: UInt64 = 0
        package var multiplyAdds = 0
    }

    private var entries = [Entry](repeating: Entry(), count: KernelKind.allCases.count)

    package init() {}

    package subscript(_ kind: KernelKind) -> Entry { entries[kind.rawValue] }

    mutating func record(_ kind: KernelKind, since start: UInt64, multiplyAdds: Int) {
        entries[kind.rawValue].calls += 1
        entries[kind.rawValue].nanoseconds += MonotonicClock.nanoseconds - start
        entries[kind.rawValue].multiplyAdds += multiplyAdds
    }
}
