import ArgumentParser
import ZooBench
import ZooCore

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
    @Option(
        help: "Thread counts, a list such as 1,2 or 1-8 or 1-64*2 (default: 1 and all usable cores).",
        transform: Sweep.init(parsing:))
    var threads: Sweep?

    @Option(
        help: "Instruction sets, a list such as avx512,avx2 (default: the best available).",
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

    /// What `--json` and `--output` ask for.
    var format: Format { json ? .json : output ?? .text }

    @Option(help: "Write the report here instead of to stdout.", completion: .file())
    var outputFile: String?

    func validate() throws {
        if json, let output, output != .json {
            throw ValidationError("--json contradicts --output \(output.rawValue)")
        }
    }

    /// Writes the report.
    ///
    /// - Parameter details: what follows the table in the forms for people, each part ending with a line break.
    /// - Throws: `ZooError` of kind `cannotCreate` or `inputOutput`.
    func write(
        _ report: BenchmarkReport<some BenchmarkRow>, details: (Table.Format) -> [String] = { _ in [] }
    ) throws {
        let text =
            switch format {
            case .json: try report.json()
            case .csv: report.table.rendered(.csv)
            case .md: document(report, .markdown, details(.markdown))
            case .text: document(report, .text, details(.text))
            }
        try write(text)
    }

    /// Writes to the file where one is given, else to standard output.
    func write(_ text: String) throws {
        guard let outputFile else { return try Output.write(text) }
        try Output.write(text, toFile: outputFile)
    }

    private func document(
        _ report: BenchmarkReport<some BenchmarkRow>, _ format: Table.Format, _ details: [String]
    ) -> String {
        let bullet = format == .markdown ? "- " : ""
        func lines(_ lines: [String]) -> [String] { lines.isEmpty ? [] : [lines.map { bullet + $0 + "\n" }.joined()] }
        let warnings = lines(report.remarks.map { "warning: \($0)" })
        return (lines(report.preamble) + [report.table.rendered(format)] + details + warnings).joined(separator: "\n")
    }
}

/// The gate on times, for comparisons of benchmarks and of evaluations.
struct RegressionOption: ParsableArguments {
    @Option(help: "Exit with 1 if a time became longer by more than so many percent, beyond doubt.")
    var maxRegression: Double?

    func validate() throws {
        if let maxRegression, !(maxRegression >= 0 && maxRegression.isFinite) {
            throw ValidationError("--max-regression must be a percentage of at least 0")
        }
    }

    /// - Parameter name: what the rows are, in the plural.
    /// - Throws: `ZooError` of kind `gateFailed` that names the worst of the regressions.
    func judge(_ rows: [Comparison.Row], _ name: String) throws(ZooError) {
        guard let maxRegression else { return }
        let regressions = rows.filter { $0.isRegression(beyond: maxRegression / 100) }
        guard let worst = regressions.max(by: { $0.ratio < $1.ratio }) else { return }
        throw ZooError(
            .gateFailed, "\(regressions.count) of \(rows.count) \(name) became longer",
            expected: "at most \(maxRegression) %",
            found: "\(Int(((worst.ratio - 1) * 100).rounded())) % in \(worst.id)")
    }
}
