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
        "zoo bench model ravlt-nano --min-time 0.1 --json --output-file before.json && "
            + "zoo bench compare before.json before.json",
        "zoo bench model ravlt-nano --min-time 0.1 --threads 1 --json --output-file a.json && "
            + "zoo bench compare a.json a.json --max-regression 5",
    ]

    @Argument(help: "The report of the state before.", completion: .file(extensions: ["json"]))
    var before: String

    @Argument(help: "The report of the state after.", completion: .file(extensions: ["json"]))
    var after: String

    @OptionGroup var regression: RegressionOption
    @OptionGroup var report: ReportOptions

    func run() throws {
        try Output.check(file: report.outputFile)
        let comparison = try Comparison(
            before: BenchmarkSamples(file: before), after: BenchmarkSamples(file: after))
        for id in comparison.unmatched { Output.note("only one report has \(id)") }
        try write(comparison)
        try regression.judge(comparison.rows, "measurements")
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
