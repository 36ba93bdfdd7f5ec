import ArgumentParser
import Foundation
import ZooCore
import ZooDatasets
import ZooEval
import ZooIO
import ZooModels
import ZooNN

/// The tasks whose models one leaderboard can rank.
enum RankedTask: String, ExpressibleByArgument, CaseIterable {
    case classify
}

struct EvalCommand: Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Measure a model's accuracy on a dataset.",
        discussion: """
            Without arguments, the embedded ravlt-nano on the embedded digits. Every image is accounted for: one that \
            cannot be decoded counts as wrong unless --on-bad-image says otherwise, one with decoder warnings is \
            scored and listed. Results do not depend on threads or batch size.

            Of a generator, such as lit-nano, --count samples are drawn as zoo generate draws them, the classes in \
            turn, and compared with the dataset: distances, inception score, precision and recall, and how many of \
            them a classifier recognises. For a model that draws latents the dataset is cropped to its image size as \
            for its training.

            With --all every classifier that has weights and the dataset's classes is evaluated in a process of its own, and \
            a leaderboard is printed. The result of each lies in the folder --results; with --resume, those that are \
            there already are not computed again.
            """)

    static let examples = ["zoo eval ravlt-t --data imagenet-subset --json", "zoo eval --all --data digits"]

    @Argument(help: "The model, such as ravlt-t (default: ravlt-nano).", completion: .models)
    var model: String?

    @Flag(help: "Evaluate every classifier that has weights and print a leaderboard.")
    var all = false

    @Option(help: "With --all: only models for this task; generators are measured by their names, one by one.")
    var task: RankedTask?

    @Option(
        help: "With --all: the folder for each model's result (default: one under $ZOO_HOME/results).",
        completion: .directory)
    var results: String?

    @Option(
        help: """
            digits, imagenet-subset, or a path: class folders, a flat folder with --labels, a zip archive, a list \
            (default: what the model was trained for).
            """, completion: .datasets)
    var data: String?

    @OptionGroup var source: DataOptions
    @OptionGroup var weights: WeightsOptions
    @OptionGroup var preprocessing: PreprocessingOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var precision: PrecisionOptions

    @Option(help: "Images that the model gets at a time.")
    var batchSize = 8

    @Option(help: "Threads that decode beside the model's (default: half as many).")
    var decodeThreads: Int?

    @Option(help: "Evaluate so many images, spread evenly over the dataset; of a generator, the same as --count.")
    var limit: Int?

    @Flag(help: "Choose answers among the dataset's classes only, as is usual for ImageNet-A and -R.")
    var datasetClassesOnly = false

    @Flag(help: "Add the accuracy of each class and the most confused pairs.")
    var perClass = false

    @Option(
        help: """
            What an image counts as that cannot be decoded: wrong, skip (leaves the denominator), fail (exit 65) \
            (default: wrong).
            """)
    var onBadImage: BadImagePolicy?

    /// What an image counts as that cannot be decoded.
    var badImages: BadImagePolicy { onBadImage ?? .wrong }

    @OptionGroup var strictness: StrictOption

    @Option(
        help: ArgumentHelp(
            "Exit with 1 unless the result fits, such as top1=83.2±0.3; also top5 and loss. May be repeated.",
            valueName: "gate"))
    var expect: [String] = []

    @Flag(help: "Take up an interrupted run of the same evaluation.")
    var resume = false

    @Option(
        help: """
            The journal for --resume, of a generator a folder (default: beside --output-file, else under \
            $ZOO_HOME/journals); kept if named.
            """)
    var journal: String?

    @Flag(help: "Print the result as CSV with timm's column names.")
    var csv = false

    @OptionGroup var report: ResultOptions

    @OptionGroup(title: "Options for generators") var sampling: SamplingOptions

    func run() throws {
        let expectations = try expect.map { try Expectation($0) }
        if csv && report.json { throw ZooError(.usage, "--json and --csv exclude each other") }
        try Output.check(file: report.outputFile)
        try checkSeriesOptions()
        guard !all else { return try EvalSeries(self).run() }
        let card = try Registry.card(named: try model ?? defaultModel())
        if card.task == .generate { return try EvalGenerator(command: self, card: card).run() }
        let evaluation = try prepare(card)
        let journal = try openJournal(evaluation)
        let (metrics, timing) = try compute(evaluation, journal)
        if metrics.hasNonFinite {
            Output.warning("some logits are no numbers: the weights are damaged or not for this model")
        }
        let result = EvaluationReport(
            evaluation, metrics, timing, commandLine: CommandLineText.current, details: perClass)
        if let file = report.outputFile {
            try Output.write(file.hasSuffix(".csv") ? result.csv : jsonText(result), toFile: file)
        }
        if self.journal == nil { journal.remove() } else { try journal.flush() }
        try Output.write(report.json ? jsonText(result) : csv ? result.csv : result.text)
        try judge(metrics, expectations)
    }

    private func checkSeriesOptions() throws {
        if !all, task != nil || results != nil {
            throw ZooError(.usage, "--task and --results go with --all")
        }
        let single = [("a model's name", model != nil), ("--expect", !expect.isEmpty), ("--journal", journal != nil)]
        let names = single.filter(\.1).map(\.0) + sampling.arguments.flagNames
        if all, let name = names.first { throw ZooError(.usage, "\(name) does not go with --all") }
    }

    private func defaultModel() throws -> String {
        guard data == nil || data == DatasetCatalog.digits.name else {
            throw ZooError(.usage, "name a model to evaluate on '\(data ?? "")'", hint: "see 'zoo list'")
        }
        return "ravlt-nano"
    }

    /// Opens everything, and only then says what is unusual about it.
    private func prepare(_ card: ModelCard) throws -> Evaluation {
        guard card.task == .classify else {
            throw ZooError(
                .usage, "\(card.name) is neither a classifier nor a generator",
                hint: "zoo eval measures classifiers and generators")
        }
        if let option = sampling.arguments.flagNames.first {
            throw ZooError(
                .usage, "\(card.name) is no generator", at: option, hint: "see 'zoo list --task generate'")
        }
        let subset = DatasetCatalog.imageNetSubset.name
        let name = data ?? (card.labels == DatasetCatalog.digits.name ? DatasetCatalog.digits.name : subset)
        let dataset = try source.open(name)
        let isSample = dataset.name == subset && dataset.origin == .embedded
        let weights = try self.weights.resolve(card, fallback: isSample ? .installationCheck : .none)
        let evaluation = try Evaluation(
            card: card, weights: weights, dataset: dataset,
            preprocessing: preprocessing.apply(to: card.preprocessing), options: options())
        remark(on: dataset, calledAs: name)
        precision.announce(on: evaluation.instructionSet, quiet: report.quiet)
        if weights.kind == .installationCheck {
            Output.warning(
                "no weights for \(card.name): checking the installation with untrained ones, the accuracy is "
                    + "meaningless; \(WeightsResolver().advice(for: card))")
        }
        return evaluation
    }

    func options() throws -> EvaluationOptions {
        var options = EvaluationOptions()
        options.batchSize = batchSize
        options.threads = compute.threads
        options.decodeThreads = decodeThreads
        options.instructionSet = try compute.instructionSet()
        options.precision = precision.precision
        options.limit = limit
        options.amongDatasetClasses = datasetClassesOnly
        options.badImages = badImages
        return options
    }

    /// Says which images are used where the name leaves it open, and what was left out.
    func remark(on dataset: any ImageDataset, calledAs name: String) {
        if name == DatasetCatalog.imageNetSubset.name, dataset.origin == .embedded {
            report.note(
                "imagenet-subset: the embedded sample, \(dataset.samples.count) photographs; "
                    + "'zoo data subset' makes a real one")
        } else if case .path(let path) = dataset.origin, path != name {
            report.note("\(name): \(path)")
        }
        report.note(ignored: dataset.ignored)
    }

    /// Where the user wants the journal, `nil` for the usual place.
    var namedJournal: String? { journal ?? report.outputFile.map { $0 + ".journal" } }

    private func openJournal(_ evaluation: Evaluation) throws -> Journal {
        let fingerprint = evaluation.fingerprint
        let named = namedJournal
        try Output.check(file: named)
        let path = named ?? Self.defaultJournal(fingerprint, evaluation.card)
        let opened = try Journal(
            path: path, fingerprint: fingerprint, resume: resume,
            onFailure: named == nil
                ? { Output.warning("\($0): this run continues but cannot be resumed") } : nil)
        if resume {
            report.note(
                opened.earlier.isEmpty
                    ? "nothing to resume, starting at the first image"
                    : "resuming after \(opened.earlier.count) of \(evaluation.samples.count) images")
        } else if FileManager.default.fileExists(atPath: path) {
            report.note("an interrupted run of this evaluation is replaced; --resume would take it up")
        }
        return opened
    }

    private static func defaultJournal(_ fingerprint: Journal.Fingerprint, _ card: ModelCard) -> String {
        "\(ZooHome.current.journals)/\(card.name)-\(shortDigest(of: fingerprint)).jsonl"
    }

    /// What names files after the settings of a run.
    static func shortDigest(of fingerprint: Journal.Fingerprint) -> Substring {
        let text = fingerprint.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined()
        return SHA256.hex(text.utf8).prefix(16)
    }

    private func compute(_ evaluation: Evaluation, _ journal: Journal) throws -> (Metrics, Evaluation.Timing) {
        let interrupts = Interrupts()
        let progress = ProgressReporter(unit: "images", isQuiet: report.quiet)
        defer { progress.finish() }
        let ending = try evaluation.run(
            journal: journal, progress: { progress.update(done: $0.done, total: $0.total) },
            shouldStop: { interrupts.isRequested })
        switch ending {
        case .complete(let metrics, let timing): return (metrics, timing)
        case .interrupted(let done):
            throw ZooError(
                .interrupted, "interrupted after \(done) of \(evaluation.samples.count) images",
                hint: !journal.isUsable ? nil : "continue with: \(CommandLineText.resuming)")
        }
    }

    private func judge(_ metrics: Metrics, _ expectations: [Expectation]) throws {
        try strictness.judge(metrics.badImages, of: metrics.images)
        for expectation in expectations { try expectation.check(metrics) }
    }
}
