#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The memory and processor time of this process as the system sees them.
public enum ProcessUsage {
    /// The highest resident size so far in bytes.
    public static var peakBytes: Int {
        if let kilobytes = highWaterMark { return kilobytes * 1024 }
        #if os(Linux)
            return resources.ru_maxrss * 1024
        #else
            return resources.ru_maxrss
        #endif
    }

    /// Starts counting the peak anew from the present size.
    ///
    /// - Returns: `false` where the system can't; the peak then still includes what came before.
    public static func resetPeak() -> Bool {
        guard let file = fopen("/proc/self/clear_refs", "w") else { return false }
        let written = fputs("5", file)
        return fclose(file) == 0 && written >= 0
    }

    /// Processor time of all threads so far in seconds.
    public static var processorTime: (user: Double, system: Double) {
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
        let usage = resources
        return (seconds(usage.ru_utime), seconds(usage.ru_stime))
    }

    private static var resources: rusage {
        // RUSAGE_SELF is 0 everywhere, but its type differs between systems.
        var usage = rusage()
        getrusage(0, &usage)
        return usage
    }

    /// `VmHWM` of `/proc/self/status`, which `resetPeak` resets and `getrusage` does not.
    private static var highWaterMark: Int? {
        guard let file = fopen("/proc/self/status", "r") else { return nil }
        defer { fclose(file) }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { line in
            guard let base = line.baseAddress else { return nil }
            while fgets(base, 256, file) != nil {
                let text = String(cString: base)
                guard text.hasPrefix("VmHWM:") else { continue }
                return Int(text.dropFirst("VmHWM:".count).filter(\.isNumber))
            }
            return nil
        }
    }
}
