import ArgumentParser
import ZooCore
import ZooIO
import ZooImage
import ZooModels
import ZooNN

/// `zoo features`: what a model sees in images, as tensors.
struct FeaturesCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "features", abstract: "Write the pre-logits and stage maps of images.",
        discussion: """
            Images are preprocessed as the model's card says. The file holds `pre_logits` (B, P) and `out0`, `out1`, \
            ... (B, C, H, W), one row per image in the order given; the metadata `image.0`, `image.1`, ... name them.
            """)

    static let examples = [
        "zoo features ravlt-nano sample:chelsea.png sample:china.jpg --output features.safetensors",
        "zoo features mavit-nano sample:chelsea.png --isa ref --output features.safetensors",
    ]

    @Argument(help: "The model's name; see zoo list.", completion: .models)
    var model: String

    @Argument(help: "\(ImageArgument.help)", completion: .file(extensions: ["jpg", "jpeg", "png"]))
    var images: [String]

    @OptionGroup var weights: WeightsOptions

    @Option(help: "Safetensors file to write.", completion: .file(extensions: ["safetensors"]))
    var output: String

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var precision: PrecisionOptions

    func run() throws {
        let card = try Registry.card(named: model)
        let runtime = try compute.runtime()
        try Output.check(file: output)
        let source = try weights.resolve(card).source
        let network = try Registry.load(card, from: source, precision: precision.precision)
        let pixels = try preprocessed(card.preprocessing)
        precision.announce(on: runtime.instructionSet)
        let pass = try ForwardPass(network, pixels, batchSize: 8, intermediates: true, on: runtime)
        var metadata = [
            "model": card.name, "weights": source.name, "precision": precision.precision.rawValue,
        ]
        for (index, image) in images.enumerated() { metadata["image.\(index)"] = image }
        var writer = SafetensorsWriter(metadata: metadata)
        for (name, tensor) in pass.named where name != "logits" { writer.add(name, tensor) }
        try writer.write(to: output)
    }

    /// The model's inputs (B, 3, H, W); says on stderr which images are damaged.
    private func preprocessed(_ preprocessing: Preprocessing) throws -> Tensor {
        let preprocessor = try Preprocessor(preprocessing)
        var pixels = Tensor(zeros: [images.count, preprocessing.inputHeight, preprocessing.inputWidth, 3])
        for (index, path) in images.enumerated() {
            let limits = ResourceLimits()
            let decoded = try ImageArgument.withBytes(of: path, limits: limits) {
                try preprocessor.crop(decoding: $0, limits: limits)
            }
            if case .warned(let problem) = decoded.status { Output.warning(problem.naming(file: path).description) }
            pixels.withUnsafeMutableValues { values in
                let first = index * preprocessor.inputCount
                preprocessor.normalize(
                    decoded.image,
                    into: UnsafeMutableBufferPointer(rebasing: values[first..<first + preprocessor.inputCount]))
            }
        }
        return pixels.channelsFirst()
    }
}
