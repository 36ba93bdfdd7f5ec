import ArgumentParser
import ZooBench
import ZooCore
import ZooModels

/// `zoo bench kernel`: how near do the kernels come to what the machine can do?
struct BenchKernelCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "kernel", abstract: "Measure kernels against the machine's own roofline.",
        discussion: """
            gemm, conv and dwconv run at every distinct shape that the layers of --model have in --precision, with the \
            same fused ends; layer_norm and the attention operators at every combination of --batch, --heads, --tokens \
            and --head-dim, sla with --tokens rows in all, in groups of each of the --groups. Every kernel is checked \
            against ref in the same run; a wrong one shows no speed and ends in exit code 1. "of roof" is the share of \
            what the measured multiply-add peak and the copy bandwidth of the kernel's own memory size allow; both \
            speed-ups are at the same threads.
            """)

    static let examples = [
        "zoo bench kernel rala mala softmax --tokens 196,784,3136 --min-time 0.2 --plot growth.svg",
        "zoo bench kernel gemm --model ravlt-t --threads 1 --isa avx2 --min-time 0.2 --output md",
    ]

    @Argument(
        help: ArgumentHelp("Kernels (default: all): \(KernelBenchmark.Subject.names.joined(separator: ", "))."),
        completion: .list(KernelBenchmark.Subject.names))
    var operators: [String] = []

    @Option(help: "Tokens per sequence, a list.", transform: Sweep.init(parsing:))
    var tokens = Sweep([196, 784, 3136])

    @Option(help: "Heads, a list.", transform: Sweep.init(parsing:))
    var heads = Sweep([1])

    @Option(help: "Channels of a head, a list.", transform: Sweep.init(parsing:))
    var headDim = Sweep([64])

    @Option(help: "Sequences or images per run, a list.", transform: Sweep.init(parsing:))
    var batch = Sweep([1])

    @Option(help: "Rows of a group for sla, a list of sizes and of ranges to draw them from.")
    var groups = "1-2000"

    @Option(help: "Models, a list, whose layers' shapes are measured.", completion: .models)
    var model = "ravlt-t,ravlt-s"

    @OptionGroup var precision: PrecisionOptions

    @Option(help: "Write growth and roofline plots to this SVG file.", completion: .file(extensions: ["svg"]))
    var plot: String?

    @OptionGroup var sweep: SweepOptions
    @OptionGroup var plan: PlanOptions
    @OptionGroup var report: ReportOptions

    func run() throws {
        try Output.check(plot, endsIn: [".svg"], at: "--plot")
        try Output.check(files: report.outputFile, plot)
        let environment = Environment.current
        let names = operators.isEmpty ? KernelBenchmark.Subject.names : operators
        let subjects = try names.map { (name) throws(ZooError) in try KernelBenchmark.Subject(named: name) }
        let cards = try model.split(separator: ",").map { (name) throws(ZooError) in
            try Registry.card(named: String(name))
        }
        let benchmark = KernelBenchmark(try plan.makePlan(), models: cards, precision: precision.precision)
        let sizes = KernelBenchmark.Sizes(
            batch: batch.values, heads: heads.values, tokens: tokens.values, headDim: headDim.values,
            groups: try GroupSizes.list(parsing: groups))
        let machines = try sweep.machines()
        for machine in machines.prefix(1) { precision.announce(on: machine.runtime.instructionSet) }
        var rows: [KernelRow] = []
        for subject in subjects {
            for machine in machines {
                try benchmark.measure(subject, at: sizes, roofline: machine.roofline, on: machine.runtime) { row in
                    if Output.isTerminal { Output.note("\(row.id) done") }
                    rows.append(row)
                }
            }
        }
        let result = BenchmarkReport(
            command: CommandLine.arguments.joined(separator: " "), environment: environment,
            rooflines: machines.compactMap(\.roofline), results: rows)
        let plots = KernelPlots(result)
        try report.write(result) { _ in plots.summary.isEmpty ? [] : [plots.summary.map { $0 + "\n" }.joined()] }
        if let plot { try Output.write(plots.svg, toFile: plot) }
        try refuse(benchmark.failures)
    }

    /// - Throws: the failed checks as one error.
    private func refuse(_ failures: [ZooError]) throws {
        guard let last = failures.last else { return }
        for failure in failures.dropLast() { Output.error(failure.description) }
        throw last
    }
}
