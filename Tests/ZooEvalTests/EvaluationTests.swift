import Foundation
import TestSupport
import Testing
import ZooCore
import ZooDatasets
import ZooEval
import ZooIO
import ZooImage
import ZooModels
import ZooNN

private func evaluation(
    _ model: String = "ravlt-nano", on dataset: (any ImageDataset)? = nil,
    _ configure: (inout EvaluationOptions) -> Void = { _ in }
) throws -> Evaluation {
    var options = EvaluationOptions()
    configure(&options)
    let card = try Registry.card(named: model)
    return try Evaluation(
        card: card, weights: WeightsResolver().resolve(card), dataset: dataset ?? DatasetCatalog.open("digits"),
        options: options)
}

private func metrics(_ ending: Evaluation.Ending) throws -> Metrics {
    guard case .complete(let metrics, _) = ending else { throw ZooError(.interrupted, "not complete") }
    return metrics
}

/// Digits with some files that are no images or only half of one.
private func damagedDigits(in folder: String) throws -> any ImageDataset {
    let digits = try DatasetCatalog.open("digits")
    var files: [String: Data] = [:]
    for (index, sample) in digits.samples.enumerated() where index % 10 == 0 {
        let image = try digits.withBytes(of: sample, limit: .max) { Data($0) }
        files[sample.id] = index % 50 == 0 ? image.prefix(20) : image
    }
    files["0/empty.png"] = Data()
    let photograph = try sampleImage("coffee.jpg")
    files["1/half.jpg"] = photograph.prefix(photograph.count / 2)
    try write(files, below: folder)
    return try ImageFolder(path: folder)
}

@Suite struct EvaluationTests {
    /// The numbers of the official code on the same images.
    @Test(arguments: [("ravlt-nano", 353, 358, 0.1165441), ("mavit-nano", 353, 359, 0.1105439)])
    func fidelityOnDigits(_ model: String, _ top1: Int, _ top5: Int, _ loss: Double) throws {
        let result = try metrics(evaluation(model).run())
        #expect(result.top1 == Proportion(count: top1, total: 360))
        #expect(result.top5 == Proportion(count: top5, total: 360))
        #expect(abs(try #require(result.loss) - loss) < 2e-6)
        #expect(result.badImages.isEmpty)
    }

    /// As many right answers as in float32.
    @Test(arguments: ["ravlt-nano", "mavit-nano"], InstructionSet.available)
    func fidelityOnDigitsInBF16(_ model: String, _ isa: InstructionSet) throws {
        let evaluation = try evaluation(model) {
            $0.precision = .bf16
            $0.instructionSet = isa
        }
        #expect(evaluation.environment.precision == .bf16)
        let result = try metrics(evaluation.run())
        #expect(result.top1 == Proportion(count: 353, total: 360))
        #expect(abs(try #require(result.loss) - (model == "ravlt-nano" ? 0.11654 : 0.11054)) < 2e-3)
    }

    /// The official module's logits, image by image, through our decoder and preprocessing.
    @Test(arguments: [("ravlt-nano", "ravlt-nano-digits"), ("mavit-nano", "mala-nano-digits")])
    func fidelityOfLogitsOnDigits(_ model: String, _ fixture: String) throws {
        let golden = try SafetensorsFile(path: Fixtures.path("nano/\(fixture).logits.safetensors"))
        let expected = try golden.float64s(of: "logits")
        let card = try Registry.card(named: model)
        let predictor = try Predictor(
            card: card, weights: WeightsResolver().resolve(card), runtime: Runtime(threads: 1))
        let digits = try DatasetCatalog.open("digits")
        var logits = [Float](repeating: .nan, count: expected.count)
        for sample in digits.samples {
            let number = try #require(Int(sample.id.dropFirst(2).dropLast(4)))
            let proposals = try digits.withBytes(of: sample, limit: .max) {
                try predictor.predict($0, count: 10).proposals
            }
            for proposal in proposals { logits[(number - 1437) * 10 + proposal.index] = proposal.logit }
        }
        #expect(relativeL2(logits, expected) < 2e-6)
    }

    @Test(arguments: [(1, 1), (3, 1), (8, 2), (64, 3)])
    func determinismOverBatchSizeAndThreads(_ batchSize: Int, _ threads: Int) throws {
        let reference = try metrics(evaluation { $0.limit = 50 }.run())
        let result = try metrics(
            evaluation {
                $0.limit = 50
                $0.batchSize = batchSize
                $0.threads = threads
                $0.decodeThreads = threads
            }.run())
        #expect(result == reference)
    }

    @Test func limitSpreadsOverTheWholeDataset() throws {
        let evaluation = try evaluation { $0.limit = 10 }
        #expect(Set(evaluation.samples.map(\.label)).count >= 9)
        #expect(try metrics(evaluation.run()).top1.total == 10)
    }

