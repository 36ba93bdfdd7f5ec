import ArgumentParser
import ZooBench
import ZooCore

extension Sweep: ExpressibleByArgument {
    public init?(argument: String) {
        guard let sweep = try? Sweep(parsing: argument) else { return nil }
        self = sweep
    }

    public var defaultValueDescription: String { values.map(String.init).joined(separator: ",") }
}

/// How long to measure.
struct PlanOptions: ParsableArguments {
    @Option(help: "Least time of one measurement in seconds.")
    var minTime = 3.0

    @Option(help: "Least number of runs of one measurement.")
    var runs = 10

    @Option(help: "Runs before the first one that counts.")
    var warmup = 2

    /// - Throws: `ZooError` of kind `usage` for values out of range.
    func makePlan() throws(ZooError) -> MeasurementPlan {
        let plan = MeasurementPlan(warmup: warmup, runs: runs, minTime: minTime)
        try plan.validate()
        return plan
    }
}

/// Which instruction sets and thread counts to measure.
struct SweepOptions: ParsableArguments {
    @Option(help: "Thread counts, a list such as 1,2 or 1-8 or 1-64*2; default: 1 and all usable cores.")
    var threads: Sweep?

    @Option(
        help: "Instruction sets, a list such as avx512,avx2; default: the best available.",
        completion: .list(InstructionSet.allCases.map(\.rawValue)))
    var isa: String?

    /// One runtime and its roofline for every combination.
    ///
    /// - Throws: `ZooError` of kind `unavailable` for an instruction set that this machine lacks.
    func machines() throws -> [(runtime: Runtime, roofline: Roofline?)] {
        let cores = Processor.usableCores
        let names = (isa ?? InstructionSet.best.rawValue).split(separator: ",", omittingEmptySubsequences: false)
        var machines: [(runtime: Runtime, roofline: Roofline?)] = []
        for name in names {
            let instructionSet = try InstructionSet(named: String(name))
            for threads in threads?.values ?? (cores > 1 ? [1, cores] : [1]) {
                let runtime = try Runtime(threads: threads, instructionSet: instructionSet)
                machines.append((runtime, Roofline.measured(on: runtime)))
            }
        }
        return machines
    }
}

/// How a report is written.
struct ReportOptions: ParsableArguments {
    /// The forms of a report.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, md, csv, json
    }

    @Option(help: "Form of the report.")
    var output: Format?

    @Flag(help: "Short for --output json.")
    var json = false

    @Option(help: "Write the report here instead of to stdout.", completion: .file())
    var outputFile: String?

    func validate() throws {
        if json, let output, output != .json {
            throw ValidationError("--json contradicts --output \(output.rawValue)")
        }
    }

    /// Writes the report.
    ///
    /// - Throws: `ZooError` of kind `cannotCreate` or `inputOutput`.
    func write(_ report: BenchmarkReport<some BenchmarkRow>, details: [String] = []) throws {
        let text: String
        switch json ? .json : output ?? .text {
        case .json: text = try report.json()
        case .csv: text = report.table.rendered(.csv)
        case .md: text = document(report, .markdown, details)
        case .text: text = document(report, .text, details)
        }
        guard let outputFile else { return try Output.write(text) }
        try Output.write(text, toFile: outputFile)
    }

    private func document(
        _ report: BenchmarkReport<some BenchmarkRow>, _ format: Table.Format, _ details: [String]
    ) -> String {
        let remarks = report.remarks.map { "warning: \($0)\n" }
        let parts = [report.preamble.map { $0 + "\n" }.joined(), report.table.rendered(format)] + details
        return (parts + (remarks.isEmpty ? [] : [remarks.joined()])).joined(separator: "\n")
    }
}
