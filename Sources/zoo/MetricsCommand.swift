import ArgumentParser
import ZooCore
import ZooDatasets
import ZooEval
import ZooIO
import ZooImage
import ZooMetrics
import ZooModels

/// `zoo metrics`: how good are generated images?
struct MetricsCommand: ParsableCommand, Exemplified {
    static let examples = [
        "zoo metrics fid digits-train digits --features ravlt-nano",
        "zoo generate lit-nano --count 20 --steps 20 --output-dir drawn && "
            + "zoo metrics prc digits drawn --features ravlt-nano",
    ]

    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Compare generated images with a reference: FID, sFID, IS, KID, precision.",
        discussion: MetricOptions.sets,
        subcommands: [
            FrechetCommand.self, SpatialFrechetCommand.self, InceptionScoreCommand.self, KernelDistanceCommand.self,
            PrecisionRecallCommand.self, StatisticsCommand.self,
        ])
}

/// What all metrics share: where features come from and where results go.
struct MetricOptions: ParsableArguments {
    static let sets = """
        A set is a .npz archive (statistics mu, sigma, mu_s, sigma_s; images arr_0), a .npz or safetensors file of \
        features (pool3 or features, spatial, logits), or a data set: a name, a folder, a zip archive.
        """

    @Option(
        help: """
            Network that looks at images: inception, whose official file is found or given, or ravlt-nano for digits, \
            whose distances are no FIDs and are called FD-ravlt-nano.
            """)
    var features = FeatureExtractor.Choice.inception

    @Option(
        help: """
            How images come to Inception's size: tensorflow (the ADM evaluator), torch (pytorch-fid) or clean \
            (clean-fid). Published numbers use tensorflow, the default.
            """)
    var resize: FeatureResizing?

    @Option(
        help: ArgumentHelp(
            "First crop images to S x S pixels, as for the training of ADM, DiT and LiT: photographs as a reference.",
            valueName: "s"))
    var crop: Int?

    @OptionGroup var weights: WeightsOptions

    @OptionGroup var root: DataRootOption

    @Option(help: "Images that the network gets at a time; does not change results.")
    var batchSize = 8

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var strictness: StrictOption
    @OptionGroup var report: ResultOptions

    func validate() throws {
        guard (1...4096).contains(batchSize) else { throw ValidationError("--batch-size must be in 1...4096") }
        if let resize, features != .inception {
            throw ValidationError("--resize \(resize.rawValue): only inception has a choice, not \(features.rawValue)")
        }
        let sizes = 1...Preprocessing.maximumSize
        guard sizes.contains(crop ?? 1) else { throw ValidationError("--crop must be in \(sizes)") }
        if let file = report.outputFile, file.lowercased().hasSuffix(".csv") {
            throw ValidationError("--output-file \(file): metrics are written as JSON")
        }
    }

    /// Opens the inputs and collects what a metric needs of each.
    func collect(_ inputs: [(name: String, needs: MetricSet.Needs)]) throws -> MetricSession {
        try Output.check(file: report.outputFile)
        let session = MetricSession(self)
        // All files are opened before hours are spent on the first.
        try session.add(inputs.map { (try open($0.name), $0.needs) })
        return session
    }

    func open(_ name: String) throws -> MetricInput {
        try MetricInput.open(name, dataRoot: root.dataRoot, crop: crop)
    }
}

/// The sets of one command and the network that looked at them.
final class MetricSession {
    private(set) var sets: [MetricSet] = []
    private let options: MetricOptions
    private var extractor: FeatureExtractor?

    init(_ options: MetricOptions) { self.options = options }

    /// Collects what a metric needs of each input; the network is loaded once, and only for images.
    ///
    /// - Throws: `ZooError` of kind `usage` if no input brings images to crop.
    func add(_ inputs: [(MetricInput, MetricSet.Needs)]) throws {
        for (input, needs) in inputs {
            options.report.note(ignored: input.ignored, in: input.name)
            try add(input, needs)
        }
        if let crop = options.crop, network == nil {
            throw ZooError(
                .usage, "all sets bring statistics or features, and no images to crop", at: "--crop", found: "\(crop)")
        }
    }

