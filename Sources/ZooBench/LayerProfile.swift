import ZooCore

/// Where the time of a forward pass goes, by kind of kernel and by layer.
public struct LayerProfile: Sendable, Codable, Equatable {
    public struct Entry: Sendable, Codable, Equatable {
        /// `gemm`, `convolution`, `depthwise`, `norm`, `attention`, `pooling`, or `other` for what is no kernel.
        public let kind: String
        /// The scope of the layer's weights; `nil` for all layers of the kind together.
        public let layer: String?
        /// Sizes and fused parts of the call; `nil` likewise.
        public let shape: String?
        public let calls: Int
        public let seconds: Double
        /// Of the whole pass.
        public let share: Double
        public let gflops: Double
        /// Compulsory traffic over the time.
        public let gbPerSecond: Double
    }

    /// Slowest first.
    public let kinds: [Entry]
    /// Slowest first.
    public let layers: [Entry]

    /// The fastest of a few passes: the one least disturbed.
    init(of pass: Pass, on runtime: Runtime, passes: Int = 5) throws(ZooError) {
        var fastest = try KernelTrace.of(pass, on: runtime)
        for _ in 1..<passes {
            let next = try KernelTrace.of(pass, on: runtime)
            if next.nanoseconds < fastest.nanoseconds { fastest = next }
        }
        let total = Double(max(fastest.nanoseconds, 1))
        func entry(_ records: [KernelTrace.Record], kind: String, layer: String? = nil, shape: String? = nil) -> Entry {
            let nanoseconds = Double(records.reduce(0) { $0 + $1.nanoseconds })
            let flops = 2 * records.reduce(0) { $0 + $1.multiplyAdds }
            let bytes = records.reduce(0) { $0 + $1.bytes }
            return Entry(
                kind: kind, layer: layer, shape: shape, calls: records.count, seconds: nanoseconds * 1e-9,
                share: nanoseconds / total, gflops: Double(flops) / max(nanoseconds, 1),
                gbPerSecond: Double(bytes) / max(nanoseconds, 1))
        }
        let records = fastest.trace.records
        var kinds = Dictionary(grouping: records, by: \.kind).map { entry($0.value, kind: "\($0.key)") }
        let rest = max(0, total - records.reduce(0) { $0 + Double($1.nanoseconds) })
        kinds.append(
            Entry(
                kind: "other", layer: nil, shape: nil, calls: 0, seconds: rest * 1e-9, share: rest / total, gflops: 0,
                gbPerSecond: 0))
        self.kinds = kinds.sorted { $0.seconds > $1.seconds }
        layers = records.map { entry([$0], kind: "\($0.kind)", layer: $0.layer, shape: $0.shape) }
            .sorted { $0.seconds > $1.seconds }
    }

    /// The kinds, and after them the slowest layers.
    public func tables(layers count: Int = 20) -> [Table] {
        var byKind = Table([.init("kind", .left), .init("calls")] + Self.columns)
        for entry in kinds { byKind.append([entry.kind, "\(entry.calls)"] + Self.cells(entry)) }
        var byLayer = Table(
            [.init("layer", .left), .init("kind", .left), .init("shape", .left)] + Self.columns)
        for entry in layers.prefix(count) {
            byLayer.append([entry.layer ?? "", entry.kind, entry.shape ?? ""] + Self.cells(entry))
        }
        return [byKind, byLayer]
    }

    private static let columns: [Table.Column] = ["ms", "share", "GFLOP/s", "GB/s"].map { .init($0) }

    private static func cells(_ entry: Entry) -> [String] {
        [
            entry.seconds.milliseconds, entry.share.percent, entry.gflops > 0 ? entry.gflops.threeDigits : "",
            entry.gbPerSecond > 0 ? entry.gbPerSecond.threeDigits : "",
        ]
    }
}
