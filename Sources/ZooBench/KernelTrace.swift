import ZooCore

/// Every kernel call of a forward pass with its time.
final class KernelTrace: KernelObserver {
    /// What is said about a call stands here as it was during the call: pointers in the call are not valid later.
    struct Record {
        let layer: String
        let kind: KernelKind
        let shape: String
        let multiplyAdds: Int
        let bytes: Int
        let nanoseconds: UInt64
        /// `nil` for a call that can't be repeated with memory of one's own.
        let replayable: (any ReplayableCall)?
    }

    private(set) var records: [Record] = []
    /// What observing itself took.
    private(set) var overhead: UInt64 = 0

    func observe(_ call: some KernelCall, layer: String, nanoseconds: UInt64) {
        let start = MonotonicClock.nanoseconds
        records.append(
            Record(
                layer: layer, kind: call.kind, shape: call.shape, multiplyAdds: call.multiplyAdds, bytes: call.bytes,
                nanoseconds: nanoseconds, replayable: call as? any ReplayableCall))
        overhead += MonotonicClock.nanoseconds - start
    }

    /// The kernel calls of one pass, and the time of the whole pass in nanoseconds.
    static func of(_ pass: Pass, on runtime: Runtime) throws(ZooError) -> (trace: KernelTrace, nanoseconds: UInt64) {
        let trace = KernelTrace()
        runtime.observer = trace
        defer { runtime.observer = nil }
        let start = MonotonicClock.nanoseconds
        try pass.run(on: runtime)
        return (trace, MonotonicClock.nanoseconds - start - trace.overhead)
    }
}
