import Foundation
import ZooCore
import ZooDatasets
import ZooEval
import ZooModels
import ZooNN

/// `zoo eval --all`: one process per model, one result file each, a leaderboard at the end.
struct EvalSeries {
    private let command: EvalCommand
    private let dataset: any ImageDataset
    private let dataName: String
    private let folder: String
    private let instructionSet: InstructionSet

    /// The models that have both weights and the dataset's classes, and those that do not.
    private struct Selection {
        var models: [(card: ModelCard, weights: ResolvedWeights)] = []
        /// Models whose weights are there and cannot be read.
        var failures: [Leaderboard.Failure] = []
        var withoutWeights: [ModelCard] = []
        var otherClasses: [ModelCard] = []
        /// Models without an accuracy.
        let otherTasks = Registry.cards.filter { $0.task != .classify }
    }

    /// What an earlier run with the same fingerprint has left of one model.
    private enum Earlier {
        case nothing
        /// A journal.
        case part
        case result(EvaluationReport)

        var isPart: Bool { if case .part = self { true } else { false } }
    }

    /// What became of one model.
    private enum Outcome {
        case finished(EvaluationReport)
        case failed(Leaderboard.Failure)
    }

    /// - Throws: `ZooError` if the command line makes no sense or the dataset cannot be opened.
    init(_ command: EvalCommand) throws {
        guard let data = command.data else {
            throw ZooError(.usage, "--all needs a dataset that all models are measured on", at: "--data")
        }
        if let weights = command.weights.weights, !weights.hasPrefix("seeded:") {
            throw ZooError(
                .usage, "one checkpoint does not fit all models", at: "--weights", expected: "seeded:SEED",
                found: weights, hint: "put checkpoints under \(ZooHome.current.weights)")
        }
        self.command = command
        dataName = data
        dataset = try command.source.open(data)
        instructionSet = try command.compute.runtime().instructionSet
        folder = try command.results ?? Self.defaultFolder(command, dataset)
    }

    private static func defaultFolder(_ command: EvalCommand, _ dataset: any ImageDataset) throws -> String {
        // Whatever changes a result, the models and their weights left out.
        let settings = [
            "dataset": dataset.fingerprint, "weights": command.weights.arguments.joined(separator: " "),
            "options": childOptions(command, data: "").joined(separator: " "),
        ]
        let name = dataset.name.split(separator: "/").last ?? "dataset"
        return "\(ZooHome.current.results)/\(name)-\(EvalCommand.shortDigest(of: settings))"
    }

