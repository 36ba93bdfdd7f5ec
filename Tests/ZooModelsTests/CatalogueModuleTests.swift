import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooNN

/// Whole attention modules with the tensor names of their checkpoints.
@Suite struct CatalogueModuleTests {
    private typealias Module = (FeatureMap, FeatureMap, Runtime) -> Void

    /// The golden modules and how each is made; C = 24 and 3 heads unless the golden data say otherwise. `z` is the second
    /// input where there is one.
    private static func module(_ name: String, _ w: Weights, z: FeatureMap?) throws -> Module {
        let (channels, heads, grid) = (24, 3, Grid(height: 7, width: 7))
        func layer<Mixer>(_ layer: AttentionLayer<Mixer>, addsInput: Bool = false) -> Module {
            { x, output, runtime in layer(x, into: output, residual: addsInput ? x : nil, on: runtime) }
        }
        switch name {
        case "additive_attention": return layer(AttentionLayer(additive: w, channels: channels, heads: heads))
        case "agent_attention_swin", "agent_attention_deit":
            return layer(
                AttentionLayer(
                    agent: w, channels: channels, heads: heads, side: 3, grid: grid,
                    hasClassToken: name.hasSuffix("deit")))
        case "diag_block_attention":
            return layer(
                AttentionLayer(transNormer: w, PixelBlockMixer(grid: grid), channels: channels, heads: heads))
        case "efficient_attention":
            return layer(AttentionLayer(efficient: w, channels: channels, heads: heads), addsInput: true)
        case "focused_attention_pvt":
            return layer(
                AttentionLayer(focusedPVT: w, channels: channels, heads: heads, grid: Grid(height: 5, width: 7)))
        case "focused_attention_swin":
            return layer(AttentionLayer(focusedSwin: w, channels: channels, heads: heads, grid: grid))
        case "gla_layer":
            let layer = GatedLinearAttention(w, channels: 32, keyChannels: 16, heads: 2)
            return { layer($0, into: $1, on: $2) }
        case "linformer_attention":
            return layer(AttentionLayer(linformer: w, channels: channels, heads: heads, tokens: 49, mixtures: 8))
        case "linfusion_attention":
            let layer = LinFusionAttention(w, channels: channels, heads: heads)
            return { layer($0, into: $1, on: $2) }
        case "lion_attention_lit": return layer(AttentionLayer(lionLit: w, channels: channels, heads: heads))
        case "lion_attention_d", "lion_attention_d_snake":
            return layer(
                AttentionLayer(
                    lionDecay: w, channels: channels, heads: heads, snake: name.hasSuffix("snake") ? grid : nil))
        case "lion_attention_s", "lion_attention_s_snake":
            let layer = LionSelectiveAttention(
                w, channels: channels, heads: heads, snake: name.hasSuffix("snake") ? grid : nil)
            return { layer($0, into: $1, on: $2) }
        case "norm_linear_attention":
            return layer(AttentionLayer(transNormer: w, NormLinearMixer(), channels: channels, heads: heads))
        case "sm_ladaformer":
            let block = Ladaformer(w, channels: channels, condition: 16, heads: heads, hidden: 32)
            let condition = try #require(z)
            return { block($0, z: condition, into: $1, on: $2) }
        default: throw ZooError(.internal, "no module '\(name)'")
        }
    }

    static let names =
        ((try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("operators/catalogue"))) ?? [])
        .filter { $0.hasPrefix("module_") && $0.hasSuffix(".json") && !$0.contains("l2vit") }
        .map { String($0.dropFirst("module_".count).dropLast(".json".count)) }.sorted()

    @Test func everyModuleIsHere() { #expect(Self.names.count == 17) }

    /// Every tensor of the checkpoint is read, and max |ours - out| <= max(8 noise, 1e-5 of the largest output).
    @Test(arguments: names, InstructionSet.available)
    func fidelityOfModules(name: String, isa: InstructionSet) throws {
        func path(_ suffix: String) -> String { Fixtures.path("operators/catalogue/module_\(name).\(suffix)") }
        let json = try Fixtures.json(path("json"))
        let noise = try #require((json["noise_abs"] as? NSNumber)?.doubleValue)
        let largest = try #require((json["max_abs_out"] as? NSNumber)?.doubleValue)
        let tensors = try SafetensorsFile(path: path("case.safetensors"))
        let reader = WeightReader(try SafetensorsFile(path: path("weights.safetensors")))
        let runtime = try Runtime(threads: 2, instructionSet: isa)

        let condition = try tensors.info("z").map { _ in PackedWeight(try tensors.tensor("z").values) }
        let z = condition.map {
            FeatureMap(
                batch: 2, height: 1, width: 1, channels: $0.count / 2,
                base: UnsafeMutablePointer(mutating: $0.pointer))
        }
        let module = try Self.module(name, reader.root, z: z)
        try reader.finish { _ in false }

        var input = try tensors.tensor("input")
        if input.shape.count == 4 { input = channelsLast(input) }
        let channels = try #require(input.shape.last)
        let tokens = input.count / channels / 2
        func map(_ base: UnsafeMutablePointer<Float>) -> FeatureMap {
            FeatureMap(batch: 2, height: 1, width: tokens, channels: channels, base: base)
        }
        var output = Tensor(zeros: input.shape)
        try input.withUnsafeMutableValues { x in
            try output.withUnsafeMutableValues { y in
                module(map(try #require(x.baseAddress)), map(try #require(y.baseAddress)), runtime)
            }
        }
        withExtendedLifetime(condition) {}
        var expected = try tensors.tensor("output")
        if expected.shape.count == 4 { expected = channelsLast(expected) }
        let distance = largestDistance(output.values, expected.values)
        #expect(distance <= max(8 * noise, 1e-5 * largest), "\(distance) against \(noise)")
    }
}