    private func add(_ input: MetricInput, _ needs: MetricSet.Needs) throws {
        let interrupts = Interrupts()
        let progress = ProgressReporter(unit: "images", isQuiet: options.report.quiet)
        defer { progress.finish() }
        sets.append(
            try MetricSet(
                input, needs, extractor: loaded, progress: { progress.update(done: $0, total: $1) },
                shouldStop: { interrupts.isRequested }))
    }

    private func loaded() throws -> FeatureExtractor {
        if let extractor { return extractor }
        let weights = try options.weights.resolve(options.features.card())
        let made = try FeatureExtractor(
            options.features, weights: weights, resizing: options.resize ?? .tensorflow, batchSize: options.batchSize,
            runtime: options.compute.runtime())
        if !weights.isTrained { Output.warning("untrained weights: the numbers mean nothing") }
        extractor = made
        return made
    }

    /// The network that looked at images; `nil` where files brought all features.
    var network: FeatureExtractor.Record? { extractor?.record(crop: options.crop) }

    /// The name of a distance: an established one only for the network that it stands for.
    func name(_ established: String, _ general: String, dimensions: Int, of known: Int) -> String {
        let name = dimensions == known ? established : general
        return extractor?.choice.name(name, general) ?? name
    }

    /// Prints the numbers, and what they were computed of.
    func finish(_ command: String, _ values: [(name: String, value: Double)], deviations: [String: Double] = [:]) throws
    {
        let content = MetricReport(
            results: Dictionary(uniqueKeysWithValues: values.map { ($0.name, $0.value) }),
            deviations: deviations.isEmpty ? nil : deviations, sets: sets.map(\.source),
            network: network)
        let json = JSONReport(command: command, content: content)
        if let file = options.report.outputFile { try Output.write(jsonText(json), toFile: file) }
        if options.report.json {
            try json.write()
        } else if !values.isEmpty {
            let rows = values.map { name, value in
                (name, deviations[name].map { "\(value) ± \($0)" } ?? "\(value)")
            }
            try Output.write(Table(pairs: rows).rendered(.text))
        }
        for set in sets.map(\.source) {
            try options.strictness.judge(set.badImages, of: set.images ?? 0, in: set.name)
        }
    }

    /// Says so where there are too few images for what is computed of them.
    func warnOfFewImages(dimensions: Int) {
        for set in sets {
            guard let images = set.source.images, images <= dimensions else { continue }
            Output.warning(
                "\(set.source.name): \(images) images for \(dimensions) dimensions: their covariance is singular, and "
                    + "the distance is larger than that of more images")
        }
    }
}

/// The JSON of a metric.
private struct MetricReport: Encodable {
    let results: [String: Double]
    let deviations: [String: Double]?
    /// The reference first, where there is one.
    let sets: [MetricSet.Source]
    /// `nil` where files brought all features.
    let network: FeatureExtractor.Record?
}

struct FrechetCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "fid", abstract: "Fréchet distance of pooled features (FID).", discussion: MetricOptions.sets)

    static let examples = [
        "zoo metrics fid digits-train digits --features ravlt-nano",
        "zoo generate lit-nano --count 20 --steps 20 --output-dir drawn && "
            + "zoo metrics fid digits drawn --features ravlt-nano --json",
    ]

    @Argument(help: "The reference.") var reference: String
    @Argument(help: "The generated images.") var samples: String
    @OptionGroup var options: MetricOptions

    func run() throws {
        let session = try options.collect([(reference, .pooledStatistics), (samples, .pooledStatistics)])
        let (a, b) = (try session.sets[0].statistics(.pooled), try session.sets[1].statistics(.pooled))
        session.warnOfFewImages(dimensions: a.dimensions)
        let name = session.name("FID", "FD", dimensions: a.dimensions, of: InceptionNetwork.featureWidth)
        try session.finish("metrics fid", [(name, frechetDistance(a, b))])
    }
}

