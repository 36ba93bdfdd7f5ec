import Testing
import ZooCore
import ZooModels
import ZooNN

/// A source in memory, for checkpoints that do not fit.
private struct MemorySource: TensorSource {
    let name = "memory.safetensors"
    var tensors: [String: [Int]]
    var tensorNames: [String]? { tensors.keys.sorted() }

    func info(_ tensor: String) -> TensorInfo? { tensors[tensor].map { TensorInfo(shape: $0, dtype: .float32) } }

    func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
        destination.update(repeating: 0.01)
    }
}

@Suite struct WeightsTests {
    private let card: ModelCard
    private let complete: MemorySource

    init() throws {
        card = try Registry.card(named: "ravlt-nano")
        complete = MemorySource(
            tensors: Dictionary(uniqueKeysWithValues: try Registry.tensors(of: card).map { ($0.name, $0.shape) }))
    }

    @Test func acceptsTheBuffersOfOfficialFiles() throws {
        var source = complete
        source.tensors["layers.0.RoPE.angle"] = [12]
        source.tensors["norm.num_batches_tracked"] = []
        _ = try Registry.load(card, from: source)
    }

    @Test func rejectsAMissingTensor() throws {
        var source = complete
        source.tensors["layers.1.blocks.0.attn.lepe.weight"] = nil
        let error = #expect(throws: ZooError.self) { try Registry.load(card, from: source) }
        #expect(error?.kind == .badData)
        #expect(error?.location == "layers.1.blocks.0.attn.lepe.weight")
        #expect(error?.expected == "[32, 1, 5, 5]")
        #expect(error?.file == "memory.safetensors")
    }

    @Test func rejectsAWrongShape() throws {
        var source = complete
        source.tensors["head.weight"] = [1000, 96, 1, 1]
        let error = #expect(throws: ZooError.self) { try Registry.load(card, from: source) }
        #expect(error?.location == "head.weight")
        #expect(error?.expected == "[10, 96, 1, 1]")
        #expect(error?.found == "[1000, 96, 1, 1]")
    }

    @Test func rejectsAnUnexpectedTensor() throws {
        var source = complete
        source.tensors["layers.0.blocks.7.gamma_1"] = [1]
        let error = #expect(throws: ZooError.self) { try Registry.load(card, from: source) }
        #expect(error?.location == "layers.0.blocks.7.gamma_1")
    }

    @Test func listsAllProblemsAtOnce() throws {
        var source = complete
        for name in source.tensors.keys.filter({ $0.hasPrefix("layers.2.") }) { source.tensors[name] = [3] }
        let error = #expect(throws: ZooError.self) { try Registry.load(card, from: source) }
        #expect(error?.problem.contains("46 problems") == true, "\(error?.problem.prefix(60) ?? "")")
        #expect(error?.problem.contains("and 26 more") == true)
    }

    @Test(arguments: [
        ("embed_dims", Hyperparameters.Value.list([.number(24), .number(1e9)])), ("embed_dims", .text("24")),
        ("num_heads", .list([.number(0), .number(1), .number(2), .number(2)])),
        ("num_heads", .list([.number(5), .number(1), .number(2), .number(2)])), ("depths", .list([.number(1.5)])),
        ("mlp_ratios", .list([.number(.nan), .number(1), .number(1), .number(1)])), ("projection", .number(-1)),
        ("layerscales", .bool(true)), ("patch_size", .number(16)), ("attention_per_block", .list([.text("linear")])),
    ])
    func rejectsUnusableHyperparameters(name: String, value: Hyperparameters.Value) throws {
        let usual: [String: Hyperparameters.Value] = [
            "embed_dims": .list([.number(24), .number(32), .number(48), .number(64)]), "projection": .number(96),
            "num_classes": .number(10),
        ]
        let parameters = Hyperparameters(usual.merging([name: value]) { $1 })
        let error = #expect(throws: ZooError.self) {
            try Registry.load(card, from: complete, hyperparameters: parameters)
        }
        #expect(error?.kind == .badData)
        #expect(error?.location != nil)
    }
}
