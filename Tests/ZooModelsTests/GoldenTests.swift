import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// Agreement with the official implementations: our distance from their float64 run may be at most 4x their own
/// float32 run's distance from it.
@Suite struct GoldenTests {
    static let families = [("rala", "ravlt-t"), ("mala", "mavit-t")]

    private func golden(_ name: String) throws -> (json: [String: Any], tensors: SafetensorsFile) {
        (
            try Fixtures.json(Fixtures.path("models/\(name).json")),
            try SafetensorsFile(path: Fixtures.path("models/\(name).case.safetensors"))
        )
    }

    @Test(arguments: families, InstructionSet.available)
    func fidelityOfTinyClassifiers(family: (String, String), isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        for network in ["tiny", "tiny_linear"] {
            let (json, tensors) = try golden("\(family.0)_\(network)")
            let model = try Registry.load(
                Registry.card(named: family.1), from: SeededSource(seed: 1),
                hyperparameters: hyperparameters(json["config"]))
            for size in ["64x64", "96x64", "70x50"] {
                let cases = try #require(json["cases"] as? [String: [String: Any]])
                let shape = try #require(cases[size]?["input_shape"] as? [Int])
                let noise = try #require(json.number("cases", size, "noise_fp32_vs_fp64", "rel_l2"))
                let pass = try run(model, seededImages(shape), on: runtime)
                let error = relativeL2(pass.logits, try tensors.float64s(of: "\(size).logits_fp64"))
                #expect(error <= 4 * noise, "\(family.0) \(network) \(size) \(isa): \(error) against \(noise)")
            }
        }
    }

    @Test(arguments: families, InstructionSet.available)
    func fidelityOfBackboneOutputs(family: (String, String), isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 1, instructionSet: isa)
        let (json, tensors) = try golden("\(family.0)_tiny_backbone")
        let model = try Registry.load(
            Registry.card(named: family.1), from: SeededSource(seed: 1),
            hyperparameters: hyperparameters(json["config"]))
        let cases = try #require(json["cases"] as? [String: [String: Any]])
        for (size, shape) in cases.mapValues({ $0["input_shape"] as? [Int] ?? [] }) {
            let pass = try run(model, seededImages(shape), on: runtime)
            #expect(pass.intermediates.count == 4)
            for (index, map) in pass.intermediates.enumerated() {
                let expected = channelsLast(try tensors.tensor("\(size).out\(index)"))
                let noises = try #require(cases[size]?["noise_fp32_vs_fp64"] as? [[String: Any]])
                // The stored outputs are float32: their own noise comes on top.
                let error = relativeL2(map, expected.values.map(Double.init))
                #expect(try error <= 5 * #require(noises[index].number("rel_l2")), "\(size) out\(index) \(isa)")
            }
        }
    }

    @Test(arguments: ["rala", "mala"], InstructionSet.available)
    func fidelityOfAttentionModules(family: String, isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let (json, tensors) = try golden("\(family)_attn_module")
        let cases = try #require(json["cases"] as? [String: [String: Any]])
        #expect(cases.count == 3)
        for (name, parameters) in cases {
            for kind in ["linear", "softmax"] {
                let channels = try #require(parameters["dim"] as? Int)
                let linear: AttentionCore = family == "rala" ? .rala : .mala
                let module = GatedAttention(
                    WeightReader(SeededSource(seed: 1)).root[name], channels: channels,
                    heads: try #require(parameters["heads"] as? Int), core: kind == "linear" ? linear : .softmax,
                    norm: nil, scale: nil)
                let expected = channelsLast(try tensors.tensor("\(name).\(kind).out"))
                let output = try apply(channelsLast(tensors.tensor("\(name).x"))) { x, y in
                    module(x, into: y, on: runtime)
                }
                let noise = try #require(parameters.number("noise_fp32_vs_fp64", kind, "rel_l2"))
                let error = relativeL2(output, expected.values.map(Double.init))
                #expect(error <= 5 * noise, "\(family) \(name) \(kind) \(isa): \(error) against \(noise)")
            }
        }
    }

    @Test(arguments: ["rala", "mala"], InstructionSet.available)
    func fidelityOfBlocks(family: String, isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let (json, tensors) = try golden("\(family)_block")
        let cases = try #require(json["cases"] as? [String: [String: Any]])
        #expect(cases.count == 4)
        for (name, parameters) in cases {
            let linear: AttentionCore = family == "rala" ? .rala : .mala
            let block = Block(
                WeightReader(SeededSource(seed: 1)).root[name], channels: try #require(parameters["dim"] as? Int),
                heads: try #require(parameters["heads"] as? Int), hidden: try #require(parameters["ffn_dim"] as? Int),
                core: parameters["attention"] as? String == "linear" ? linear : .softmax,
                layerScale: try #require(parameters["layer_scale"] as? Bool))
            let expected = channelsLast(try tensors.tensor("\(name).out"))
            let output = try apply(channelsLast(tensors.tensor("\(name).x"))) { x, y in block(x, into: y, on: runtime) }
            let noise = try #require(parameters.number("noise_fp32_vs_fp64", "out", "rel_l2"))
            let error = relativeL2(output, expected.values.map(Double.init))
            #expect(error <= 5 * noise, "\(family) \(name) \(isa): \(error) against \(noise)")
        }
    }

    /// The reference takes six seconds for a network, and computes one of the two.
    @Test(arguments: [("RAVLT_T", "ravlt-t"), ("MALA_T", "mavit-t")], InstructionSet.available)
    func fidelityAtFullSize(variant: (String, String), isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let (json, tensors) = try golden(variant.0)
        for (kind, factors) in [("plain", []), ("damped", [(suffix: ".pos.weight", factor: Float(0.25))])]
        where isa != .ref || kind == "plain" {
            let model = try Registry.load(
                Registry.card(named: variant.1), from: SeededSource(seed: 1, factors: factors))
            let pass = try run(model, seededImages([1, 3, 224, 224]), on: runtime)
            let noise = try #require(json.number("results", kind, "noise_fp32_vs_fp64", "rel_l2"))
            let error = relativeL2(pass.logits, try tensors.float64s(of: "\(kind).logits_fp64"))
            #expect(error <= 4 * noise, "\(variant.0) \(kind) \(isa): \(error) against \(noise)")
        }
    }

    /// Runs a layer on a channels-last tensor.
    private func apply(_ x: Tensor, _ layer: (FeatureMap, FeatureMap) -> Void) throws -> [Float] {
        var x = x
        var output = [Float](repeating: .nan, count: x.count)
        let (batch, height, width, channels) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
        x.withUnsafeMutableValues { source in
            output.withUnsafeMutableBufferPointer { destination in
                func map(_ buffer: UnsafeMutableBufferPointer<Float>) -> FeatureMap {
                    FeatureMap(
                        batch: batch, height: height, width: width, channels: channels, base: buffer.baseAddress!)
                }
                layer(map(source), map(destination))
            }
        }
        return output
    }
}
