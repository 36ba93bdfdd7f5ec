import Foundation
import ZooCore
import ZooDatasets
import ZooEval
import ZooModels
import ZooNN

/// `zoo eval` of a generator: draws samples and compares them with a data set.
struct EvalGenerator {
    private static let defaultSamples = 500

    let command: EvalCommand
    let card: ModelCard

    func run() throws {
        try refuseOptionsOfClassifiers()
        let network = try Registry.denoiserSkeleton(of: card)
        let options = try command.sampling.options(for: network, precision: command.precision.precision)
        let needsDecoder = try command.sampling.needsDecoder(card, network)
        if let file = command.report.outputFile, let folder = command.namedJournal {
            try Output.check(files: [file], besideImagesOf: folder)
        }
        let drawsDigits = card.labels == DatasetCatalog.digits.name
        let name = command.data ?? (drawsDigits ? DatasetCatalog.digits.name : DatasetCatalog.imageNetSubset.name)
        let dataset = try command.source.open(name)
        try LabelMap.requireClasses(of: card, in: dataset)
        let weights = try command.weights.resolve(card)
        let runtime = try command.compute.runtime()
        command.remark(on: dataset, calledAs: name)
        let decoder = try needsDecoder ? command.sampling.decoder(on: runtime) : nil
        let choice: FeatureExtractor.Choice = drawsDigits ? .ravltNano : .inception
        let extractor = try FeatureExtractor(
            choice, weights: WeightsResolver().resolve(choice.card()), runtime: runtime)
        let evaluation = try GeneratorEvaluation(
            card: card, weights: weights, dataset: dataset,
            samples: command.sampling.count ?? command.limit ?? Self.defaultSamples, batchSize: command.batchSize,
            options: options, extractor: extractor, decoder: decoder, runtime: runtime)
        command.precision.announce(on: runtime.instructionSet, quiet: command.report.quiet)
        let journal = try openJournal(evaluation)
        let results = try compute(evaluation, journal)
        let report = GeneratorReport(
            evaluation, results, dataset: dataset,
            environment: .current.running(on: runtime, precision: command.precision.precision),
            commandLine: CommandLineText.current)
        if let file = command.report.outputFile { try Output.write(jsonText(report), toFile: file) }
        if command.journal == nil { journal.remove() } else { try journal.flush() }
        try Output.write(command.report.json ? jsonText(report) : report.text)
        try command.strictness.judge(results.badImages, of: dataset.samples.count)
    }

    private func openJournal(_ evaluation: GeneratorEvaluation) throws -> SampleJournal {
        let parameters = evaluation.parameters
        let named = command.namedJournal
        let digest = EvalCommand.shortDigest(of: parameters)
        let path = named ?? "\(ZooHome.current.journals)/\(card.name)-\(digest)"
        if command.journal == nil, !command.resume, FileManager.default.fileExists(atPath: path) {
            SampleFolder.remove(path)
            command.report.note("an interrupted run of this evaluation is replaced; --resume would take it up")
        }
        let journal = try SampleJournal(
            path: path, parameters: parameters, resume: command.resume,
            onFailure: named == nil
                ? { Output.warning("\($0): this run continues but cannot be resumed") } : nil)
        if command.resume {
            let earlier = journal.earlier(of: evaluation.samples)
            command.report.note(
                earlier == 0
                    ? "nothing to resume, starting at the first sample"
                    : "resuming with \(earlier) of \(evaluation.samples) samples")
        }
        return journal
    }

    private func compute(
        _ evaluation: GeneratorEvaluation, _ journal: SampleJournal
    ) throws -> GeneratorEvaluation.Results {
        let interrupts = Interrupts()
        let progress = ProgressReporter(unit: "samples", isQuiet: command.report.quiet)
        defer { progress.finish() }
        do {
            return try evaluation.run(
                journal: journal, progress: { progress.update(done: $0.done, total: $0.total) },
                shouldStop: { interrupts.isRequested })
        } catch var error as ZooError where error.kind == .interrupted {
            try journal.flush()
            if journal.isUsable { error.hint = "continue with: \(CommandLineText.resuming)" }
            throw error
        }
    }

    private func refuseOptionsOfClassifiers() throws {
        let given = [
            ("--expect", !command.expect.isEmpty), ("--csv", command.csv), ("--per-class", command.perClass),
            ("--dataset-classes-only", command.datasetClassesOnly),
            ("--decode-threads", command.decodeThreads != nil), ("--on-bad-image", command.onBadImage != nil),
        ]
        if let name = (given.filter(\.1).map(\.0) + command.preprocessing.arguments.flagNames).first {
            throw ZooError(.usage, "\(card.name) is no classifier", at: name, hint: "see 'zoo eval --help'")
        }
        if let file = command.report.outputFile, file.hasSuffix(".csv") {
            throw ZooError(
                .usage, "\(card.name) is no classifier, whose results alone have a form in CSV", at: "--output-file",
                found: file)
        }
        guard command.sampling.count == nil || command.limit == nil else {
            throw ZooError(.usage, "--count and --limit mean the same for a generator: give one")
        }
        guard (1...4096).contains(command.batchSize) else {
            throw ZooError(
                .usage, "out of range", at: "--batch-size", expected: "1...4096", found: "\(command.batchSize)")
        }
    }
}
