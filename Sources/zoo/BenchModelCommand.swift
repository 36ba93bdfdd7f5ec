import ArgumentParser
import ZooBench
import ZooCore
import ZooEval
import ZooModels
import ZooNN

/// `zoo bench model`: latency and throughput of whole networks.
struct BenchModelCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "Measure forward passes of models.",
        discussion: """
            Every model is checked against a slower implementation first; no speed is shown for wrong results. \
            A generator's network answers one batch of samples at one step. Lists and ranges (1,2 or 1-8 or 16-64+16 or 1-64*2) measure every combination. GMAC/s and "of peak" count the multiply-adds of the layers' definitions, of which 3x3 convolutions compute fewer.
            """)

    static let examples = [
        "zoo bench model ravlt-nano mavit-nano --image-size 32,64,128 --min-time 0.2 --plot growth.svg",
        "zoo bench model ravlt-t --batch 1,8 --threads 1 --profile",
    ]

    @Argument(help: "Models' names; see zoo list.", completion: .models)
    var models: [String]

    @Option(help: "As for zoo eval; speed does not depend on them.")
    var weights = "seeded:1"

    @Option(help: "Images per pass, a list.", transform: Sweep.init(parsing:))
    var batch = Sweep([1])

    @Option(
        help: "Sides of square images in pixels, a list (default: the model's own size).",
        transform: Sweep.init(parsing:))
    var imageSize: Sweep?

    @Flag(help: "Add where the time of a pass goes, by kind of kernel.")
    var profile = false

    @Option(
        help: "Write how the time grows with the image size to this SVG file.", completion: .file(extensions: ["svg"]))
    var plot: String?

    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var sweep: SweepOptions
    @OptionGroup var plan: PlanOptions
    @OptionGroup var report: ReportOptions

    func validate() throws {
        if let batch = batch.values.first(where: { $0 > 4096 }) {
            throw ValidationError("--batch must be in 1...4096, not \(batch)")
        }
        guard !profile || report.format != .csv else {
            throw ValidationError("--profile has no place in --output csv; json has it")
        }
    }

    func run() throws {
        try Output.check(plot, endsIn: [".svg"], at: "--plot")
        try Output.check(files: report.outputFile, plot)
        guard plot == nil || Set(imageSize?.values ?? []).count > 1 else {
            throw ZooError(.usage, "--plot needs two sizes or more", hint: "give a list, --image-size 224,512,1024")
        }
        let environment = Environment.current
        let plan = try plan.makePlan()
        try refuseSizes()
        let cards = try models.map { (name) throws(ZooError) in try Registry.card(named: name) }
        let machines = try sweep.machines()
        for machine in machines.prefix(1) { precision.announce(on: machine.runtime.instructionSet) }
        var rows: [ModelRow] = []
        for card in cards {
            let source = try WeightsResolver().resolve(card, weights: weights).source
            let model = try Registry.network(card, from: source, precision: precision.precision)
            let benchmark = ModelBenchmark(card, model, weights: source.name, precision: precision.precision)
            for size in sizes(for: card) {
                for batch in batch.values {
                    for machine in machines {
                        do {
                            rows.append(
                                try benchmark.row(
                                    size: size, batch: batch, plan: plan, roofline: machine.roofline, profiled: profile,
                                    on: machine.runtime))
                        } catch var error as ZooError where error.kind == .usage {
                            // Of all that could be wrong now, only the sizes are left.
                            error.location = error.location ?? "--image-size"
                            throw error.naming(file: card.name)
                        }
                    }
                }
            }
        }
        let result = BenchmarkReport(
            command: CommandLine.arguments.joined(separator: " "), environment: environment,
            rooflines: machines.compactMap(\.roofline), results: rows)
        let plots = ModelPlots(result)
        try report.write(result) { format in
            let profiles = rows.flatMap { row in
                (row.profile?.tables() ?? []).map { "\(row.id)\n\n\($0.rendered(format))" }
            }
            return profiles + (plots.summary.isEmpty ? [] : [plots.summary.map { $0 + "\n" }.joined()])
        }
        if let plot { try Output.write(plots.svg, toFile: plot) }
    }

    /// - Throws: `ZooError` of kind `usage` for a size that no model takes.
    private func refuseSizes() throws(ZooError) {
        let range = 1...Preprocessing.maximumSize
        guard let size = imageSize?.values.first(where: { !range.contains($0) }) else { return }
        throw ZooError(
            .usage, "out of range", at: "--image-size", expected: "1...\(range.upperBound)", found: "\(size)")
    }

    private func sizes(for card: ModelCard) -> [ModelBenchmark.ImageSize] {
        let own = ModelBenchmark.ImageSize(
            height: card.preprocessing.inputHeight, width: card.preprocessing.inputWidth)
        return imageSize?.values.map { ModelBenchmark.ImageSize(height: $0, width: $0) } ?? [own]
    }
}
