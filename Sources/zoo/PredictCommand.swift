import ArgumentParser
import ZooCore
import ZooEval
import ZooImage
import ZooModels
import ZooNN

struct PredictCommand: Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "predict", abstract: "Name what images show.")

    static let examples = [
        "zoo predict ravlt-nano sample:digits/3/1460.png",
        "zoo predict ravlt-t sample:chelsea.png sample:coffee.jpg --weights seeded:1 --top-k 3 --json",
    ]

    @Argument(help: "The model, such as ravlt-t.", completion: .models)
    var model: String

    @Argument(help: "\(ImageArgument.help)", completion: .file())
    var images: [String]

    @OptionGroup var weights: WeightsOptions
    @OptionGroup var preprocessing: PreprocessingOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var precision: PrecisionOptions

    @Option(help: "Classes to name for each image.")
    var topK = 5

    @Flag(help: "Print the result as one JSON object.")
    var json = false

    /// What `--json` prints.
    private struct Content: Encodable {
        let model: ModelCard
        let weights: WeightsRecord
        let preprocessing: Preprocessing
        let environment: Environment
        let results: Results
    }

    private struct Results: Encodable {
        let trained: Bool
        let images: [ImageResult]
    }

    private struct ImageResult: Encodable {
        let image: String
        let status: DecodingStatus
        let problem: String?
        let predictions: [Predictor.Proposal]
    }

    func run() throws {
        let card = try Registry.card(named: model)
        try Registry.require(.classify, of: card)
        guard (1...card.classes).contains(topK) else {
            throw ZooError(
                .usage, "out of range", at: "--top-k", expected: "1...\(card.classes)", found: "\(topK)")
        }
        let weights = try self.weights.resolve(card)
        let runtime = try compute.runtime()
        let predictor = try Predictor(
            card: card, weights: weights, preprocessing: preprocessing.apply(to: card.preprocessing),
            precision: precision.precision, runtime: runtime)
        precision.announce(on: runtime.instructionSet)
        if !weights.isTrained { Output.warning("untrained weights: the predictions are meaningless") }
        var firstError: ZooError?
        let results = images.map { image in
            let result = predict(image, with: predictor)
            firstError = firstError ?? result.error
            return result.value
        }
        if json {
            let content = Content(
                model: card, weights: weights.record(),
                preprocessing: predictor.preprocessing,
                environment: .current.running(
                    on: runtime, precision: precision.precision, decodeThreads: 1,
                    libraries: ImageLibraries.versions),
                results: Results(trained: weights.isTrained, images: results))
            try JSONReport(command: "predict", content: content).write()
        } else {
            try Output.write(results.map(text).joined(separator: "\n"))
        }
        if let firstError { throw firstError }
    }

    /// Names one image. One that cannot be read is part of the result and an error in the end.
    private func predict(_ image: String, with predictor: Predictor) -> (value: ImageResult, error: ZooError?) {
        do {
            let limits = ResourceLimits()
            let (proposals, status) = try ImageArgument.withBytes(of: image, limits: limits) {
                try predictor.predict($0, count: topK, limits: limits)
            }
            guard case .warned(let warning) = status else {
                return (ImageResult(image: image, status: .ok, problem: nil, predictions: proposals), nil)
            }
            Output.warning("\(warning.naming(file: image))")
            return (
                ImageResult(image: image, status: .warned, problem: "\(warning)", predictions: proposals), nil
            )
        } catch {
            let error = error as? ZooError ?? ZooError(.internal, "\(error)", file: image)
            return (ImageResult(image: image, status: .failed, problem: "\(error)", predictions: []), error)
        }
    }

    private func text(_ result: ImageResult) -> String {
        var lines = [result.image]
        if let problem = result.problem { lines.append("  \(result.status.rawValue): \(problem)") }
        for (place, item) in result.predictions.enumerated() {
            let percent = fixed(100 * item.probability, 2)
            let padding = String(repeating: " ", count: max(0, 6 - percent.count))
            lines.append("  \(place + 1)  \(padding)\(percent) %  \(item.wnid.map { $0 + "  " } ?? "")\(item.name)")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
