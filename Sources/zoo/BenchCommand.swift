import ArgumentParser

/// `zoo bench`: how fast is it here?
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure models and kernels, and compare two measurements.",
        subcommands: [BenchModelCommand.self, BenchKernelCommand.self, BenchCompareCommand.self])
}
