import CKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where a result was obtained: what one needs to know before comparing it with another.
public struct Environment: Sendable, Codable, Equatable {
    /// Version of zoo.
    public let zoo: String
    /// The Swift compiler's version, as far as the language tells it.
    public let swift: String
    /// The C compiler that built the kernels, with its version.
    public let compiler: String
    /// Operating system, kernel release and architecture.
    public let system: String
    /// The processor's brand.
    public let cpu: String
    /// Physical cores that this process may use.
    public let usableCores: Int
    /// The instruction sets that this machine can run, slowest first.
    public let instructionSets: [String]
    /// The frequency governor, `nil` where the system does not tell (virtual machines).
    public let governor: String?
    /// Load averages over 1, 5 and 15 minutes when the run began.
    public let loadAverage: [Double]
    /// The versions of the libraries that take part, by name.
    public private(set) var libraries: [String: String] = [:]
    /// What the kernels of this run are made for; `nil` where a report has several runs.
    public private(set) var instructionSet: String?
    /// Of the model's weights and products, likewise.
    public private(set) var precision: Precision?
    /// Threads of the model, likewise.
    public private(set) var threads: Int?
    /// Threads that decode and preprocess beside them, likewise.
    public private(set) var decodeThreads: Int?

    /// The version of this package.
    public static let version = "0.1.0"

    /// This process, now.
    public static var current: Environment {
        var load = [0.0, 0.0, 0.0]
        let known = max(0, Int(getloadavg(&load, 3)))
        return Environment(
            zoo: version, swift: swiftVersion, compiler: String(cString: ck_compiler()), system: systemName,
            cpu: Processor.brand, usableCores: Processor.usableCores,
            instructionSets: InstructionSet.available.map(\.rawValue),
            governor: Processor.smallFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            loadAverage: Array(load.prefix(known)))
    }

    /// This environment with the libraries and choices of one run.
    public func running(
        on runtime: Runtime, precision: Precision? = nil, decodeThreads: Int? = nil, libraries: [String: String] = [:]
    ) -> Environment {
        var copy = self
        copy.libraries = libraries
        copy.instructionSet = runtime.instructionSet.rawValue
        copy.precision = precision
        copy.threads = runtime.threads
        copy.decodeThreads = decodeThreads
        return copy
    }

    private static var swiftVersion: String {
        #if compiler(>=6.5)
            return "6.5 or newer"
        #elseif compiler(>=6.4)
            return "6.4"
        #elseif compiler(>=6.3)
            return "6.3"
        #else
            return "6.2 or older"
        #endif
    }

    private static var systemName: String {
        var name = utsname()
        guard uname(&name) == 0 else { return "unknown" }
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return [text(name.sysname), text(name.release), text(name.machine)].joined(separator: " ")
    }
}
