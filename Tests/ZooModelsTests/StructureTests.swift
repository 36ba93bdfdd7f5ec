import CTestSupport
import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// Promises that every classifier of the registry keeps, the present ones and the future ones.
@Suite(.serialized) struct StructureTests {
    static let all = Registry.cards.map(\.name)
    static let names = Registry.cards.filter { $0.task == .classify }.map(\.name)

    /// The smallest variant of each family for photographs, and those that ship with the package: they run in every
    /// configuration.
    static let small = Registry.families.filter { $0.cards[0].task == .classify }.flatMap { family in
        let (embedded, others) = (
            family.cards.filter { Registry.embeddedCheckpoint(of: $0) != nil },
            family.cards.filter { Registry.embeddedCheckpoint(of: $0) == nil }
        )
        return embedded.map(\.name) + [others.min { $0.parameters < $1.parameters }?.name].compactMap(\.self)
    }

    /// The first of a few sizes that the model takes; the card's own is the last.
    private func size(
        for model: any ImageClassifier, named name: String, on runtime: Runtime
    ) throws -> (height: Int, width: Int) {
        let card = try Registry.card(named: name)
        for (height, width) in [(96, 80), (112, 112)] {
            do {
                _ = try model.logits(Tensor(zeros: [1, height, width, model.inputChannels]), on: runtime)
                return (height, width)
            } catch let error as ZooError where error.kind == .usage {
                continue
            }
        }
        return (card.preprocessing.inputHeight, card.preprocessing.inputWidth)
    }

    private func seeded(_ name: String) throws -> any ImageClassifier {
        try Registry.load(
            Registry.card(named: name), from: SeededSource(seed: 1, factors: [(suffix: ".pos.weight", factor: 0.25)]))
    }

    @Test func namesAreUniqueAndResolve() throws {
        #expect(Set(Self.names).count == Self.names.count)
        for card in Registry.cards {
            for spelling in [card.name] + card.aliases {
                #expect(try Registry.card(named: spelling.uppercased()).name == card.name)
            }
        }
        for family in Registry.families {
            #expect(try Registry.card(named: family.name).name == family.defaultVariant)
        }
    }

    @Test func rejectsUnknownNamesWithTheNearest() throws {
        let error = #expect(throws: ZooError.self) { try Registry.card(named: "ravlt-x") }
        #expect(error?.kind == .usage)
        #expect(error?.hint?.contains("ravlt-") == true)
    }

    @Test(arguments: all) func cardTellsTheParameters(name: String) throws {
        let card = try Registry.card(named: name)
        // The features of no caption are a text encoder's.
        let computed = ["running_mean", "running_var", "y_embedding"]
        let learned = try Registry.tensors(of: card).filter { tensor in !computed.contains(where: tensor.name.hasSuffix)
        }
        #expect(learned.reduce(0) { $0 + $1.shape.reduce(1, *) } == card.parameters)
    }

    @Test(arguments: all.filter { names.contains($0) || Registry.generators.map(\.name).contains($0) })
    func cardTellsTheCost(name: String) throws {
        let card = try Registry.card(named: name)
        let cost: Cost
        if card.task == .generate {
            let denoiser = try Registry.denoiserSkeleton(of: card)
            cost = denoiser.cost(height: denoiser.sampleSize, width: denoiser.sampleSize)
        } else {
            let size = (card.preprocessing.inputHeight, card.preprocessing.inputWidth)
            cost = try Registry.skeleton(of: card).cost(height: size.0, width: size.1)
        }
        #expect(abs(Double(cost.convolutions) / 1e9 - card.gmacs) <= 0.00051, "\(cost.convolutions)")
        #expect(abs(Double(cost.attention) / 1e9 - card.attentionGmacs) <= 0.00051, "\(cost.attention)")
    }

    @Test(arguments: [
        ("ravlt-t", 384, 7.087, 1.292), ("ravlt-l", 512, 84.070, 20.811), ("mavit-s", 384, 13.317, 2.393),
        ("mavit-l", 512, 84.323, 20.799),
    ])
    func costGrowsWithTheImageAsPublished(name: String, size: Int, convolutions: Double, attention: Double) throws {
        let cost = try Registry.skeleton(of: Registry.card(named: name)).cost(height: size, width: size)
        #expect(abs(Double(cost.convolutions) / 1e9 - convolutions) <= 0.00051, "\(cost.convolutions)")
        #expect(abs(Double(cost.attention) / 1e9 - attention) <= 0.00051, "\(cost.attention)")
    }

