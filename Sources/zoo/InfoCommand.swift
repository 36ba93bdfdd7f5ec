import ArgumentParser
import Foundation
import ZooCore
import ZooEval
import ZooModels
import ZooNN

/// `zoo info`: one model's card.
struct InfoCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Show a model's card: size, cost, preprocessing, paper, checkpoint.")

    static let examples = ["zoo info ravlt-t", "zoo info mavit-nano --tensors --json"]

    @Argument(help: "The model's name; see zoo list.", completion: .models)
    var model: String

    @Flag(help: "Also list every checkpoint tensor with its shape.")
    var tensors = false

    @Flag(help: "Print one JSON object.")
    var json = false

    /// What `--json` prints.
    private struct Content: Encodable {
        struct Entry: Encodable {
            let name: String
            let shape: [Int]
        }

        let card: ModelCard
        let weights: WeightsState
        let tensors: [Entry]?
    }

    func run() throws {
        let card = try Registry.card(named: model)
        let resolver = WeightsResolver()
        let entries =
            tensors ? try Registry.tensors(of: card).map { Content.Entry(name: $0.name, shape: $0.shape) } : nil
        let content = Content(card: card, weights: WeightsState(card, resolver), tensors: entries)
        if json {
            try JSONReport(command: "info", content: content).write()
            return
        }
        var text = describe(card, content.weights, resolver)
        if let entries {
            var table = Table([.init("TENSOR", .left), .init("SHAPE", .left)])
            for entry in entries { table.append([entry.name, "\(entry.shape)"]) }
            text += "\n\(table.rendered(.text))\n\(entries.count) tensors\n"
        }
        try Output.write(text)
    }

    private func describe(_ card: ModelCard, _ weights: WeightsState, _ resolver: WeightsResolver) -> String {
        let preprocessing = card.preprocessing
        func list(_ values: [Double]) -> String { values.map { "\($0)" }.joined(separator: ", ") }
        var pairs: [(String, String)] = [
            ("model", card.name),
            ("aliases", card.aliases.joined(separator: ", ")),
            ("family", card.family),
            ("task", card.task.rawValue),
            ("parameters", "\(card.parameters)"),
            ("GMACs", "\(card.gmacs) + \(card.attentionGmacs) in the attention cores"),
            ("input", "\(preprocessing.inputHeight)x\(preprocessing.inputWidth)"),
            (
                "preprocessing",
                "\(preprocessing.interpolation.rawValue), crop \(preprocessing.cropMode.rawValue) \(preprocessing.cropPct)"
            ),
            ("mean, std", "\(list(preprocessing.mean)); \(list(preprocessing.std))"),
            ("classes", "\(card.classes) (\(card.labels))"),
            ("top-1", card.publishedTop1.map { "\($0) % published" } ?? "none published"),
            ("paper", card.paper),
            ("code", card.code),
            ("weights", weights.text),
        ]
        if weights.status == .notFound { pairs.append(("", resolver.advice(for: card))) }
        return Table(pairs: pairs.filter { !$0.1.isEmpty }).rendered(.text)
    }
}
