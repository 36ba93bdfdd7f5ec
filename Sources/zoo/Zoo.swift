import ArgumentParser

@main
struct Zoo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "zoo", abstract: "Efficient-attention vision models on the CPU.")
}
