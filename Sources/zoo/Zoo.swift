import ArgumentParser
import Foundation
import ZooCore

/// The command line: parses, runs one command, and turns every error into one line and an exit code.
@main
struct Zoo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zoo",
        abstract: "Efficient-attention vision models on the CPU.",
        version: Environment.version,
        subcommands: [
            EvalCommand.self, CompareCommand.self, ReportCommand.self, GenerateCommand.self, MetricsCommand.self,
            PredictCommand.self, PreprocessCommand.self, DataCommand.self, ListCommand.self, InfoCommand.self,
            RunCommand.self,
            ExplainCommand.self, OperatorCommand.self, FeaturesCommand.self, ConvertCommand.self,
            InspectCommand.self, DoctorCommand.self, BenchCommand.self,
        ])

    static func main() {
        // A closed pipe is reported by write, where `Output` ends the program quietly.
        signal(SIGPIPE, SIG_IGN)
        // And so is a file that grows beyond the limit of the shell, where temporary files are removed.
        signal(SIGXFSZ, SIG_IGN)
        Interrupts.watch()
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            var command = try parseAsRoot(arguments)
            try command.run()
        } catch let error as ZooError {
            Output.error(error.description)
            Foundation.exit(error.kind.exitCode)
        } catch {
            Foundation.exit(finish(error, arguments))
        }
    }

    /// Prints what ArgumentParser has to say: help and version are results, the rest are errors.
    private static func finish(_ error: any Error, _ arguments: [String]) -> Int32 {
        let code = exitCode(for: error)
        guard code != .success else {
            let help = fullMessage(for: error)
            let examples = help.contains("USAGE:") ? Examples.text(for: arguments) : ""
            do {
                try Output.write(help + "\n" + examples)
            } catch {
                return ZooError.Kind.inputOutput.rawValue
            }
            return 0
        }
        guard code == .validationFailure else {
            Output.error("\(error)")
            return ZooError.Kind.internal.rawValue
        }
        let problem = message(for: error).split(separator: "\n").first.map(String.init) ?? "wrong usage"
        let path = (["zoo"] + Examples.commandPath(arguments).path).joined(separator: " ")
        Output.error("\(problem.hasSuffix(".") ? String(problem.dropLast()) : problem); see '\(path) --help'")
        return ZooError.Kind.usage.rawValue
    }
}
