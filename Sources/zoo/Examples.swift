import ArgumentParser

/// A command whose help ends in examples that run as printed.
protocol Exemplified: ParsableCommand {
    /// Command lines, each beginning with `zoo`.
    static var examples: [String] { get }
}

enum Examples {
    /// The end of the help that `arguments` ask for; empty for a command without examples of its own.
    static func text(for arguments: [String]) -> String {
        guard let command = commandPath(arguments).command as? any Exemplified.Type else { return "" }
        return "\nEXAMPLES:\n" + command.examples.map { "  \($0)\n" }.joined()
    }

    /// The command that `arguments` name, and the words that led there.
    static func commandPath(_ arguments: [String]) -> (command: any ParsableCommand.Type, path: [String]) {
        var command: any ParsableCommand.Type = Zoo.self
        var path: [String] = []
        for word in arguments.drop(while: { $0 == "help" }) {
            guard let next = command.configuration.subcommands.first(where: { $0._commandName == word }) else { break }
            command = next
            path.append(word)
        }
        return (command, path)
    }
}
