import CKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What this process may use of the machine.
public enum Processor {
    /// The processor's brand, `unknown` where it does not tell.
    public static var brand: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { text in
            guard let base = text.baseAddress else { return "unknown" }
            ck_cpu_brand(base, text.count)
            return String(cString: base).split(separator: " ").joined(separator: " ")
        }
    }

    /// Physical cores that the affinity mask and the cgroup's CPU quota allow: the default thread count.
    ///
    /// Siblings of one core count once; a quota of 1.5 processors counts as 1.
    public static var usableCores: Int {
        let processors = allowed
        guard !processors.isEmpty else { return max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
        let cores = Set(
            processors.map { smallFile("/sys/devices/system/cpu/cpu\($0)/topology/thread_siblings_list") ?? "\($0)" })
        guard let quota = cgroupQuota else { return cores.count }
        return max(1, min(cores.count, Int(quota)))
    }

    /// The numbers of the logical processors in the affinity mask; empty where the system does not tell.
    public static var allowed: [Int] {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 1024) { buffer in
            let count = ck_cpu_allowed(buffer.baseAddress, buffer.count)
            return buffer.prefix(count).map(Int.init)
        }
    }

    /// The value of an environment variable, `nil` where it is not set.
    package static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Processors that the control group allows (`cpu.max`, or the version 1 files), `nil` for no limit.
    public static var cgroupQuota: Double? {
        if let text = smallFile("/sys/fs/cgroup/cpu.max") {
            let parts = text.split(separator: " ").compactMap { Double($0) }
            return parts.count == 2 && parts[1] > 0 ? parts[0] / parts[1] : nil
        }
        guard let quota = smallFile("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").flatMap(Double.init), quota > 0,
            let period = smallFile("/sys/fs/cgroup/cpu/cpu.cfs_period_us").flatMap(Double.init), period > 0
        else { return nil }
        return quota / period
    }

    /// The first line of a small system file.
    static func smallFile(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { line in
            guard let base = line.baseAddress, fgets(base, 256, file) != nil else { return nil }
            return String(String(cString: base).prefix { $0 != "\n" })
        }
    }
}
