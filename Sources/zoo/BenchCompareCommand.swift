import ArgumentParser
import ZooBench
import ZooCore
import ZooEval

/// `zoo bench compare`: is it slower than before, or is that noise?
struct BenchCompareCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Compare two benchmark reports, row by row.",
        discussion: """
            Reads two files of --output json. Every measurement that both have gets the ratio of the medians with a \
            bootstrap 95 % interval and a Mann-Whitney U test; it counts as slower or faster at p < 0.01 with at least \
            \(Comparison.leastSamples) samples on both sides. With --max-regression, exit code 1 if a whole interval \
            lies beyond it.
            """)

    static let examples = [
        "zoo bench compare before.json after.json",
        "zoo bench compare before.json after.json --max-regression 5",
    ]

    @Argument(help: "The report of the state before.", completion: .file(extensions: ["json"]))
    var before: String

    @Argument(help: "The report of the state after.", completion: .file(extensions: ["json"]))
    var after: String

    @Option(help: "Percent by which a measurement may have become slower.")
    var maxRegression: Double?

    @OptionGroup var report: ReportOptions

    func validate() throws {
        if let maxRegression, !(maxRegression >= 0 && maxRegression.isFinite) {
            throw ValidationError("--max-regression must be a percentage of at least 0")
        }
    }

    func run() throws {
        try Output.check(file: report.outputFile)
        let comparison = try Comparison(
            before: BenchmarkSamples(file: before), after: BenchmarkSamples(file: after))
        for id in comparison.unmatched { Output.note("only one report has \(id)") }
        try write(comparison)
        guard let maxRegression else { return }
        let regressions = comparison.regressions(beyond: maxRegression / 100)
        guard let worst = regressions.max(by: { $0.ratio < $1.ratio }) else { return }
        throw ZooError(
            .gateFailed, "\(regressions.count) of \(comparison.rows.count) measurements became slower",
            expected: "at most \(maxRegression) %",
            found: "\(Int(((worst.ratio - 1) * 100).rounded())) % in \(worst.id)")
    }

    private func write(_ comparison: Comparison) throws {
        switch report.format {
        case .json: try report.write(jsonText(JSONReport(command: "bench compare", content: comparison)))
        case .csv: try report.write(comparison.table.rendered(.csv))
        case .md: try report.write(comparison.table.rendered(.markdown))
        case .text: try report.write(comparison.table.rendered(.text))
        }
    }
}