    @Test(arguments: [(BadImagePolicy.wrong, 38), (.skip, 29)])
    func badImagesFollowThePolicy(_ policy: BadImagePolicy, _ denominator: Int) throws {
        try withTemporaryFolder { folder in
            let dataset = try damagedDigits(in: folder)
            let result = try metrics(evaluation(on: dataset) { $0.badImages = policy }.run())
            #expect(result.top1.total == denominator)
            #expect(result.images == 38)
            #expect(result.statuses == [.ok: 28, .warned: 1, .failed: 9])
            #expect(result.badImages.count == 10)
            #expect(result.badImages.allSatisfy { !$0.problem.isEmpty })
        }
    }

    @Test func thePolicyFailNamesTheImage() throws {
        try withTemporaryFolder { folder in
            let dataset = try damagedDigits(in: folder)
            #expect { try evaluation(on: dataset) { $0.badImages = .fail }.run() } throws: { error in
                let error = error as? ZooError
                return error?.code == "eval.bad-image" && error?.location == dataset.samples[0].id
            }
        }
    }

    @Test(arguments: [1, 17, 30])
    func resumedEqualsUninterrupted(_ batchesBeforeInterrupt: Int) throws {
        try withTemporaryFolder { folder in
            let dataset = try damagedDigits(in: folder + "/data")
            let whole = try metrics(evaluation(on: dataset) { $0.batchSize = 1 }.run())
            let first = try evaluation(on: dataset) { $0.batchSize = 1 }
            var batches = 0
            do {
                let journal = try Journal(path: folder + "/j", fingerprint: first.fingerprint, resume: false)
                let ending = try first.run(journal: journal, progress: { _ in batches += 1 }) {
                    batches == batchesBeforeInterrupt
                }
                guard case .interrupted(let done) = ending else {
                    Issue.record("the run was not interrupted")
                    return
                }
                #expect(done == batchesBeforeInterrupt)
            }
            let second = try evaluation(on: dataset) { $0.batchSize = 8 }
            let journal = try Journal(path: folder + "/j", fingerprint: second.fingerprint, resume: true)
            #expect(journal.earlier.count == batchesBeforeInterrupt)
            #expect(try metrics(second.run(journal: journal)) == whole)
        }
    }

    @Test func anotherEvaluationHasAnotherFingerprint() throws {
        let base = try evaluation().fingerprint
        #expect(try evaluation { $0.batchSize = 3 }.fingerprint == base)
        #expect(try evaluation { $0.limit = 3 }.fingerprint != base)
        #expect(try evaluation("mavit-nano").fingerprint != base)
        #expect(try evaluation { $0.instructionSet = .ref }.fingerprint != base || InstructionSet.best == .ref)
    }

    @Test func rejectsLabelsThatTheModelDoesNotHave() throws {
        let photographs = try DatasetCatalog.open("imagenet-subset", home: ZooHome(path: "/nowhere"))
        #expect { try evaluation(on: photographs) } throws: { hasCode("eval.label-mismatch")($0) }
    }

    @Test func rejectsOptionsOutOfRange() throws {
        let wrong: [(inout EvaluationOptions) -> Void] = [
            { $0.batchSize = 0 }, { $0.batchSize = -1 }, { $0.limit = 0 }, { $0.threads = 0 }, { $0.threads = 1 << 20 },
            { $0.decodeThreads = 0 }, { $0.batchSize = 65536 },
        ]
        for configure in wrong {
            #expect(throws: ZooError.self) { try evaluation("ravlt-nano", on: nil, configure) }
        }
    }

    @Test func restrictingToTheDatasetsClassesChangesTheAnswers() throws {
        try withTemporaryFolder { folder in
            let digits = try DatasetCatalog.open("digits")
            let wanted = digits.samples.filter { $0.label == 3 || $0.label == 8 }
            try write(
                Dictionary(
                    uniqueKeysWithValues: try wanted.map { sample in
                        (sample.id, try digits.withBytes(of: sample, limit: .max) { Data($0) })
                    }), below: folder)
            let result = try metrics(
                evaluation(on: ImageFolder(path: folder)) { $0.amongDatasetClasses = true }.run())
            #expect(result.top5.count == result.top5.total)
            #expect(result.confusions(limit: 100).allSatisfy { [3, 8].contains($0.predicted) })
        }
    }
}

@Suite struct ReportTests {
    private func report(_ model: String = "ravlt-nano") throws -> EvaluationReport {
        let evaluation = try evaluation(model) { $0.limit = 40 }
        guard case .complete(let metrics, let timing) = try evaluation.run() else {
            throw ZooError(.interrupted, "not complete")
        }
        return EvaluationReport(evaluation, metrics, timing, commandLine: "zoo eval", details: true)
    }

