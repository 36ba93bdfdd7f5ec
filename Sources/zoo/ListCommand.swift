import ArgumentParser
import Foundation
import ZooCore
import ZooEval
import ZooModels
import ZooNN

/// `zoo list`: the catalogue.
struct ListCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the models with size, cost, published accuracy and weights found.",
        discussion: "A PATTERN with * or ? matches whole names; without, it matches any part of a name.")

    static let examples = ["zoo list", "zoo list 'ravlt-?' --json"]

    @Argument(help: "Which models to list.", completion: .models)
    var pattern: String?

    @Option(help: "Only models for a task: classify, generate or detect.")
    var task: ModelTask?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let resolver = WeightsResolver()
        let cards = try matchingCards().filter { task == nil || $0.task == task }
            .sorted { ($0.family, $0.parameters, $0.name) < ($1.family, $1.parameters, $1.name) }
        let entries = cards.map { ModelListing(card: $0, weights: WeightsState($0, resolver)) }
        if json {
            try JSONReport(command: "list", content: ["models": entries]).write()
            return
        }
        var table = Table([
            .init("MODEL", .left), .init("PARAMS"), .init("GMACS"), .init("INPUT"), .init("TOP-1"),
            .init("WEIGHTS", .left), .init("PAPER", .left),
        ])
        for entry in entries {
            let card = entry.card
            table.append([
                card.name, Self.millions(card.parameters), Self.decimals(card.gmacs + card.attentionGmacs),
                "\(card.preprocessing.inputHeight)x\(card.preprocessing.inputWidth)",
                card.publishedTop1.map { String(format: "%.1f", $0) } ?? "-", entry.weights.text, card.paper,
            ])
        }
        try Output.write(table.rendered(.text))
    }

    private func matchingCards() throws(ZooError) -> [ModelCard] {
        guard let pattern else { return Registry.cards }
        let wanted = String(pattern.lowercased().map { $0 == "_" || $0 == "/" ? "-" : $0 })
        let hasWildcard = wanted.contains { "*?[".contains($0) }
        let found = Registry.cards.filter { card in
            ([card.name] + card.aliases).contains {
                hasWildcard ? fnmatch(wanted, $0.lowercased(), 0) == 0 : $0.lowercased().contains(wanted)
            }
        }
        guard found.isEmpty else { return found }
        throw ZooError(
            .usage, "no model matches '\(pattern)'",
            hint: Suggestion.hint(for: wanted, among: Registry.cards.map(\.name)))
    }

    private static func millions(_ count: Int) -> String { String(format: "%.2fM", Double(count) / 1e6) }

    /// Two decimals, more for the smallest models.
    private static func decimals(_ value: Double) -> String { String(format: value < 0.1 ? "%.4f" : "%.2f", value) }
}

extension ModelTask: ExpressibleByArgument {}

/// A model's card and where its weights are.
struct ModelListing: Encodable {
    let card: ModelCard
    let weights: WeightsState
}

/// Whether a model's weights are at hand.
struct WeightsState: Encodable {
    enum Status: String, Encodable {
        case embedded, file
        case notFound = "not found"
    }

    let status: Status
    /// The file in the user's folder.
    let path: String?

    init(_ card: ModelCard, _ resolver: WeightsResolver) {
        if Registry.embeddedCheckpoint(of: card) != nil {
            (status, path) = (.embedded, nil)
        } else if let found = resolver.find(card) {
            (status, path) = (.file, found)
        } else {
            (status, path) = (.notFound, nil)
        }
    }

    var text: String { path ?? status.rawValue }
}
