import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage
import ZooModels
import ZooNN

@Suite struct InceptionTests {
    /// The golden case's weights: the seeded rule with every convolution weight times the root of two.
    private static func network() throws -> InceptionNetwork { try loaded.get() }

    private static let loaded = Result {
        try Registry.loadInception(
            from: SeededSource(seed: 1, factors: [(suffix: ".conv.weight", factor: Float(2).squareRoot())]))
    }

    private let tensors: SafetensorsFile
    private let json: [String: Any]

    init() throws {
        tensors = try SafetensorsFile(path: Fixtures.path("metrics/inception.case.safetensors"))
        json = try Fixtures.json(Fixtures.path("metrics/inception.json"))
    }

    private func image(_ name: String) throws -> RGBImage {
        let shape = try #require(tensors.info("\(name).u8")).shape
        return RGBImage(height: shape[0], width: shape[1], pixels: try tensors.uint8s(of: "\(name).u8"))
    }

    private struct Features {
        var pool3: [Float]
        var spatial: [Float]
        var logits: [Float]
        var unbiased: [Float]

        init(batch: Int) {
            pool3 = [Float](repeating: .nan, count: batch * InceptionNetwork.featureWidth)
            spatial = [Float](repeating: .nan, count: batch * InceptionNetwork.spatialWidth)
            logits = [Float](repeating: .nan, count: batch * InceptionNetwork.classes)
            unbiased = logits
        }
    }

    private func run(
        _ network: InceptionNetwork, _ inputs: [Tensor], on runtime: Runtime,
        stage: (String, FeatureMap) -> Void = { _, _ in }
    ) throws -> Features {
        var features = Features(batch: inputs.count)
        let values = inputs.flatMap(\.values)
        try values.withUnsafeBufferPointer { values in
            try features.pool3.withUnsafeMutableBufferPointer { pool3 in
                try features.spatial.withUnsafeMutableBufferPointer { spatial in
                    try features.logits.withUnsafeMutableBufferPointer { logits in
                        try features.unbiased.withUnsafeMutableBufferPointer { unbiased in
                            try network.forward(
                                ImageBatch(
                                    batch: inputs.count, height: 299, width: 299, values: #require(values.baseAddress)),
                                into: InceptionOutput(
                                    pool3: pool3.baseAddress, spatial: spatial.baseAddress, logits: logits.baseAddress,
                                    unbiasedLogits: unbiased.baseAddress), on: runtime, stage: stage)
                        }
                    }
                }
            }
        }
        return features
    }

    /// The largest difference in units of four times the official implementation's own.
    private func distance(_ found: [Float], _ name: String) throws -> Double {
        let expected = try tensors.float64s(of: name)
        let noise = try #require(json.number("noise_floor_fp32_vs_fp64", name, "max_abs_diff"))
        guard found.count == expected.count else { return .infinity }
        return zip(found, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } / (4 * noise)
    }

    @Test(arguments: InstructionSet.available.filter { $0 != .ref })
    func fidelityOfFeaturesAndBlocks(isa: InstructionSet) throws {
        let network = try Self.network()
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        for name in ["a", "b"] {
            let input = FeatureResizing.tensorflow.networkInput(try image(name), size: 299)
            var seen = 0
            let found = try run(network, [input], on: runtime) { block, map in
                guard let expected = try? tensors.float64s(of: "\(name).tf1.mean.\(block)") else { return }
                seen += 1
                let scale = expected.reduce(0) { max($0, abs($1)) }
                for channel in 0..<map.channels {
                    let mean = (0..<map.rows).reduce(0.0) { $0 + Double(map.base[$1 * map.stride + channel]) }
                    #expect(
                        abs(mean / Double(map.rows) - expected[channel]) <= 4e-6 * scale,
                        "\(name), \(block), \(channel)")
                }
            }
            #expect(seen == 14)
            #expect(try distance(found.pool3, "\(name).tf1.pool3") <= 1)
            #expect(try distance(found.logits, "\(name).tf1.logits") <= 1)
            #expect(try distance(found.unbiased, "\(name).tf1.logits_unbiased") <= 1)
            #expect(try distance(found.spatial, "\(name).tf1.spatial") <= 1)
        }
    }

    @Test func fidelityOfTheOtherResizes() throws {
        let network = try Self.network()
        let runtime = try Runtime(threads: 2)
        for name in ["a", "b"] {
            for (resizing, key) in [(FeatureResizing.torch, "pytorch_fid"), (.clean, "clean")] {
                let input = resizing.networkInput(try image(name), size: 299)
                let found = try run(network, [input], on: runtime)
                let distance = try distance(found.pool3, "\(name).\(key).pool3")
                #expect(distance <= 1, "\(name), \(key): \(distance)")
            }
        }
    }

    @Test func determinismOverThreadsAndBatch() throws {
        let network = try Self.network()
        let inputs = try ["a", "b"].map { FeatureResizing.tensorflow.networkInput(try image($0), size: 299) }
        let both = try run(network, inputs, on: Runtime(threads: 2))
        let last = try run(network, [inputs[1]], on: Runtime(threads: 1))
        #expect(last.pool3 == Array(both.pool3[InceptionNetwork.featureWidth...]))
        #expect(last.spatial == Array(both.spatial[InceptionNetwork.spatialWidth...]))
    }

    @Test func namesSizeAndCostEqualTheCard() throws {
        let manifest = try Fixtures.json(Fixtures.path("metrics/inception.manifest.json"))
        let found = try Registry.tensors(of: Inception.card)
        let expected = manifest.map { "\($0.key) \($0.value as? [Int] ?? [])" }
        #expect(Set(found.map { "\($0.name) \($0.shape)" }) == Set(expected))
        let cost = try Self.network().cost
        #expect(abs(Double(cost.convolutions) / 1e9 - Inception.card.gmacs) < 0.0005, "\(cost.convolutions)")
    }

    @Test func rejectsImagesOfOtherSizes() throws {
        let network = try Self.network()
        let input = Tensor(zeros: [1, 64, 64, 3])
        let error = #expect(throws: ZooError.self) {
            try input.withUnsafeValues { values in
                try network.forward(
                    ImageBatch(batch: 1, height: 64, width: 64, values: #require(values.baseAddress)),
                    into: InceptionOutput(), on: Runtime(threads: 1))
            }
        }
        #expect(error?.kind == .usage)
    }
}
