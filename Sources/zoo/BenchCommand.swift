import ArgumentParser

/// `zoo bench`: how fast is it here?
struct BenchCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure models and kernels, and compare two measurements.",
        subcommands: [BenchModelCommand.self, BenchKernelCommand.self, BenchCompareCommand.self])

    static let examples = [BenchModelCommand.examples[0], BenchKernelCommand.examples[0]]
}
