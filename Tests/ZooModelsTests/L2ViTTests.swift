import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// L2ViT against float64 evaluations of the official code; tolerance as for the operators: max(8 noise, 1e-5 of the
/// largest output).
@Suite struct L2ViTTests {
    private func path(_ file: String) -> String { Fixtures.path("operators/catalogue/\(file)") }

    private func expectClose(
        _ output: [Float], _ expected: [Float], noise: Double, _ comment: Comment
    ) {
        let largest = expected.reduce(0) { max($0, abs(Double($1))) }
        let distance = largestDistance(output, expected)
        #expect(output.count == expected.count && distance <= max(8 * noise, 1e-5 * largest), "\(distance), \(comment)")
    }

    @Test(arguments: ["l2vit_lga_block", "l2vit_lwa_block"], InstructionSet.available)
    func fidelityOfBlocks(name: String, isa: InstructionSet) throws {
        let noise = try #require(try Fixtures.json(path("module_\(name).json")).number("noise_abs"))
        let tensors = try SafetensorsFile(path: path("module_\(name).case.safetensors"))
        let reader = WeightReader(try SafetensorsFile(path: path("module_\(name).weights.safetensors")))
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        var output = try tensors.tensor("input")
        let (linear, window) = (
            name == "l2vit_lga_block"
                ? L2ViTLinearBlock(reader.root, channels: 24, heads: 3, hidden: 96) : nil,
            name == "l2vit_lwa_block"
                ? L2ViTWindowBlock(reader.root, channels: 24, heads: 3, hidden: 96, window: 7) : nil
        )
        try reader.finish { _ in false }
        try output.withUnsafeMutableValues { values in
            let map = FeatureMap(
                batch: 2, height: 9, width: 10, channels: 24, base: try #require(values.baseAddress))
            linear?(map, on: runtime)
            window?(map, on: runtime)
        }
        expectClose(output.values, try tensors.tensor("output").values, noise: noise, "\(name)")
    }

    /// A network of the released ones' shape whose every stage is recorded.
    @Test(arguments: InstructionSet.available) func fidelityOfEveryStage(isa: InstructionSet) throws {
        let json = try Fixtures.json(path("model_l2vit_micro.json"))
        let tensors = try SafetensorsFile(path: path("model_l2vit_micro.case.safetensors"))
        let small: [String: Hyperparameters.Value] = [
            "depths": .list([2, 2, 2, 2].map { .number($0) }), "dims": .list([8, 16, 24, 32].map { .number($0) }),
            "heads": .list([1, 2, 3, 4].map { .number($0) }), "num_classes": .number(10),
        ]
        let model = try Registry.load(
            Registry.card(named: "l2vit-tiny"), from: SeededSource(seed: 1), hyperparameters: Hyperparameters(small))
        let pass = try run(model, channelsLast(tensors.tensor("input")), on: Runtime(threads: 2, instructionSet: isa))
        let noise = try #require(json.number("noise_abs"))
        expectClose(pass.logits, try tensors.tensor("output").values, noise: noise, "logits")
        for (stage, map) in pass.intermediates.enumerated() {
            let noise = try #require(json.number("stage_noise_abs", "stage\(stage)"))
            expectClose(map, try tensors.tensor("stage\(stage)").values, noise: noise, "stage \(stage)")
        }
    }

    @Test(arguments: InstructionSet.available) func fidelityOfTheReleasedSize(isa: InstructionSet) throws {
        let noise = try #require(try Fixtures.json(path("model_L2ViT_Tiny.json")).number("noise_abs"))
        let expected = try SafetensorsFile(path: path("model_L2ViT_Tiny.case.safetensors")).tensor("output").values
        let model = try Registry.load(Registry.card(named: "l2vit-tiny"), from: SeededSource(seed: 1))
        let pass = try run(model, seededImages([1, 3, 224, 224]), on: Runtime(threads: 2, instructionSet: isa))
        expectClose(pass.logits, expected, noise: noise, "logits \(isa)")
    }

    @Test func tensorNamesEqualTheManifest() throws {
        let expected = try Fixtures.json(path("model_L2ViT_Tiny.manifest.json"))
        let tensors = try Registry.tensors(of: Registry.card(named: "L2ViT_Tiny"))
        #expect(Set(tensors.map(\.name)) == Set(expected.keys))
        for tensor in tensors { #expect(expected[tensor.name] as? [Int] == tensor.shape, "\(tensor.name)") }
    }

    @Test(arguments: [
        ("dims", Hyperparameters.Value.list([.number(8), .number(16)])),
        ("heads", .list([3, 6, 12, 23].map { .number($0) })),
        ("window", .number(0)), ("depths", .list([.number(2), .number(2)])), ("drop_path", .number(1)),
    ])
    func rejectsUnusableHyperparameters(name: String, value: Hyperparameters.Value) throws {
        let error = #expect(throws: ZooError.self) {
            try Registry.load(
                Registry.card(named: "l2vit-tiny"), from: SeededSource(seed: 1),
                hyperparameters: Hyperparameters([name: value]))
        }
        #expect(error?.kind == .badData)
    }
}
