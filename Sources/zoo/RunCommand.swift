import ArgumentParser
import ZooCore
import ZooEval
import ZooIO
import ZooModels
import ZooNN

/// `zoo run`: tensors in, tensors out.
struct RunCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a model on a tensor of images.",
        discussion: """
            Reads `input` (B, 3, H, W) from a safetensors file, uses it as it is, and writes `logits` (B, K) and \
            `pre_logits` (B, P); with --intermediates also `out0`, `out1`, ... (B, C, H, W), the map of each stage \
            before its downsampling. A configuration without `projection` and `num_classes` describes a \
            dense-prediction backbone, which writes the maps only.
            """)

    static let examples = [
        "zoo preprocess sample:digits/3/1460.png --model ravlt-nano --output digit.safetensors && "
            + "zoo run ravlt-nano --input digit.safetensors --output logits.safetensors",
        "zoo preprocess sample:chelsea.png --model mala-t --output cat.safetensors && "
            + "zoo run mala-t --weights seeded:1 --input cat.safetensors --output maps.safetensors --intermediates",
    ]

    @Argument(help: "The model's name; see zoo list.", completion: .models)
    var model: String

    @OptionGroup var weights: WeightsOptions

    @Option(help: "Safetensors file with the images.", completion: .file(extensions: ["safetensors"]))
    var input: String

    @Option(help: "Safetensors file to write.", completion: .file(extensions: ["safetensors"]))
    var output: String

    @Option(help: "JSON file that replaces the hyper-parameters.", completion: .file(extensions: ["json"]))
    var config: String?

    @Flag(help: "Write the map of every stage too.")
    var intermediates = false

    @Option(help: "Images per pass; does not change results.")
    var batchSize = 8

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var precision: PrecisionOptions

    func validate() throws {
        guard (1...4096).contains(batchSize) else { throw ValidationError("--batch-size must be in 1...4096") }
    }

    func run() throws {
        let card = try Registry.card(named: model)
        let runtime = try compute.runtime()
        let configuration = try config.map(ConfigurationFile.init)
        let file = try SafetensorsFile(path: input)
        let source = try weights.resolve(card).source
        let network = try load(card, source, configuration)
        let images = try file.images("input", channels: network.inputChannels)
        try Output.check(file: output)
        precision.announce(on: runtime.instructionSet)
        let pass = try ForwardPass(network, images, batchSize: batchSize, intermediates: intermediates, on: runtime)
        var writer = SafetensorsWriter(metadata: [
            "model": card.name, "weights": source.name, "precision": precision.precision.rawValue,
        ])
        for (name, tensor) in pass.named { writer.add(name, tensor) }
        try writer.write(to: output)
    }

    private func load(
        _ card: ModelCard, _ source: any TensorSource, _ configuration: ConfigurationFile?
    ) throws -> any ImageClassifier {
        var hyperparameters = configuration?.hyperparameters
        if configuration == nil, source.isDensePredictionBackbone {
            guard intermediates else {
                throw ZooError(
                    .badData, "checkpoint of a dense-prediction backbone has no logits", file: source.name,
                    hint: "add --intermediates to get its four maps")
            }
            Output.note(
                "\(source.name) is a dense-prediction backbone (extra_norms, no head): writing the normed stage maps only"
            )
            hyperparameters = Hyperparameters([:])
        }
        do {
            return try Registry.load(
                card, from: source, hyperparameters: hyperparameters, precision: precision.precision)
        } catch let error as ZooError {
            throw configuration.map { error.naming(file: $0.path) } ?? error
        }
    }
}

extension TensorSource {
    /// Whether this is the backbone of a detector or segmenter: norms on the stage maps and no classifier.
    fileprivate var isDensePredictionBackbone: Bool {
        guard let names = tensorNames else { return false }
        return names.contains { $0.hasPrefix("extra_norms.") } && !names.contains("head.weight")
    }
}