struct SpatialFrechetCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "sfid", abstract: "Fréchet distance of spatial features (sFID).", discussion: MetricOptions.sets)

    static let examples = [
        "zoo generate lit-nano --count 3 --steps 5 --output-dir drawn && "
            + "zoo metrics sfid drawn drawn --weights seeded:1",
        "zoo generate dit-nano --count 3 --steps 5 --output-dir drawn && "
            + "zoo metrics sfid drawn drawn --weights seeded:1 --json",
    ]

    @Argument(help: "The reference.") var reference: String
    @Argument(help: "The generated images.") var samples: String
    @OptionGroup var options: MetricOptions

    func run() throws {
        let session = try options.collect([(reference, .spatialStatistics), (samples, .spatialStatistics)])
        let (a, b) = (try session.sets[0].statistics(.spatial), try session.sets[1].statistics(.spatial))
        session.warnOfFewImages(dimensions: a.dimensions)
        let name = session.name("sFID", "sFD", dimensions: a.dimensions, of: InceptionNetwork.spatialWidth)
        try session.finish("metrics sfid", [(name, frechetDistance(a, b))])
    }
}

struct InceptionScoreCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "is", abstract: "Inception score.",
        discussion: """
            As the ADM evaluator computes it: logits without bias, consecutive splits of 5000 images. \
            --splits 10 --shuffle is torch-fidelity's way. \(MetricOptions.sets)
            """)

    static let examples = [
        "zoo metrics is digits --features ravlt-nano",
        "zoo metrics is digits --features ravlt-nano --splits 10 --shuffle --json",
    ]

    @Argument(help: "The generated images.") var samples: String
    @Option(help: "Equal parts instead of chunks of 5000 images.") var splits: Int?
    @Flag(help: "Shuffle before the parts are made, by numpy's RandomState(2020).") var shuffle = false
    @OptionGroup var options: MetricOptions

    func run() throws {
        guard splits != nil || !shuffle else { throw ZooError(.usage, "needs --splits", at: "--shuffle") }
        try require(splits ?? 1, atLeast: 1, "--splits")
        let session = try options.collect([(samples, .logits)])
        let logits = try session.sets[0].features(.logits)
        let rule = splits.map { InceptionSplits.parts($0, shuffleSeed: shuffle ? 2020 : nil) } ?? .adm
        let score = try InceptionScore(logits: logits, splits: rule)
        let name = session.name("IS", "IS", dimensions: logits.dimensions, of: InceptionNetwork.classes)
        try session.finish(
            "metrics is", [(name, score.mean)], deviations: splits == nil ? [:] : [name: score.deviation])
    }
}

struct KernelDistanceCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "kid", abstract: "Kernel distance of pooled features (KID).",
        discussion: "Mean and deviation over random subsets, as in torch-fidelity. \(MetricOptions.sets)")

    static let examples = [
        "zoo metrics kid digits-train digits --features ravlt-nano --subset-size 100",
        "zoo metrics kid digits-train digits --features ravlt-nano --subsets 10 --subset-size 360 --json",
    ]

    @Argument(help: "The reference.") var reference: String
    @Argument(help: "The generated images.") var samples: String
    @Option(help: "Random subsets.") var subsets = 100
    @Option(help: "Images of each set in a subset.") var subsetSize = 1000
    @OptionGroup var options: MetricOptions

    func run() throws {
        try require(subsets, atLeast: 1, "--subsets")
        try require(subsetSize, atLeast: 2, "--subset-size")
        let session = try options.collect([(reference, .pooledFeatures), (samples, .pooledFeatures)])
        let (a, b) = (try session.sets[0].features(.pooled), try session.sets[1].features(.pooled))
        let distance = try KernelDistance(reference: a, samples: b, subsets: subsets, subsetSize: subsetSize)
        let name = session.name("KID", "KD", dimensions: a.dimensions, of: InceptionNetwork.featureWidth)
        try session.finish("metrics kid", [(name, distance.mean)], deviations: [name: distance.deviation])
    }
}

