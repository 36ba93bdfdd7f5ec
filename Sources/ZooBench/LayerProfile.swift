import ZooCore

/// Where the time of a forward pass goes, by kind of kernel.
public struct LayerProfile: Sendable, Codable, Equatable {
    public struct Entry: Sendable, Codable, Equatable {
        /// `gemm`, `convolution`, `depthwise`, `norm`, `attention`, `pooling`, or `other` for what is no kernel.
        public let kind: String
        public let calls: Int
        public let seconds: Double
        /// Of the whole pass.
        public let share: Double
        /// Multiply-adds per second in thousands of millions, 0 where a kind has none.
        public let gmacPerSecond: Double
    }

    /// Slowest first.
    public let entries: [Entry]

    /// The fastest of a few passes: the one least disturbed.
    init(of pass: Pass, on runtime: Runtime, passes: Int = 5) throws(ZooError) {
        defer { runtime.profile = nil }
        var fastest: (nanoseconds: UInt64, profile: KernelProfile)?
        for _ in 0..<passes {
            runtime.profile = KernelProfile()
            let start = MonotonicClock.nanoseconds
            try pass.run(on: runtime)
            let elapsed = MonotonicClock.nanoseconds - start
            guard let profile = runtime.profile, elapsed < fastest?.nanoseconds ?? .max else { continue }
            fastest = (elapsed, profile)
        }
        let total = fastest?.nanoseconds ?? 0
        let profile = fastest?.profile ?? KernelProfile()
        var inKernels: UInt64 = 0
        var entries: [Entry] = []
        for kind in KernelKind.allCases where profile[kind].calls > 0 {
            let entry = profile[kind]
            inKernels += entry.nanoseconds
            entries.append(
                Entry(
                    kind: "\(kind)", calls: entry.calls, seconds: Double(entry.nanoseconds) * 1e-9,
                    share: Double(entry.nanoseconds) / Double(max(total, 1)),
                    gmacPerSecond: Double(entry.multiplyAdds) / Double(max(entry.nanoseconds, 1))))
        }
        let rest = Double(total - min(inKernels, total))
        entries.append(
            Entry(kind: "other", calls: 0, seconds: rest * 1e-9, share: rest / Double(max(total, 1)), gmacPerSecond: 0))
        self.entries = entries.sorted { $0.seconds > $1.seconds }
    }

    public var table: Table {
        var table = Table([.init("kind", .left), .init("calls"), .init("ms"), .init("share"), .init("GMAC/s")])
        for entry in entries {
            table.append([
                entry.kind, "\(entry.calls)", entry.seconds.milliseconds, entry.share.percent,
                entry.gmacPerSecond > 0 ? entry.gmacPerSecond.threeDigits : "",
            ])
        }
        return table
    }
}
