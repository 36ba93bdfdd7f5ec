#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The memory that this process may hope for, in bytes.
public enum SystemMemory {
    /// What the machine has.
    public static var total: Int? {
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        let page = sysconf(Int32(_SC_PAGESIZE))
        return pages > 0 && page > 0 ? Int(pages) * Int(page) : nil
    }

    /// What the control group allows, `nil` for no limit.
    public static var cgroupLimit: Int? {
        let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        guard let limit = files.lazy.compactMap(Processor.smallFile).first.flatMap({ Int($0) }) else { return nil }
        // Version 1 writes a huge number for "no limit".
        return total.map { limit < $0 } ?? true ? limit : nil
    }
}