    @Test(arguments: [("ravlt-t", "RAVLT_T"), ("mavit-t", "MALA_T")])
    func tensorNamesEqualTheManifest(name: String, manifest: String) throws {
        let expected = try Fixtures.json(Fixtures.path("models/\(manifest).manifest.json"))
        let tensors = try Registry.tensors(of: Registry.card(named: name))
        #expect(Set(tensors.map(\.name)) == Set(expected.keys))
        for tensor in tensors { #expect(expected[tensor.name] as? [Int] == tensor.shape, "\(tensor.name)") }
    }

    /// Sizes of the official state dictionaries, which carry 12 buffers besides.
    @Test(arguments: [("t", 302), ("s", 462), ("b", 622), ("l", 822)])
    func stateDictionariesHaveTheOfficialSize(size: String, count: Int) throws {
        for family in ["ravlt", "mavit"] {
            #expect(try Registry.tensors(of: Registry.card(named: "\(family)-\(size)")).count + 12 == count)
        }
    }

    @Test(arguments: small) func shapesOfOddSizesAreComputedOrRefused(name: String) throws {
        let model = try seeded(name)
        let runtime = try Runtime(threads: 2)
        for (height, width) in [(1, 1), (33, 70), (64, 47), (64, 96), (112, 112)] {
            let pass: Pass
            do {
                pass = try run(model, seededImages([1, 3, height, width]), on: runtime)
            } catch let error as ZooError where error.kind == .usage {
                #expect(error.expected != nil && error.found != nil, "\(height)x\(width): \(error)")
                continue
            }
            #expect(pass.logits.count == model.classes && pass.logits.allSatisfy(\.isFinite))
            #expect(pass.preLogits.count == model.preLogitsWidth && pass.preLogits.allSatisfy(\.isFinite))
            let shapes = model.intermediateShapes(height: height, width: width)
            #expect(pass.intermediates.map(\.count) == shapes.map(\.count))
            #expect(pass.intermediates.allSatisfy { $0.allSatisfy(\.isFinite) })
        }
    }

    @Test(arguments: small) func determinismOverThreadsBatchAndPosition(name: String) throws {
        let model = try seeded(name)
        let one = try Runtime(threads: 1)
        let (height, width) = try size(for: model, named: name, on: one)
        let batches = height * width > 112 * 112 ? [3] : [3, 8]
        let images = (0..<batches[batches.count - 1]).map { seededImages([1, 3, height, width], name: "image\($0)") }
        let single = try images.map { try run(model, $0, on: one) }
        for threads in [1, 2, 3, 8] {
            let runtime = try Runtime(threads: threads)
            #expect(try run(model, images[0], on: runtime) == single[0], "\(threads) threads")
            for batch in batches {
                let joined = Tensor(
                    shape: [batch, height, width, 3], values: images.prefix(batch).flatMap(\.values))
                let pass = try run(model, joined, on: runtime)
                #expect(pass.logits == single.prefix(batch).flatMap(\.logits), "\(threads) threads, batch \(batch)")
                #expect(pass.preLogits == single.prefix(batch).flatMap(\.preLogits))
            }
        }
    }

    @Test(arguments: small) func secondPassIsEqualAndAllocatesNothing(name: String) throws {
        let card = try Registry.card(named: name)
        let model = try seeded(name)
        let runtime = try Runtime(threads: 2)
        let (height, width) = (card.preprocessing.inputHeight, card.preprocessing.inputWidth)
        let images = seededImages([1, 3, height, width])
        var first = [Float](repeating: 0, count: model.classes)
        var second = first
        let counts = try [first.count, second.count].map { _ in
            try images.withUnsafeValues { pixels in
                try second.withUnsafeMutableBufferPointer { logits in
                    let batch = ImageBatch(batch: 1, height: height, width: width, values: pixels.baseAddress!)
                    let output = ClassifierOutput(logits: logits.baseAddress)
                    zoo_test_start_counting()
                    defer { first = Array(logits) }
                    do {
                        try model.forward(batch, into: output, on: runtime)
                    } catch {
                        _ = zoo_test_stop_counting()
                        throw error
                    }
                    return zoo_test_stop_counting()
                }
            }
        }
        #expect(counts[0] > 0, "the counter sees the first pass's workspace")
        #expect(counts[1] == 0)
        #expect(first == second)
    }

    @Test(arguments: small) func instructionSetsAgree(name: String) throws {
        let model = try seeded(name)
        let (height, width) = try size(for: model, named: name, on: Runtime(threads: 2))
        // The reference takes a minute for a large map; golden cases compare small networks with it.
        let isLarge = height * width > 112 * 112
        let images = seededImages(isLarge ? [1, 3, height, width] : [2, 3, height, width])
        let first: InstructionSet = isLarge ? .portable : .ref
        let reference = try run(model, images, on: Runtime(threads: 2, instructionSet: first))
        for isa in InstructionSet.available where isa != .ref && isa != first {
            let pass = try run(model, images, on: Runtime(threads: 2, instructionSet: isa))
            #expect(relativeL2(pass.logits, reference.logits.map(Double.init)) < 5e-6, "\(isa)")
        }
    }

    @Test func runtimesWorkSideBySide() async throws {
        let model = try seeded("ravlt-nano")
        let images = seededImages([2, 3, 64, 64])
        let expected = try run(model, images, on: Runtime(threads: 1)).logits
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    let runtime = try Runtime(threads: worker % 3 + 1)
                    return try (0..<10).allSatisfy { _ in try run(model, images, on: runtime).logits == expected }
                }
            }
            for try await equal in group { #expect(equal) }
        }
    }

    @Test func featuresAndHeadMakeTheWhole() throws {
        let model = try seeded("mavit-nano")
        let runtime = try Runtime(threads: 1)
        let images = seededImages([2, 3, 70, 50])
        let whole = try run(model, images, on: runtime)
        let shape = try #require(model.intermediateShapes(height: 70, width: 50).last)
        var features = [Float](repeating: .nan, count: 2 * shape.count)
        var logits = [Float](repeating: .nan, count: 2 * model.classes)
        try images.withUnsafeValues { pixels in
            try model.forwardFeatures(
                ImageBatch(batch: 2, height: 70, width: 50, values: pixels.baseAddress!), into: &features, on: runtime)
        }
        try logits.withUnsafeMutableBufferPointer { logits in
            try model.forwardHead(
                ImageBatch(
                    batch: 2, height: shape.height, width: shape.width, channels: shape.channels, values: features),
                into: ClassifierOutput(logits: logits.baseAddress), on: runtime)
        }
        #expect(features == whole.intermediates.last)
        #expect(logits == whole.logits)
    }
}
