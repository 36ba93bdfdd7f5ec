import Foundation
import Synchronization
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels
import ZooNN

@Suite struct AutoencoderTests {
    private static func golden(_ name: String) throws -> (tensors: SafetensorsFile, json: [String: Any]) {
        (
            try SafetensorsFile(path: Fixtures.path("vae/\(name).case.safetensors")),
            try Fixtures.json(Fixtures.path("vae/\(name).json"))
        )
    }

    private static let full = Result {
        try Registry.loadAutoencoder(Registry.card(named: "sd-vae"), from: SeededSource(seed: 1))
    }

    private static let card = try? Registry.card(named: "sd-vae")

    private static func tiny(
        from source: any TensorSource = SeededSource(seed: 1), parts: Autoencoder.Parts = .both
    ) throws -> Autoencoder {
        try Registry.loadAutoencoder(
            #require(card), from: source, hyperparameters: hyperparameters(golden("tiny").json["config"]), parts: parts)
    }

    /// A map as the golden files have it, [1, C, H, W].
    private static func channelsFirst(_ map: FeatureMap) -> [Float] {
        (0..<map.channels).flatMap { channel in (0..<map.rows).map { map.base[$0 * map.stride + channel] } }
    }

    private static func decode(
        _ model: Autoencoder, _ latents: Tensor, tile: Int? = nil, on runtime: Runtime
    ) throws -> Tensor {
        let (batch, height, width) = (latents.shape[0], latents.shape[1] * 8, latents.shape[2] * 8)
        var images = Tensor(zeros: [batch, height, width, 3])
        try latents.withUnsafeValues { values in
            try images.withUnsafeMutableValues { images in
                try model.decode(
                    ImageBatch(
                        batch: batch, height: latents.shape[1], width: latents.shape[2], channels: 4,
                        values: #require(values.baseAddress)),
                    into: #require(images.baseAddress), tile: tile, on: runtime)
            }
        }
        return images
    }

    private static func encode(_ model: Autoencoder, _ images: Tensor, on runtime: Runtime) throws -> Tensor {
        let (batch, height, width) = (images.shape[0], images.shape[1], images.shape[2])
        var moments = Tensor(zeros: [batch, model.latentSize(height), model.latentSize(width), 8])
        try images.withUnsafeValues { values in
            try moments.withUnsafeMutableValues { moments in
                try model.encode(
                    ImageBatch(batch: batch, height: height, width: width, values: #require(values.baseAddress)),
                    into: #require(moments.baseAddress), on: runtime)
            }
        }
        return moments
    }

    /// The largest difference, in units of four times the official implementation's own.
    private static func distance(
        _ found: [Float], _ expected: [Double], _ json: [String: Any], _ name: String
    ) -> Double {
        guard found.count == expected.count else { return .infinity }
        let worst = zip(found, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
        return worst / (4 * (json.number("noise_floor_fp32_vs_fp64", name, "max_abs_diff") ?? 0))
    }

    @Test(arguments: InstructionSet.available)
    func fidelityOfEveryStage(isa: InstructionSet) throws {
        let (tensors, json) = try Self.golden("tiny")
        let model = try Self.tiny()
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        var seen = Set<String>()
        func check(_ name: String, _ map: FeatureMap) {
            guard let expected = try? tensors.float64s(of: name) else { return }
            seen.insert(name)
            let distance = Self.distance(Self.channelsFirst(map), expected, json, name)
            #expect(distance <= 1, "\(name): \(distance)")
        }
        let latents = try channelsLast(tensors.tensor("latent"))
        var image = [Float](repeating: .nan, count: 32 * 24 * 3)
        try latents.withUnsafeValues { values in
            try image.withUnsafeMutableBufferPointer { image in
                try model.decode(
                    ImageBatch(
                        batch: 1, height: 4, width: 3, channels: 4, values: #require(values.baseAddress)),
                    into: #require(image.baseAddress), on: runtime, stage: check)
            }
        }
        let input = try channelsLast(tensors.tensor("input"))
        var moments = [Float](repeating: .nan, count: 3 * 4 * 8)
        try input.withUnsafeValues { values in
            try moments.withUnsafeMutableBufferPointer { moments in
                let base = try #require(moments.baseAddress)
                try model.encode(
                    ImageBatch(batch: 1, height: 24, width: 32, values: #require(values.baseAddress)), into: base,
                    on: runtime, stage: check)
                check("moments", FeatureMap(batch: 1, height: 3, width: 4, channels: 8, base: base))
            }
        }
        let posterior = try LatentDistribution(moments: Tensor(shape: [1, 3, 4, 8], values: moments))
        for (name, values) in [
            ("mean", posterior.mean), ("logvar", posterior.logVariance), ("std", posterior.standardDeviation),
        ] {
            let distance = Self.distance(
                values.channelsFirst().values, try tensors.float64s(of: name), json, name)
            #expect(distance <= 1, "\(name): \(distance)")
        }
        // dec.norm_out is computed inside the convolution after it.
        let expected = tensors.names.filter { $0.hasPrefix("dec.") || $0.hasPrefix("enc.") || $0 == "image" }
        #expect(Set(expected).subtracting(["dec.norm_out"]).subtracting(seen).isEmpty, "\(seen)")
        #expect(seen.contains("moments"))
    }

    /// Without the reference, which takes minutes; it computes the tiny network, which has every layer.
    @Test(arguments: InstructionSet.available.filter { $0 != .ref })
    func fidelityAtFullSize(isa: InstructionSet) throws {
        let (tensors, json) = try Self.golden("sd-vae")
        let model = try Self.full.get()
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let image = try Self.decode(model, seededImages([1, 4, 8, 8], name: "latent", scale: 4), on: runtime)
        let decoding = Self.distance(
            image.channelsFirst().values, try tensors.float64s(of: "image"), json, "image")
        #expect(decoding <= 1, "decode: \(decoding)")
        let moments = try Self.encode(model, seededImages([1, 3, 64, 64]), on: runtime)
        let encoding = Self.distance(
            moments.channelsFirst().values, try tensors.float64s(of: "moments"), json, "moments")
        #expect(encoding <= 1, "encode: \(encoding)")
    }

    /// Logarithms of variances far outside and within -30...20, two channels.
    @Test func fidelityOfTheLatentDistribution() throws {
        let moments = Tensor(shape: [1, 1, 3, 4], values: [1, -2, 0.5, -1, 3, 4, 1000, -1000, 5, 6, 20, -30])
        let posterior = try LatentDistribution(moments: moments)
        #expect(posterior.mean == Tensor(shape: [1, 1, 3, 2], values: [1, -2, 3, 4, 5, 6]))
        #expect(posterior.logVariance.values == [0.5, -1, 20, -30, 20, -30])
        let deviations = [exp(0.25), exp(-0.5), exp(10), exp(-15), exp(10), exp(-15)]
        #expect(relativeL2(posterior.standardDeviation.values, deviations) < 1e-7)
        let noise: [Float] = [1, -1, 0.5, 2, -0.25, 0]
        let expected = deviations.indices.map { Double(posterior.mean.values[$0]) + deviations[$0] * Double(noise[$0]) }
        let sample = try posterior.sample(noise: Tensor(shape: [1, 1, 3, 2], values: noise))
        #expect(zip(sample.values, expected).allSatisfy { abs(Double($0) - $1) <= 2e-7 * max(1, abs($1)) })
        #expect(try posterior.sample(noise: Tensor(zeros: [1, 1, 3, 2])) == posterior.mean)
        for shape in [[1, 1, 2, 3], [1, 3, 4]] {
            #expect(throws: ZooError.self) { try LatentDistribution(moments: Tensor(zeros: shape)) }
        }
        #expect(throws: ZooError.self) { try posterior.sample(noise: Tensor(zeros: [1, 3, 1, 2])) }
    }

    @Test func namesAndSizeEqualThePublishedOnes() throws {
        let card = try #require(Self.card)
        let data = try Data(contentsOf: URL(filePath: Fixtures.path("vae/sd-vae.names.json")))
        let entries = try #require(JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        let expected = entries.map { "\($0["diffusers"] as? String ?? "") \($0["shape"] as? [Int] ?? [])" }
        #expect(Set(try Registry.tensors(of: card).map { "\($0.name) \($0.shape)" }) == Set(expected))
        let model = try #require(try Registry.network(card, from: ZeroSource(), precision: .fp32) as? Autoencoder)
        let decoding = model.decodingCost(height: 32, width: 32)
        #expect(abs(Double(decoding.convolutions) / 1e9 - card.gmacs) <= 0.5, "\(decoding.convolutions)")
        #expect(abs(Double(decoding.attention) / 1e9 - card.attentionGmacs) <= 0.0005, "\(decoding.attention)")
        #expect(abs(Double(model.encodingCost(height: 256, width: 256).convolutions) / 1e9 - 135) <= 1)
    }

    /// Answers any name with zeros: for shapes and costs.
    private struct ZeroSource: TensorSource {
        var name: String { "zeros" }
        var tensorNames: [String]? { nil }
        func info(_ tensor: String) -> TensorInfo? { nil }
        func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
            destination.update(repeating: 0)
        }
    }

    /// The tiny network's weights under other names.
    private func renamed(_ spelling: (String, [Int]) -> (String, [Int])?) throws -> any TensorSource {
        var tensors: [String: Tensor] = [:]
        for (name, shape) in try Registry.tensors(
            of: #require(Self.card), hyperparameters: hyperparameters(Self.golden("tiny").json["config"]))
        {
            var values = Tensor(zeros: shape)
            try values.withUnsafeMutableValues { try SeededSource(seed: 1).read(name, shape: shape, into: $0) }
            guard let (other, otherShape) = spelling(name, shape) else { continue }
            tensors[other] = Tensor(shape: otherShape, values: values.values)
        }
        return DictionarySource(tensors: tensors)
    }

    private struct DictionarySource: TensorSource {
        let tensors: [String: Tensor]
        var name: String { "dictionary" }
        var tensorNames: [String]? { tensors.keys.sorted() }
        func info(_ tensor: String) -> TensorInfo? {
            tensors[tensor].map { TensorInfo(shape: $0.shape, dtype: .float32) }
        }
        func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
            for (index, value) in (tensors[tensor]?.values ?? []).enumerated() { destination[index] = value }
        }
    }

    /// The spelling of latent diffusion: the table of the published names, for a network with fewer blocks.
    private static func original(_ name: String, _ shape: [Int]) throws -> (String, [Int]) {
        let data = try Data(contentsOf: URL(filePath: Fixtures.path("vae/sd-vae.names.json")))
        let entries = try #require(JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        let table = Dictionary(
            uniqueKeysWithValues: entries.compactMap { entry -> (String, String)? in
                guard let key = entry["diffusers"] as? String, let value = entry["ldm"] as? String else { return nil }
                return (key, value)
            })
        // The tiny network has shortcuts on levels where the published one has none.
        let spelled =
            try table[name]
            ?? #require(table[name.replacing("conv_shortcut", with: "conv1")])
            .replacing("conv1", with: "nin_shortcut")
        let isAttention = name.contains("attentions") && shape.count == 2
        return (spelled, isAttention ? shape + [1, 1] : shape)
    }

    @Test func everySpellingOfTheNamesGivesTheSameNetwork() throws {
        let runtime = try Runtime(threads: 1)
        let latents = seededImages([1, 4, 4, 3], name: "latent", scale: 4)
        let expected = try Self.decode(Self.tiny(), latents, on: runtime)
        let images = seededImages([1, 3, 24, 32])
        let moments = try Self.encode(Self.tiny(), images, on: runtime)
        let spellings: [(String, [Int]) throws -> (String, [Int])] = [
            Self.original,
            { name, shape in
                let (spelled, shape) = try Self.original(name, shape)
                return ("first_stage_model." + spelled, shape)
            },
            { name, shape in
                let old = ["to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"]
                return (old.reduce(name) { $0.replacing("." + $1.key + ".", with: "." + $1.value + ".") }, shape)
            },
        ]
        for spelling in spellings {
            let model = try Self.tiny(from: renamed { try? spelling($0, $1) })
            #expect(try Self.decode(model, latents, on: runtime) == expected)
            #expect(try Self.encode(model, images, on: runtime) == moments)
        }
    }

    @Test func rejectsIncompleteCheckpoints() throws {
        let source = try renamed { name, shape in name == "decoder.conv_out.bias" ? nil : (name, shape) }
        let error = #expect(throws: ZooError.self) { try Self.tiny(from: source) }
        #expect(error?.kind == .badData && error?.location == "decoder.conv_out.bias")
    }

    /// A checkpoint has to be whole although the encoder's elements are not read.
    @Test func rejectsIncompleteCheckpointsForDecodingToo() throws {
        let missing = try renamed { name, shape in name == "encoder.conv_in.bias" ? nil : (name, shape) }
        let misshapen = try renamed { name, shape in (name, name == "encoder.conv_in.bias" ? [4, 2] : shape) }
        for source in [missing, misshapen] {
            let error = #expect(throws: ZooError.self) { try Self.tiny(from: source, parts: .decoder) }
            #expect(error?.kind == .badData && error?.location == "encoder.conv_in.bias")
        }
    }

    @Test func decoderAloneReadsNothingElseAndDecodesTheSame() throws {
        let runtime = try Runtime(threads: 1)
        let latents = seededImages([1, 4, 4, 3], name: "latent", scale: 4)
        let source = CountingSource()
        let decoder = try Self.tiny(from: source, parts: .decoder)
        #expect(source.requests.contains { $0.hasPrefix("decoder.") })
        #expect(
            !source.requests.contains { $0.hasPrefix("encoder.") || $0.hasPrefix("quant_conv.") }, "\(source.requests)")
        #expect(try Self.decode(decoder, latents, on: runtime) == Self.decode(Self.tiny(), latents, on: runtime))
        let error = #expect(throws: ZooError.self) {
            try Self.encode(decoder, seededImages([1, 3, 24, 32]), on: runtime)
        }
        #expect(error?.kind == .usage)
    }

    /// The seeded rule, which remembers what it was asked for.
    private final class CountingSource: TensorSource {
        private let rule = SeededSource(seed: 1)
        private let asked = Mutex<[String]>([])
        var requests: [String] { asked.withLock(\.self) }
        var name: String { rule.name }
        var tensorNames: [String]? { nil }
        func info(_ tensor: String) -> TensorInfo? { nil }
        func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
            asked.withLock { $0.append(tensor) }
            try rule.read(tensor, shape: shape, into: destination)
        }
    }

    /// Beside the weights a decoder needs one canvas: two maps of its finest level. Attention of n pixels would need n^2.
    @Test func memoryOfADecodeIsThatOfTwoMaps() throws {
        let (height, width) = (48, 40)
        let model = try Self.tiny().decoding(inStripsOf: 1 << 16)
        let runtime = try Runtime(threads: 2)
        _ = try Self.decode(model, seededImages([1, 4, height, width], name: "latent"), on: runtime)
        let pixels = 64 * height * width
        // The finest level has 8 channels and is entered by 16.
        let canvas = 4 * 16 * pixels
        #expect(runtime.workspace.capacity < canvas + canvas / 4, "\(runtime.workspace.capacity) for \(canvas)")
    }

    @Test(arguments: [(1, 1), (1, 5), (7, 2), (9, 8)])
    func determinismOverThreadsBatchAndSizes(height: Int, width: Int) throws {
        let model = try Self.tiny()
        let latents = seededImages([3, 4, height, width], name: "latent", scale: 2)
        let whole = try Self.decode(model, latents, on: Runtime(threads: 1))
        #expect(whole.values.allSatisfy { $0.isFinite })
        #expect(try Self.decode(model, latents, on: Runtime(threads: 3)) == whole)
        let count = whole.count / 3
        let last = Tensor(
            shape: [1, height, width, 4], values: Array(latents.values[(2 * height * width * 4)...]))
        #expect(try Self.decode(model, last, on: Runtime(threads: 2)).values == Array(whole.values[(2 * count)...]))
        let images = seededImages([2, 3, 8 * height + 3, 8 * width + 5])
        let moments = try Self.encode(model, images, on: Runtime(threads: 1))
        #expect(moments.shape == [2, height, width, 8] && moments.values.allSatisfy { $0.isFinite })
        #expect(try Self.encode(model, images, on: Runtime(threads: 3)) == moments)
    }

    /// The canvases overlap: whatever the height of the strips, every row is read before it is overwritten.
    @Test(arguments: [(1, 1), (4, 3), (13, 6)])
    func stripsOfAnyHeightGiveTheSameBits(height: Int, width: Int) throws {
        let model = try Self.tiny()
        let runtime = try Runtime(threads: 2)
        let latents = seededImages([1, 4, height, width], name: "latent", scale: 2)
        let whole = try Self.decode(model, latents, on: runtime)
        for floats in [1, 500, 2000, 7000, 20_000] {
            #expect(try Self.decode(model.decoding(inStripsOf: floats), latents, on: runtime) == whole, "\(floats)")
        }
    }

    @Test func tilesBlendIntoNearlyTheSameImage() throws {
        let model = try Self.tiny()
        let runtime = try Runtime(threads: 2)
        let latents = seededImages([2, 4, 37, 50], name: "latent", scale: 0.5)
        let whole = try Self.decode(model, latents, on: runtime)
        let tiled = try Self.decode(model, latents, tile: 24, on: runtime)
        let difference = relativeL2(tiled.values, whole.values.map(Double.init))
        #expect(difference < 0.2 && difference > 0, "\(difference)")
        #expect(try Self.decode(model, latents, tile: 64, on: runtime) != tiled)
        let exact = try Self.decode(model, latents, tile: 50, on: runtime)
        #expect(relativeL2(exact.values, whole.values.map(Double.init)) < 1e-6, "one tile is the whole image")
        let error = #expect(throws: ZooError.self) { try Self.decode(model, latents, tile: 15, on: runtime) }
        #expect(error?.kind == .usage)
    }

    @Test func rejectsLatentsAndImagesOfOtherShapes() throws {
        let model = try Self.tiny()
        let runtime = try Runtime(threads: 1)
        let values = UnsafeMutablePointer<Float>.allocate(capacity: 4096)
        defer { values.deallocate() }
        values.initialize(repeating: 0, count: 4096)
        for (channels, size) in [(3, 4), (4, 0)] {
            let latents = ImageBatch(batch: 1, height: size, width: 4, channels: channels, values: values)
            #expect(throws: ZooError.self) { try model.decode(latents, into: values, on: runtime) }
        }
        for (channels, size) in [(4, 8), (3, 7)] {
            let images = ImageBatch(batch: 1, height: size, width: 8, channels: channels, values: values)
            #expect(throws: ZooError.self) { try model.encode(images, into: values, on: runtime) }
        }
    }

    @Test func rejectsContradictingConfigurations() throws {
        let card = try #require(Self.card)
        for (name, value) in [
            ("act_fn", Hyperparameters.Value.text("gelu")), ("out_channels", .number(4)),
            ("norm_num_groups", .number(7)), ("block_out_channels", .list([])), ("unknown", .number(1)),
        ] {
            let error = #expect(throws: ZooError.self, "\(name)") {
                try Registry.loadAutoencoder(
                    card, from: SeededSource(seed: 1), hyperparameters: Hyperparameters([name: value]))
            }
            #expect(error?.kind == .badData)
        }
        let error = #expect(throws: ZooError.self) {
            try Registry.loadAutoencoder(Registry.card(named: "ravlt-nano"), from: SeededSource(seed: 1))
        }
        #expect(error?.kind == .usage)
    }
}