    /// - Throws: the first failure after the leaderboard has been printed; `ZooError` of kind `interrupted`.
    func run() throws {
        let selection = try select()
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw ZooError(.cannotCreate, "the folder for the results cannot be made", file: folder)
        }
        command.remark(on: dataset, calledAs: dataName)
        remark(on: selection)
        var reports: [EvaluationReport] = []
        var failures = selection.failures
        for failure in failures { Output.warning("\(failure.model): \(failure.error)") }
        let interrupts = Interrupts()
        for (index, model) in selection.models.enumerated() {
            let place = "[\(index + 1)/\(selection.models.count)] \(model.card.name)"
            let earlier = command.resume ? try earlier(model.card, model.weights) : .nothing
            if case .result(let report) = earlier {
                command.report.note("\(place): done before, \(Self.summary(report))")
                reports.append(report)
                continue
            }
            command.report.note("\(place): \(model.weights.record().source)")
            switch try evaluate(model.card, resuming: earlier.isPart, interrupts) {
            case .finished(let report):
                command.report.note("\(place): \(Self.summary(report))")
                reports.append(report)
            case .failed where interrupts.isRequested: break
            case .failed(let failure):
                Output.warning("\(place): \(failure.error)")
                failures.append(failure)
            }
            if interrupts.isRequested {
                throw ZooError(
                    .interrupted, "interrupted after \(reports.count) of \(selection.models.count) models",
                    hint: "continue with: \(CommandLineText.resuming)")
            }
        }
        let board = Leaderboard(
            reports, failures: failures, withoutWeights: selection.withoutWeights.map(\.name),
            otherClasses: selection.otherClasses.map(\.name), otherTasks: selection.otherTasks.map(\.name),
            commandLine: CommandLineText.current)
        try write(board)
        try refuse(failures, of: selection.models.count + selection.failures.count)
    }

    private func select() throws -> Selection {
        var selection = Selection()
        for card in Registry.cards where card.task == .classify {
            do {
                _ = try LabelMap(from: dataset, to: card)
            } catch let error as ZooError where error.code == "eval.label-mismatch" {
                selection.otherClasses.append(card)
                continue
            }
            do {
                selection.models.append((card, try command.weights.resolve(card)))
            } catch let error as ZooError where error.code == "weights.not-found" {
                selection.withoutWeights.append(card)
            } catch let error as ZooError {
                selection.failures.append(
                    .init(model: card.name, exitCode: error.kind.exitCode, error: error.description))
            }
        }
        guard selection.models.isEmpty, selection.failures.isEmpty else { return selection }
        guard let first = selection.withoutWeights.first else {
            throw ZooError(.badData, "no model has the classes of this dataset", file: dataset.name)
        }
        throw ZooError(
            .missingInput, "no weights for any of \(selection.withoutWeights.count) models, such as \(first.name)",
            hint: WeightsResolver().advice(for: first), code: "weights.not-found")
    }

    private func remark(on selection: Selection) {
        leftOut(selection.withoutWeights, "without weights")
        leftOut(selection.otherClasses, "with other classes than \(dataset.name)")
        leftOut(selection.otherTasks, "without an accuracy to rank (zoo eval NAME measures a generator)")
        command.report.note("results in \(folder)")
    }

    private func leftOut(_ cards: [ModelCard], _ reason: String) {
        guard !cards.isEmpty else { return }
        var families: [String] = []
        for card in cards where !families.contains(card.family) { families.append(card.family) }
        let count = cards.count == 1 ? "1 model" : "\(cards.count) models"
        command.report.note("\(count) \(reason), of \(families.joined(separator: ", "))")
    }

    private func file(_ card: ModelCard) -> String { "\(folder)/\(card.name).json" }

    /// Where the process of a model keeps what it has until it is done.
    private func journal(_ card: ModelCard) -> String { file(card) + ".journal" }

    private func earlier(_ card: ModelCard, _ weights: ResolvedWeights) throws -> Earlier {
        let (hasResult, hasJournal) = (exists(file(card)), exists(journal(card)))
        guard hasResult || hasJournal else { return .nothing }
        let expected = Evaluation.fingerprint(
            of: card, weights.record(), on: dataset, try command.preprocessing.apply(to: card.preprocessing),
            try command.options(), instructionSet: instructionSet)
        do {
            let report = try hasResult ? ResultFile.read(file(card)).first : nil
            if let report, report.fingerprint == expected, report.results.onBadImage == command.badImages.rawValue,
                !command.perClass || report.results.perClass != nil
            {
                return .result(report)
            }
            guard hasJournal else { return .nothing }
            _ = try Journal(path: journal(card), fingerprint: expected, resume: true)
            return .part
        } catch let error as ZooError {
            Output.warning("\(error); it is computed again")
            return .nothing
        }
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// The options of a child but for the model and its files.
    private static func childOptions(_ command: EvalCommand, data: String) -> [String] {
        [
            ["--data=\(data)"], command.source.arguments, command.weights.arguments, command.preprocessing.arguments,
            command.compute.arguments, flag("--precision", command.precision.precision.rawValue),
            flag("--batch-size", command.batchSize), flag("--decode-threads", command.decodeThreads),
            flag("--limit", command.limit), command.datasetClassesOnly ? ["--dataset-classes-only"] : [],
            command.perClass ? ["--per-class"] : [], flag("--on-bad-image", command.badImages.rawValue),
            command.strictness.strict ? ["--strict"] : [],
        ].flatMap(\.self)
    }

    private func evaluate(_ card: ModelCard, resuming: Bool, _ interrupts: Interrupts) throws -> Outcome {
        let output = file(card)
        unlink(output)
        let arguments =
            ["eval", card.name] + Self.childOptions(command, data: dataName) + ["--output-file=\(output)"]
            + (resuming ? ["--resume"] : [])
        var lastError: String?
        let ending = try ChildRun.run(arguments, interrupts: interrupts) { line in
            if let text = line.dropping(prefix: "zoo: error: ") {
                lastError = text
            } else if let text = line.dropping(prefix: "zoo: warning: ") {
                Output.warning("\(card.name): \(text)")
            } else if line.dropping(prefix: "zoo: note: ") == nil, let text = line.dropping(prefix: "zoo: ") {
                if !command.report.quiet { Output.raw("zoo: \(card.name): \(text)\n") }
            } else if !line.hasPrefix("zoo: ") {
                lastError = line
            }
        }
        if ending == .exit(0), let report = try ResultFile.read(output).first { return .finished(report) }
        switch ending {
        case .exit(let code):
            return .failed(.init(model: card.name, exitCode: code, error: lastError ?? "exit code \(code)"))
        case .signal(let signal):
            let name = String(cString: strsignal(signal))
            return .failed(.init(model: card.name, exitCode: nil, error: "crashed with signal \(signal), \(name)"))
        }
    }

    private static func summary(_ report: EvaluationReport) -> String {
        let results = report.results
        return "top-1 \(results.top1.map { fixed($0, 2) } ?? "-") % of \(results.images) images in "
            + "\(fixed(results.speed.seconds, 1)) s"
    }

    private func write(_ board: Leaderboard) throws {
        if let file = command.report.outputFile {
            try Output.write(file.hasSuffix(".csv") ? board.csv : jsonText(board), toFile: file)
        }
        try Output.write(command.report.json ? jsonText(board) : command.csv ? board.csv : board.text)
    }

    private func refuse(_ failures: [Leaderboard.Failure], of count: Int) throws {
        guard let first = failures.first else { return }
        let kind = first.exitCode.flatMap { ZooError.Kind(rawValue: $0) } ?? .internal
        throw ZooError(
            kind, "\(failures.count) of \(count) models could not be evaluated, such as \(first.model): \(first.error)")
    }
}

extension String {
    /// What follows `prefix`, `nil` if the string begins otherwise.
    fileprivate func dropping(prefix: String) -> String? { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil }
}