    @Test func csvHasTheColumnsOfTimm() throws {
        let lines = try report().csv.split(separator: "\n")
        try #require(lines.count == 2)
        #expect(lines[0] == "model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation")
        #expect(lines[1].split(separator: ",").count == 9)
        #expect(lines[1].hasPrefix("ravlt-nano,"))
        #expect(lines[1].hasSuffix(",32,1.0,bicubic"))
    }

    @Test func jsonHasEverythingToRepeatTheRun() throws {
        let text = try jsonText(report())
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["schema_version"] as? Int == 1)
        let keys = ["command", "model", "weights", "dataset", "preprocessing", "environment", "results"]
        #expect(keys.allSatisfy { object[$0] != nil })
        let weights = try #require(object["weights"] as? [String: Any])
        #expect((weights["sha256"] as? String)?.count == 64)
        let results = try #require(object["results"] as? [String: Any])
        #expect(results["trained"] as? Bool == true)
        #expect(results["images"] as? Int == 40)
        #expect((results["per_class"] as? [Any])?.isEmpty == false)
        let speed = try #require(results["speed"] as? [String: Any])
        let shares = ["decode_share", "preprocess_share", "model_share"].compactMap { speed[$0] as? Double }
        #expect(shares.count == 3 && abs(shares.reduce(0, +) - 1) < 1e-9)
        #expect((results["peak_resident_bytes"] as? Int ?? 0) > 1 << 20)
        let environment = try #require(object["environment"] as? [String: Any])
        #expect(["cpu", "zoo", "instruction_set", "threads"].allSatisfy { environment[$0] != nil })
    }

    @Test func untrainedResultsSaySoEverywhere() throws {
        let card = try Registry.card(named: "ravlt-nano")
        let evaluation = try Evaluation(
            card: card, weights: WeightsResolver().resolve(card, weights: "seeded:1"),
            dataset: DatasetCatalog.open("digits"))
        guard case .complete(let metrics, let timing) = try evaluation.run() else { return }
        let report = EvaluationReport(evaluation, metrics, timing, commandLine: "", details: false)
        #expect(!report.results.trained)
        #expect(report.results.note?.contains("meaningless") == true)
        #expect(report.text.contains("trained: false"))
        #expect(report.csv.split(separator: "\n").map { $0.split(separator: ",").last } == ["trained", "false"])
        #expect(try jsonText(report).contains("\"trained\" : false"))
    }
}

@Suite struct WeightsResolverTests {
    private func resolver(_ folder: String) -> WeightsResolver { WeightsResolver(home: ZooHome(path: folder)) }

    @Test func theEmbeddedCheckpointComesFirst() throws {
        let card = try Registry.card(named: "ravlt-nano")
        let weights = try resolver("/nowhere").resolve(card)
        #expect(weights.kind == .embedded)
        #expect(weights.isTrained)
        let file = Fixtures.inPackage("Models/Checkpoints/ravlt-nano.safetensors")
        #expect(weights.record().sha256 == SHA256.hex(try Data(contentsOf: URL(filePath: file))))
    }

    @Test(arguments: ["ravlt-t.safetensors", "ravlt-t.pth", "ravlt-t.pt", "RAVLT_T.pth"])
    func filesAreFoundByNameWhateverTheirFormat(_ name: String) throws {
        try withTemporaryFolder { folder in
            let checkpoint = Fixtures.inPackage("Models/Checkpoints/ravlt-nano.safetensors")
            try write(["weights/\(name)": Data(contentsOf: URL(filePath: checkpoint))], below: folder)
            let card = try Registry.card(named: "ravlt-t")
            #expect(try resolver(folder).resolve(card).kind == .file("\(folder)/weights/\(name)"))
        }
    }

    @Test func withoutACheckpointTheAdviceNamesPageAndPlace() throws {
        let card = try Registry.card(named: "ravlt-t")
        #expect { try resolver("/home/zoo").resolve(card) } throws: { error in
            let error = error as? ZooError
            let hint = error?.hint ?? ""
            return error?.kind == .missingInput && hint.contains(card.checkpoint?.page ?? "?")
                && hint.contains("/home/zoo/weights/RAVLT_T.pth")
        }
        let check = try resolver("/nowhere").resolve(card, fallback: .installationCheck)
        #expect(check.kind == .installationCheck && !check.isTrained)
        #expect(check.record().source == "seeded:1,.pos.weight=0.25")
    }

    @Test func rejectsWhatCannotBeMeant() throws {
        let card = try Registry.card(named: "ravlt-nano")
        for (weights, key) in [("seeded:x", nil), ("seeded:1", "model"), (nil, "model"), ("/nowhere/x.pth", nil)] {
            #expect(throws: ZooError.self) { try resolver("/nowhere").resolve(card, weights: weights, key: key) }
        }
    }
}
