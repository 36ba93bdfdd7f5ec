import ZooCore

/// How long to measure.
public struct MeasurementPlan: Sendable, Equatable {
    /// Runs before the first one that counts.
    public var warmup: Int
    /// The least number of samples.
    public var runs: Int
    /// The least total time of the samples in seconds.
    public var minTime: Double

    public init(warmup: Int = 2, runs: Int = 10, minTime: Double = 3) {
        self.warmup = warmup
        self.runs = runs
        self.minTime = minTime
    }

    /// - Throws: `ZooError` of kind `usage` for a plan that measures nothing.
    public func validate() throws(ZooError) {
        func require(_ condition: Bool, _ option: String, _ expected: String) throws(ZooError) {
            if !condition { throw ZooError(.usage, "invalid value", at: option, expected: expected) }
        }
        try require((0...1_000_000).contains(warmup), "--warmup", "0...1000000")
        try require((1...1_000_000).contains(runs), "--runs", "1...1000000")
        try require(minTime >= 0 && minTime <= 86400, "--min-time", "0...86400 seconds")
    }
}

/// The outcome of measuring one thing.
public struct Measurement: Sendable, Codable, Equatable {
    /// Seconds of one run, in the order of the runs.
    public let samples: [Double]
    /// Runs per sample: very short ones are timed several at a time, and a sample is their mean.
    public let runsPerSample: Int
    /// In seconds.
    public let statistics: Statistics
    /// Processor time in user mode over all samples, seconds, all threads of the process.
    public let userTime: Double
    /// Processor time in the kernel, likewise.
    public let systemTime: Double
    public let warnings: [String]

    /// Mean processor time of one run in seconds. On a busy machine it says more than the wall clock, as long as one
    /// thread does all the work; spinning threads count too.
    public var processorTime: Double { (userTime + systemTime) / Double(samples.count * runsPerSample) }

    /// Times `body` as `plan` says.
    ///
    /// - Parameter shortest: the least duration of one sample in seconds; shorter bodies run several times per sample.
    public init(_ plan: MeasurementPlan, shortest: Double = 0, _ body: () throws -> Void) rethrows {
        for _ in 0..<plan.warmup { try body() }
        var runsPerSample = 1
        while shortest > 0 {
            let elapsed = try Self.seconds { for _ in 0..<runsPerSample { try body() } }
            if elapsed >= shortest || runsPerSample >= 1 << 20 { break }
            runsPerSample *= 2
        }
        var samples: [Double] = []
        samples.reserveCapacity(Swift.max(plan.runs, 1024))
        let before = ProcessUsage.processorTime
        var total = 0.0
        while samples.count < Swift.max(plan.runs, 1) || total < plan.minTime {
            let elapsed = try Self.seconds { for _ in 0..<runsPerSample { try body() } }
            total += elapsed
            samples.append(elapsed / Double(runsPerSample))
        }
        let after = ProcessUsage.processorTime
        self.samples = samples
        self.runsPerSample = runsPerSample
        statistics = Statistics(samples)
        userTime = after.user - before.user
        systemTime = after.system - before.system
        warnings = Statistics.warnings(samples)
    }

    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = MonotonicClock.nanoseconds
        try body()
        return Double(MonotonicClock.nanoseconds - start) * 1e-9
    }
}
