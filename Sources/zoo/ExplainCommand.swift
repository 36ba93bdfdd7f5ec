import ArgumentParser
import ZooCore
import ZooEval
import ZooIO
import ZooImage
import ZooModels
import ZooNN

/// `zoo explain`: what an attention operator looks at.
struct ExplainCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Draw what the attention of a block looks at in an image.",
        discussion: """
            The effective attention of any classifier's operator, softmax or linear: the weight that a token's query gives to every \
            token, found by sending unit values through the block's own queries and keys, without local term and gate. \
            A .png shows the mean over the heads and every head as heat maps, with the relative entropy h (1: all \
            tokens weigh the same) and the largest weight. A .safetensors holds `attention` (1 + heads, rows, columns) \
            with the mean first, and the block's `q`, `k`, `v` and `grid`, as zoo op takes them.

            --operator puts another operator on the same queries and keys, --query-scale makes the queries longer: an \
            operator that neglects magnitudes answers both the same.
            """)

    static let examples = [
        "zoo explain mavit-nano sample:digits/3/1460.png --block 0 --output mala.png",
        "zoo explain mavit-nano sample:digits/3/1460.png --block 0 --operator softmax --json",
    ]

    @Argument(help: "The model's name; see zoo list.", completion: .models)
    var model: String

    @Argument(help: "\(ImageArgument.help)", completion: .file())
    var image: String

    @Option(help: "Where to write: OUT.png or OUT.safetensors.", completion: .file())
    var output: String?

    @Option(help: "The attention block, counted from 0 (default: the last one with more than one token).")
    var block: Int?

    @Option(help: ArgumentHelp("Whose query: ROW,COLUMN, class, or mean (default: the centre).", valueName: "token"))
    var token: String?

    @Option(help: "Show one head only.")
    var head: Int?

    @Option(name: .customLong("operator"), help: "Another operator on the block's queries and keys.")
    var replacement: String?

    @Option(help: "Multiply the queries.")
    var queryScale: Float = 1

    @OptionGroup var weights: WeightsOptions
    @OptionGroup var preprocessing: PreprocessingOptions
    @OptionGroup var compute: ComputeOptions

    @Flag(help: "Print the numbers of every head as one JSON object.")
    var json = false

    /// What `--json` prints.
    private struct Content: Encodable {
        let model: ModelCard
        let weights: WeightsRecord
        let image: String
        let preprocessing: Preprocessing
        let environment: Environment
        let results: Results
    }

    private struct Results: Encodable {
        let trained: Bool
        let blocks: [String]
        let block: Int
        let `operator`: String
        let queryScale: Float
        let grid: [Int]
        let hasClassToken: Bool
        let query: String
        let mean: Explanation.Head
        let heads: [Explanation.Head]
    }

    func run() throws {
        let request = try request()
        try Output.check(output, endsIn: [".png", ".safetensors"], at: "--output")
        guard output != nil || json else { throw ZooError(.usage, "nothing to do", hint: "give --output or --json") }
        try Output.check(file: output)
        let card = try Registry.card(named: model)
        let runtime = try compute.runtime()
        let weights = try self.weights.resolve(card)
        let settings = try preprocessing.apply(to: card.preprocessing)
        let preprocessor = try Preprocessor(settings)
        let (seen, picture) = try crops(settings, preprocessor)
        let network = try Registry.load(card, from: weights.source)
        if !weights.isTrained { Output.warning("untrained weights: what they look at is meaningless") }
        let explanation = try Explanation(request, network, seen, preprocessor, on: runtime)
        if let head, !explanation.heads.indices.contains(head) {
            throw ZooError(
                .usage, "no such head", at: "--head", expected: "0...\(explanation.heads.count - 1)", found: "\(head)")
        }
        if let output { try write(explanation, card, weights, picture, to: output) }
        if json {
            let results = Results(
                trained: weights.isTrained, blocks: explanation.blocks, block: explanation.block,
                operator: explanation.operator, queryScale: queryScale,
                grid: [explanation.gridHeight, explanation.gridWidth], hasClassToken: explanation.hasClassToken,
                query: queryText(explanation), mean: explanation.mean, heads: explanation.heads)
            let content = Content(
                model: card, weights: weights.record(), image: image, preprocessing: settings,
                environment: .current.running(on: runtime, libraries: ImageLibraries.versions), results: results)
            try JSONReport(command: "explain", content: content).write()
        } else {
            try Output.write(text(explanation))
        }
    }

    private func request() throws(ZooError) -> Explanation.Request {
        guard queryScale.isFinite, queryScale != 0 else {
            throw ZooError(.usage, "not a factor", at: "--query-scale", expected: "a finite number other than 0")
        }
        var request = Explanation.Request()
        request.block = block
        request.operator = replacement
        request.queryScale = queryScale
        switch token {
        case nil: break
        case "class": request.query = .classToken
        case "mean": request.query = .mean
        case let text?:
            let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 2, let row = parts[0], let column = parts[1] else {
                throw ZooError(
                    .usage, "not a token", at: "--token", expected: "ROW,COLUMN, class or mean", found: text)
            }
            request.query = .token(row: row, column: column)
        }
        return request
    }

    /// What the model sees, and the same part of the image at the resolution of a picture.
    private func crops(_ settings: Preprocessing, _ preprocessor: Preprocessor) throws -> (RGBImage, RGBImage) {
        let limits = ResourceLimits()
        return try ImageArgument.withBytes(of: image, limits: limits) { bytes in
            let seen = try preprocessor.crop(decoding: bytes, limits: limits)
            if case .warned(let problem) = seen.status { Output.warning(problem.naming(file: image).description) }
            guard settings.cropMode != .none else { return (seen.image, seen.image) }
            var fine = settings
            let factor = max(1, 320 / max(settings.inputHeight, settings.inputWidth))
            (fine.inputHeight, fine.inputWidth) = (factor * settings.inputHeight, factor * settings.inputWidth)
            return (seen.image, try Preprocessor(fine).crop(decoding: bytes, limits: limits).image)
        }
    }

    private func queryText(_ explanation: Explanation) -> String {
        if let token = explanation.token { return "token \(token[0]),\(token[1])" }
        return explanation.query == .mean ? "mean of all queries" : "class token"
    }

    private func write(
        _ explanation: Explanation, _ card: ModelCard, _ weights: ResolvedWeights, _ picture: RGBImage,
        to output: String
    ) throws {
        let changes =
            (replacement == nil ? "" : " instead of the block's own")
            + (queryScale == 1 ? "" : ", queries times \(queryScale)")
        let title =
            "\(card.name) block \(explanation.block) of \(explanation.blocks.count): \(explanation.operator)\(changes), "
            + "\(explanation.gridHeight)x\(explanation.gridWidth) tokens, \(explanation.heads.count) head\(explanation.heads.count == 1 ? "" : "s")"
            + (weights.isTrained ? "" : ", untrained")
        guard output.lowercased().hasSuffix(".safetensors") else {
            let drawn = try explanation.picture(of: picture, title: title, head: head)
            let entries = [
                ImageEncoder.Text("Title", title), ImageEncoder.Text("Software", "zoo \(Environment.version)"),
                ImageEncoder.Text("Source", image), ImageEncoder.Text("Comment", CommandLineText.current),
                ImageEncoder.Text("Weights", weights.record().sha256 ?? weights.source.name),
                ImageEncoder.Text("Query", queryText(explanation)),
            ]
            let png = try ImageEncoder.png(drawn, text: entries)
            return try AtomicFile.write(to: output) { try $0.write(png) }
        }
        var writer = SafetensorsWriter(metadata: ["title": title, "image": image, "query": queryText(explanation)])
        let (height, width) = (explanation.gridHeight, explanation.gridWidth)
        writer.add(
            "attention",
            Tensor(
                shape: [explanation.maps.count, explanation.keyHeight, explanation.keyWidth],
                values: explanation.maps.flatMap(\.self)))
        writer.add("q", explanation.queries)
        writer.add("k", explanation.keys)
        writer.add("v", explanation.values)
        if explanation.hasRotation { writer.add("grid", shape: [2], [Int64(height), Int64(width)]) }
        try writer.write(to: output)
    }

    private func text(_ explanation: Explanation) -> String {
        var table = Table(
            [.init("HEAD", .left)]
                + ["ENTROPY", "RELATIVE", "NEGATIVE", "ROW SUM", "PEAK", "AT"].map { .init($0) }
                + ["MEAN ENTROPY", "ROW SUMS"].map { .init($0) })
        for head in (explanation.heads.count > 1 ? [explanation.mean] : []) + explanation.heads {
            table.append([
                head.head.map(String.init) ?? "mean", fixed(head.entropy, 3), fixed(head.relativeEntropy, 3),
                "\(fixed(100 * head.negativeShare, 1)) %", fixed(head.rowSum, 4), fixed(head.peak.weight, 5),
                head.peak.token.map { "\($0[0]),\($0[1])" } ?? "class", fixed(head.meanEntropy, 3),
                "\(fixed(head.rowSums[0], 4))...\(fixed(head.rowSums[1], 4))",
            ])
        }
        return "block \(explanation.block) of \(explanation.blocks.count): \(explanation.operator), "
            + "\(explanation.gridHeight)x\(explanation.gridWidth) tokens, \(queryText(explanation))\n\n"
            + table.rendered(.text)
    }
}
