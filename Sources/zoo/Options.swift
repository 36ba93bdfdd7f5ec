import ArgumentParser
import ZooCore
import ZooEval
import ZooModels
import ZooNN

// Groups of flags that several commands share. Each turns its strings into the libraries' values, so that a wrong one
// is refused with the same words everywhere.

/// Which threads and kernels compute.
struct ComputeOptions: ParsableArguments {
    @Option(help: "Threads of the model (default: the usable physical cores).")
    var threads: Int?

    @Option(help: "Instruction set of the kernels: ref, portable, avx2, avx512 (default: the best).")
    var isa: String?

    /// - Throws: `ZooError` of kind `usage` or `unavailable`.
    func instructionSet() throws(ZooError) -> InstructionSet? {
        guard let isa else { return nil }
        return try InstructionSet(named: isa)
    }

    func runtime() throws(ZooError) -> Runtime {
        try Runtime(threads: threads, instructionSet: instructionSet())
    }
}

/// Which weights a model gets.
struct WeightsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A safetensors file, a PyTorch .pth or .pt file, an index of shards, or seeded:SEED[,SUFFIX=FACTOR...].",
            valueName: "file"))
    var weights: String?

    @Option(help: "Which state dictionary of the file to take, such as model_ema.")
    var weightsKey: String?

    func resolve(_ card: ModelCard, fallback: WeightsResolver.Fallback = .none) throws -> ResolvedWeights {
        try WeightsResolver().resolve(card, weights: weights, key: weightsKey, fallback: fallback)
    }
}

extension CompletionKind {
    static var models: CompletionKind { .list(Registry.cards.map(\.name)) }
}
