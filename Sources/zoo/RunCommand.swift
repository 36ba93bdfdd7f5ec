import ArgumentParser
import ZooCore
import ZooEval
import ZooIO
import ZooModels
import ZooNN

/// `zoo run`: tensors in, tensors out.
struct RunCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a model on tensors from a file.",
        discussion: """
            Reads `input` (B, 3, H, W) from a safetensors file, uses it as it is, and writes `logits` (B, K) and \
            `pre_logits` (B, P); with --intermediates also `out0`, `out1`, ... (B, C, H, W), the map of each stage \
            before its downsampling. A configuration without `projection` and `num_classes` describes a \
            dense-prediction backbone, which writes the maps only.

            A diffusion model reads samples `x` (B, C, H, W), timesteps `t` (B) and classes `y` (B), or for captions \
            `caption` (B, T, C) and `mask` (B, T), and writes `output` (B, 2C, H, W).

            An autoencoder decodes `latent` (B, 4, h, w) to `image` and encodes `image` (B, 3, H, W) to `moments`, \
            means and logarithms of variances; with `noise` (B, 4, H/8, W/8) it draws `sample` from them. fid-inception reads `images` (B, 3, H, W) in 0...255 and writes `pool3`, `spatial`, `logits` and \
            `logits_unbiased`.
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

    @Option(help: "Safetensors file with the inputs.", completion: .file(extensions: ["safetensors"]))
    var input: String

    @Option(help: "Safetensors file to write.", completion: .file(extensions: ["safetensors"]))
    var output: String

    @Option(help: "JSON file that replaces the hyper-parameters.", completion: .file(extensions: ["json"]))
    var config: String?

    @Flag(help: "Write the map of every stage too.")
    var intermediates = false

    @Option(help: "Images per pass; does not change results.")
    var batchSize = 8

    @Option(help: "For autoencoders: decode in tiles of so many latent pixels, which bounds the memory.")
    var tile: Int?

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
        if tile != nil, card.task != .autoencode {
            throw ZooError(.usage, "\(card.name) is no autoencoder", at: "--tile")
        }
        if card.task == .generate { return try runDenoiser(card, source, configuration, file, on: runtime) }
        if card.task == .autoencode { return try runAutoencoder(card, source, configuration, file, on: runtime) }
        if card.task == .features { return try runInception(card, source, configuration, file, on: runtime) }
        let network = try load(card, source, configuration)
        let images = try file.images("input", channels: network.inputChannels)
        try Output.check(file: output)
        precision.announce(on: runtime.instructionSet)
        let pass = try blaming("input") {
            try ForwardPass(network, images, batchSize: batchSize, intermediates: intermediates, on: runtime)
        }
        try write(pass.named, card, source)
    }

    func write(
        _ tensors: [(name: String, tensor: Tensor)], _ card: ModelCard, _ source: any TensorSource
    ) throws {
        var writer = SafetensorsWriter(metadata: [
            "model": card.name, "weights": source.name, "precision": precision.precision.rawValue,
        ])
        for (name, tensor) in tensors { writer.add(name, tensor) }
        try writer.write(to: output)
    }

    /// One answer of a diffusion model's network.
    private func runDenoiser(
        _ card: ModelCard, _ source: any TensorSource, _ configuration: ConfigurationFile?, _ file: SafetensorsFile,
        on runtime: Runtime
    ) throws {
        if intermediates { throw ZooError(.usage, "\(card.name) has no stages", at: "--intermediates") }
        let network = try naming(configuration) {
            try Registry.loadDenoiser(
                card, from: source, hyperparameters: configuration?.hyperparameters, precision: precision.precision)
        }
        let samples = try file.images("x", channels: network.channels)
        let batch = samples.shape[0]
        let isInteger = file.info("t").map { !$0.dtype.isFloatingPoint } ?? false
        let timesteps =
            isInteger ? try file.integers("t", count: batch).map { Float($0) } : try file.realTensor("t").values
        let condition: Condition =
            switch network.conditioning {
            case .labels: .labels(try file.integers("y", count: batch))
            case .captions(let tokens, let channels):
                .captions(try file.captions(tokens: tokens, channels: channels))
            }
        guard timesteps.count == batch, condition.count == batch else {
            throw ZooError(
                .badData, "samples, timesteps and conditions differ in number", file: file.name,
                expected: "\(batch) of each", found: "\(timesteps.count) timesteps, \(condition.count) conditions")
        }
        try Output.check(file: output)
        precision.announce(on: runtime.instructionSet)
        var parts: [Float] = []
        var shape: [Int] = []
        for first in stride(from: 0, to: batch, by: batchSize) {
            let numbers = Array(first..<min(first + batchSize, batch))
            let size = samples.count / batch
            let own = Tensor(
                shape: [numbers.count] + samples.shape.dropFirst(),
                values: Array(samples.values[first * size..<(first + numbers.count) * size]))
            let answer = try blaming("x, t and y") {
                try network(
                    own, timesteps: numbers.map { timesteps[$0] }, condition: condition.selecting(numbers), on: runtime)
            }
            parts += answer.values
            shape = [batch] + answer.shape.dropFirst()
        }
        try write([("output", Tensor(shape: shape, values: parts))], card, source)
    }

    /// Names the configuration file in what goes wrong with it.
    func naming<R>(_ configuration: ConfigurationFile?, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as ZooError {
            throw configuration.map { error.naming(file: $0.path) } ?? error
        }
    }

    /// What a network can't take, none of which the user gave but in the file.
    ///
    /// - Parameter tensor: of the file.
    func blaming<R>(_ tensor: String, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch let error as ZooError where error.kind == .usage && error.location == nil {
            throw ZooError(
                .badData, error.problem, file: input, at: tensor, expected: error.expected, found: error.found,
                hint: error.hint)
        }
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
        return try naming(configuration) {
            try Registry.load(card, from: source, hyperparameters: hyperparameters, precision: precision.precision)
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