struct PrecisionRecallCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "prc", abstract: "Precision and recall of pooled features.", discussion: MetricOptions.sets,
        aliases: ["pr"])

    static let examples = [
        "zoo metrics prc digits-train digits --features ravlt-nano",
        "zoo metrics prc digits digits-train --features ravlt-nano --neighbours 5 --json",
    ]

    @Argument(help: "The reference.") var reference: String
    @Argument(help: "The generated images.") var samples: String
    @Option(help: "The neighbour whose distance is an image's radius.") var neighbours = 3
    @OptionGroup var options: MetricOptions

    func run() throws {
        try require(neighbours, atLeast: 1, "--neighbours")
        let session = try options.collect([(reference, .pooledFeatures), (samples, .pooledFeatures)])
        let found = try PrecisionRecall(
            reference: session.sets[0].features(.pooled), samples: session.sets[1].features(.pooled),
            neighbours: neighbours)
        try session.finish(
            "metrics prc", [("precision", found.precision), ("recall", found.recall), ("f_score", found.fScore)])
    }
}

struct StatisticsCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Write the statistics of a set as a reference file.",
        discussion: """
            Writes mu, sigma, mu_s and sigma_s, or with --pooled-only mu and sigma alone, as pytorch-fid does: what zoo \
            metrics fid and sfid need. The ADM evaluator and precision and recall also need images: with --images they \
            are stored as arr_0, bytes (N, H, W, 3), as in ADM's own references, which have 10000. \(MetricOptions.sets)
            """)

    static let examples = [
        "zoo metrics stats digits-train --features ravlt-nano --pooled-only --output digits.npz",
        "zoo generate lit-nano --count 20 --steps 20 --output-dir drawn && "
            + "zoo metrics stats drawn --features ravlt-nano --pooled-only --images 20 --output drawn.npz",
    ]

    @Argument(help: "The set.") var set: String
    @Option(help: "The .npz file to write.", completion: .file(extensions: ["npz"])) var output: String
    @Flag(help: "Without the statistics of sFID.") var pooledOnly = false
    @Option(help: "Also store so many images of one size, spread evenly over the set.") var images: Int?
    @OptionGroup var options: MetricOptions

    func run() throws {
        try Output.check(files: output, options.report.outputFile)
        let needs: MetricSet.Needs = pooledOnly ? .pooledStatistics : [.pooledStatistics, .spatialStatistics]
        let input = try options.open(set)
        let session = MetricSession(options)
        try NumpyWriter.write(to: output) { writer in
            // First, because images may not fit together and features take hours.
            if let images { try store(images, of: input, in: &writer) }
            try session.add([(input, needs)])
            func add(_ kind: FeatureKind, _ mean: String, _ covariance: String) throws {
                let statistics = try session.sets[0].statistics(kind)
                let size = statistics.dimensions
                try writer.add(mean, shape: [size], statistics.mean)
                try writer.add(covariance, shape: [size, size], statistics.covariance)
            }
            try add(.pooled, "mu", "sigma")
            if !pooledOnly { try add(.spatial, "mu_s", "sigma_s") }
        }
        try session.finish("metrics stats", [])
    }

    private func store(_ count: Int, of input: MetricInput, in archive: inout NumpyWriter) throws {
        let progress = ProgressReporter(unit: "images stored", isQuiet: options.report.quiet)
        defer { progress.finish() }
        try input.addImages(count, to: &archive) { progress.update(done: $0, total: $1) }
    }
}

/// - Throws: `ZooError` of kind `usage` that names the option.
private func require(_ value: Int, atLeast least: Int, _ option: String) throws(ZooError) {
    guard value >= least else {
        throw ZooError(.usage, "too small a number", at: option, expected: "at least \(least)", found: "\(value)")
    }
}

extension FeatureExtractor.Choice: ExpressibleByArgument {}
extension FeatureResizing: ExpressibleByArgument {}
