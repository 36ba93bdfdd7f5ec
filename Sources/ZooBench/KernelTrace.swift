import ZooCore

/// Every kernel call of a forward pass with its time.
final class KernelTrace: KernelObserver {
    struct Record {
        let call: any KernelCall
        let layer: String
        let nanoseconds: UInt64
    }

    private(set) var records: [Record] = []
    /// What observing itself took.
    private(set) var overhead: UInt64 = 0

    func observe(_ call: some KernelCall, layer: String, nanoseconds: UInt64) {
        let start = MonotonicClock.nanoseconds
        records.append(Record(call: call, layer: layer, nanoseconds: nanoseconds))
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
