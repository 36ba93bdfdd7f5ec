import ZooCore
import ZooEval
import ZooIO
import ZooModels

/// A checkpoint on the command line: a file, or `embedded:MODEL` for one that ships with the program.
enum CheckpointArgument {
    static let help = "Safetensors file, index of shards, PyTorch .pth, or embedded:MODEL for one that ships with zoo."

    private static let scheme = "embedded:"

    /// - Throws: `ZooError`: no such file or model, or what the parsers throw.
    static func open(_ argument: String, key: String?) throws -> Checkpoint {
        guard argument.hasPrefix(scheme) else { return try Checkpoint.open(path: argument, key: key) }
        let card = try Registry.card(named: String(argument.dropFirst(scheme.count)))
        guard let bytes = Registry.embeddedCheckpoint(of: card) else {
            throw ZooError(
                .missingInput, "no checkpoint of \(card.name) ships with zoo", file: argument,
                hint: WeightsResolver().advice(for: card))
        }
        return try Checkpoint.open(ByteRegion(program: bytes, name: argument), key: key)
    }
}
