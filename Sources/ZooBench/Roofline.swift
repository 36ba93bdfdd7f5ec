import CKernels
import ZooCore

/// What this machine can do at best with one instruction set and thread count, measured: the ceiling that
/// benchmark results are compared with.
public struct Roofline: Sendable, Codable, Equatable {
    public let instructionSet: String
    public let threads: Int
    /// The peak of fused multiply-adds in registers, GFLOP/s (a multiply-add counts as 2).
    public let gflops: Double
    /// Copy bandwidth by the memory touched, smallest first: caches have their own roofs.
    public let bandwidth: [Bandwidth]

    /// The best rate of a copy between two arrays.
    public struct Bandwidth: Sendable, Codable, Equatable {
        /// Bytes of both arrays together.
        public let workingSet: Int
        /// 10^9 bytes per second, reads plus writes.
        public let gbPerSecond: Double

        package init(workingSet: Int, gbPerSecond: Double) {
            self.workingSet = workingSet
            self.gbPerSecond = gbPerSecond
        }
    }

    package init(instructionSet: String, threads: Int, gflops: Double, bandwidth: [Bandwidth]) {
        self.instructionSet = instructionSet
        self.threads = threads
        self.gflops = gflops
        self.bandwidth = bandwidth
    }

    /// Measures it, in about a second.
    ///
    /// - Returns: `nil` for `ref`, which has no roofline.
    public static func measured(on runtime: Runtime) -> Roofline? {
        guard runtime.instructionSet != .ref else { return nil }
        let sizes = stride(from: 14, through: 28, by: 2).map { 1 << $0 }
        return Roofline(
            instructionSet: runtime.instructionSet.rawValue, threads: runtime.threads,
            gflops: fmaPeak(on: runtime), bandwidth: copyBandwidth(of: sizes, on: runtime))
    }

    /// The best of repeated probes of about 10 ms each: the peak is what the machine can do undisturbed.
    private static func fmaPeak(on runtime: Runtime) -> Double {
        var flops = 0.0
        var best = 0.0
        for attempt in 0..<40 {
            let steps = attempt == 0 ? 100_000 : 1_000_000
            let start = MonotonicClock.nanoseconds
            runtime.check(ck_roofline_fma_f32(runtime.context, steps, &flops))
            best = max(best, flops / Double(MonotonicClock.nanoseconds - start))
        }
        return best
    }

    private static func copyBandwidth(of sizes: [Int], on runtime: Runtime) -> [Bandwidth] {
        guard let largest = sizes.max() else { return [] }
        let floats = largest / 2 / MemoryLayout<Float>.stride
        let from = PackedFloats(count: floats)
        let to = PackedFloats(count: floats)
        return sizes.map { workingSet in
            let count = workingSet / 2 / MemoryLayout<Float>.stride
            let rounds = max(1, (1 << 24) / workingSet)
            var best = 0.0
            for _ in 0..<8 {
                let start = MonotonicClock.nanoseconds
                runtime.check(ck_roofline_copy_f32(runtime.context, from.base, to.base, count, rounds))
                let bytes = Double(rounds) * Double(workingSet)
                best = max(best, bytes / Double(MonotonicClock.nanoseconds - start))
            }
            return Bandwidth(workingSet: workingSet, gbPerSecond: best)
        }
    }

    /// The bandwidth that `bytes` of memory can have: that of the largest measured set not above it.
    public func gbPerSecond(workingSet bytes: Int) -> Double {
        let fitting = bandwidth.last { $0.workingSet <= bytes } ?? bandwidth.first
        return fitting?.gbPerSecond ?? .infinity
    }

    /// The GFLOP/s that work of this kind can reach: the smaller of the arithmetic peak and of what memory can feed.
    ///
    /// - Parameters:
    ///   - flops: floating-point operations of one run.
    ///   - bytes: compulsory traffic of one run, which is also the memory it touches.
    public func attainableGflops(flops: Double, bytes: Double) -> Double {
        guard bytes > 0 else { return gflops }
        return min(gflops, flops / bytes * gbPerSecond(workingSet: Int(bytes)))
    }
}
