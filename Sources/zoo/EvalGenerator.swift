import ZooCore
import ZooDatasets
import ZooEval
import ZooModels
import ZooNN

/// `zoo eval` of a generator: draws samples and compares them with a data set.
struct EvalGenerator {
    private static let steps = "50"
    private static let samples = 500

    let command: EvalCommand
    let card: ModelCard

    func run() throws {
        try refuseOptionsOfClassifiers()
        let drawsDigits = card.labels == DatasetCatalog.digits.name
        let name = command.data ?? (drawsDigits ? DatasetCatalog.digits.name : DatasetCatalog.imageNetSubset.name)
        let dataset = try command.source.open(name)
        let weights = try command.weights.resolve(card)
        let runtime = try command.compute.runtime()
        command.remark(on: dataset, calledAs: name)
        let evaluation = try evaluation(weights, dataset, drawsDigits: drawsDigits, on: runtime)
        command.precision.announce(on: runtime.instructionSet, quiet: command.report.quiet)
        let interrupts = Interrupts()
        let progress = ProgressReporter(unit: "samples", isQuiet: command.report.quiet)
        defer { progress.finish() }
        let results = try evaluation.run(
            progress: { progress.update(done: $0.done, total: $0.total) }, shouldStop: { interrupts.isRequested })
        progress.finish()
        let report = GeneratorReport(
            evaluation, results, weights: weights.record(), dataset: dataset,
            environment: .current.running(on: runtime, precision: command.precision.precision),
            commandLine: CommandLineText.current)
        if let file = command.report.outputFile { try Output.write(jsonText(report), toFile: file) }
        try Output.write(command.report.json ? jsonText(report) : report.text)
    }

    private func evaluation(
        _ weights: ResolvedWeights, _ dataset: any ImageDataset, drawsDigits: Bool, on runtime: Runtime
    ) throws -> GeneratorEvaluation {
        var options = GenerationOptions()
        options.respacing = Self.steps
        options.precision = command.precision.precision
        let choice: FeatureExtractor.Choice = drawsDigits ? .ravltNano : .inception
        let extractor = try FeatureExtractor(
            choice, weights: WeightsResolver().resolve(choice.card()), runtime: runtime)
        var decoder: LatentDecoder?
        if !drawsDigits {
            let autoencoder = try Registry.card(named: AutoencoderKL.defaultModel)
            decoder = try LatentDecoder(
                card: autoencoder, weights: WeightsResolver().resolve(autoencoder), runtime: runtime)
        }
        return try GeneratorEvaluation(
            card: card, weights: weights, dataset: dataset, samples: command.limit ?? Self.samples,
            batchSize: command.batchSize, options: options, extractor: extractor, decoder: decoder, runtime: runtime)
    }

    private func refuseOptionsOfClassifiers() throws {
        let given = [
            ("--expect", !command.expect.isEmpty), ("--csv", command.csv), ("--per-class", command.perClass),
            ("--dataset-classes-only", command.datasetClassesOnly), ("--resume", command.resume),
            ("--journal", command.journal != nil),
        ]
        if let (name, _) = given.first(where: \.1) {
            throw ZooError(.usage, "\(card.name) is no classifier", at: name, hint: "see 'zoo eval --help'")
        }
        guard (1...4096).contains(command.batchSize) else {
            throw ZooError(
                .usage, "out of range", at: "--batch-size", expected: "1...4096", found: "\(command.batchSize)")
        }
    }
}
