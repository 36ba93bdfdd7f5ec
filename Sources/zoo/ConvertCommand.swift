import ArgumentParser
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// `zoo convert`: any checkpoint to safetensors.
struct ConvertCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Write a checkpoint as safetensors, in another precision if wanted.",
        discussion: """
            Containers and prefixes are unwrapped. With --model the checkpoint must fit the model, and what the model \
            does not read (recomputed buffers, counters) is left out.
            """)

    static let examples = [
        "zoo convert embedded:ravlt-nano nano.safetensors --model ravlt-nano",
        "zoo convert embedded:mavit-nano nano-bf16.safetensors --precision bf16",
    ]

    /// The precision of floating-point tensors on disk.
    enum Precision: String, ExpressibleByArgument, CaseIterable {
        case fp32, bf16, fp16

        var dtype: DType {
            switch self {
            case .fp32: .float32
            case .bf16: .bfloat16
            case .fp16: .float16
            }
        }
    }

    @Argument(help: "\(CheckpointArgument.help)", completion: .file())
    var input: String

    @Argument(help: "Safetensors file to write.", completion: .file(extensions: ["safetensors"]))
    var output: String

    @Option(help: "Check that the checkpoint fits this model.", completion: .models)
    var model: String?

    @Option(help: "fp32, bf16 or fp16, rounded to nearest even; default: each tensor as it is.")
    var precision: Precision?

    @Option(help: "Which state dictionary of the file to take.")
    var weightsKey: String?

    func run() throws {
        try Output.check(output, endsIn: [".safetensors"], at: "output")
        let card = try model.map { (name) throws(ZooError) in try Registry.card(named: name) }
        let checkpoint = try CheckpointArgument.open(input, key: weightsKey)
        var metadata = checkpoint.metadata
        var tensors = checkpoint.names
        if let card {
            _ = try Registry.network(card, from: checkpoint)
            let known = Set(try Registry.tensors(of: card).map(\.name))
            tensors.removeAll { !known.contains($0) }
            metadata["model"] = card.name
        }
        try checkpoint.convert(to: output, dtype: precision?.dtype, tensors: tensors, metadata: metadata)
        try Output.write("\(output): \(tensors.count) tensors\n")
    }
}
