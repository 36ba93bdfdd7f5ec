import CTestSupport
import Foundation
import TestSupport
import Testing
import ZooCore
import ZooDiffusion
import ZooIO
import ZooModels
import ZooNN

/// DiT and LiT against the official implementations: our distance from the float64 run may be at most 4x the official
/// float32 run's.
@Suite struct DenoiserTests {
    private func golden(_ name: String) throws -> (json: [String: Any], tensors: SafetensorsFile) {
        (
            try Fixtures.json(Fixtures.path("generation/\(name).json")),
            try SafetensorsFile(path: Fixtures.path("generation/\(name).case.safetensors"))
        )
    }

    private func load(_ card: String, _ json: [String: Any]) throws -> any Denoiser {
        try Registry.loadDenoiser(
            Registry.card(named: card), from: SeededSource(seed: 1), hyperparameters: hyperparameters(json["config"]))
    }

    private func distance(_ a: Tensor, _ b: Tensor) -> Double {
        guard a.shape == b.shape else { return .infinity }
        return zip(a.values, b.values).reduce(0) { largest, pair in
            let distance = abs(Double(pair.0) - Double(pair.1))
            return distance.isNaN ? .infinity : max(largest, distance)
        }
    }

    /// The first half of a batch.
    private func firstHalf(_ tensor: Tensor) -> Tensor {
        Tensor(
            shape: [tensor.shape[0] / 2] + tensor.shape.dropFirst(),
            values: Array(tensor.values.prefix(tensor.count / 2)))
    }

    @Test(
        arguments: [("dit-tiny", "dit-s-2"), ("dit-tiny-p4", "dit-s-4"), ("lit-tiny", "lit-s-2")],
        InstructionSet.available)
    func fidelityOfTinyNetworks(network: (String, String), isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let (json, tensors) = try golden(network.0)
        let model = try load(network.1, json)
        let labels = try tensors.int64s(of: "y").map(Int.init)
        let timesteps = try tensors.int64s(of: "t").map { Float($0) }
        let samples = try tensors.tensor("x")
        let output = try model(samples, timesteps: timesteps, condition: .labels(labels), on: runtime)
        let floor = try #require(json.number("noise_floor_fp32_vs_fp64", "output", "max_abs_diff"))
        let error = distance(output, try tensors.tensor("output"))
        #expect(error <= 4 * floor, "\(network.0) \(isa): \(error) against \(floor)")

        for scale in [1.5, 4.0] where tensors.names.contains("cfg_\(scale)") {
            let guided = try model.guided(
                samples, timesteps: timesteps, condition: .labels(labels), scale: Float(scale), channels: 3,
                on: runtime)
            let floor = try #require(json.number("noise_floor_fp32_vs_fp64", "cfg_\(scale)", "max_abs_diff"))
            let error = distance(guided, firstHalf(try tensors.tensor("cfg_\(scale)")))
            #expect(error <= 4 * floor, "\(network.0) guidance \(scale) \(isa): \(error) against \(floor)")
        }
    }

    @Test(arguments: InstructionSet.available) func fidelityOfTextToImage(isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        let (json, tensors) = try golden("lit-t2i-tiny")
        let model = try load("lit-t2i-xl-2", json)
        let caption = try tensors.tensor("caption")
        let captions = Captions(
            features: Tensor(shape: [2] + caption.shape.dropFirst(2), values: caption.values),
            isPresent: try tensors.int64s(of: "mask").map { $0 != 0 })
        let output = try model(
            tensors.tensor("x"), timesteps: tensors.int64s(of: "t").map { Float($0) }, condition: .captions(captions),
            on: runtime)
        let floor = try #require(json.number("noise_floor_fp32_vs_fp64", "output", "max_abs_diff"))
        let error = distance(output, try tensors.tensor("output"))
        #expect(error <= 4 * floor, "\(isa): \(error) against \(floor)")
    }

    /// A network of full size on seeded weights, its names against the manifest and its output for the recorded input.
    private func checkFullSize(
        _ golden: String, _ name: String, on instructionSets: [InstructionSet] = [.best]
    ) throws {
        let path = try #require(Fixtures.shared("golden/\(golden).json"))
        let base = String(path.dropLast(5))
        let json = try Fixtures.json(path)
        let tensors = try SafetensorsFile(path: base + ".case.safetensors")
        let manifest = try Fixtures.json(base + ".manifest.json")
        let card = try Registry.card(named: name)
        let own = try Registry.tensors(of: card)
        #expect(Set(own.map(\.name)) == Set(manifest.keys))
        for tensor in own { #expect(manifest[tensor.name] as? [Int] == tensor.shape, "\(tensor.name)") }
        let model = try Registry.loadDenoiser(card, from: SeededSource(seed: 1))
        let side = json["latent_hw"] as? [Int] ?? [32, 32]
        let condition: Condition
        if case .captions(let count, let channels) = model.conditioning {
            condition = .captions(
                Captions(
                    features: SeededSource.uniform("caption", shape: [1, count, channels]),
                    isPresent: (0..<count).map { $0 < 20 }))
        } else {
            condition = .labels(try tensors.int64s(of: "y").map(Int.init))
        }
        let floor = try #require(json.number("noise_floor_fp32_vs_fp64", "max_abs_diff"))
        for isa in instructionSets {
            let output = try model(
                SeededSource.uniform("input", shape: [1, 4] + side),
                timesteps: tensors.int64s(of: "t").map { Float($0) }, condition: condition,
                on: Runtime(threads: 2, instructionSet: isa))
            let error = distance(output, try tensors.tensor("output"))
            #expect(error <= 4 * floor, "\(golden) \(isa): \(error) against \(floor)")
        }
    }

    /// The reference, which takes ten seconds for each, computes the tiny networks alone: they have every layer.
    @Test(
        .enabled(if: Fixtures.hasShared),
        arguments: [("dit/DiT-S-2", "DiT-S/2"), ("dit/DiT-B-4", "DiT-B/4"), ("lit/LiT-S-2", "LiT-S/2")])
    func fidelityAtFullSize(variant: (golden: String, name: String)) throws {
        try checkFullSize(variant.golden, variant.name, on: InstructionSet.available.filter { $0 != .ref })
    }

    /// Two to three gigabytes of seeded weights each, which take minutes to make without optimisation, and up to 15 s of
    /// computation on the portable path: on the default instruction set only. What they have beyond the smaller ones,
    /// heads of 72 channels, the attention modules below have on every instruction set.
    @Test(
        .enabled(if: Fixtures.hasShared && isOptimised),
        arguments: [
            ("dit/DiT-XL-2", "DiT-XL/2"), ("lit/LiT-XL-2", "LiT-XL/2"), ("lit/LiT-T2I-XL-2", "lit-t2i-xl-2"),
        ])
    func fidelityOfTheLargest(variant: (golden: String, name: String)) throws {
        try checkFullSize(variant.golden, variant.name)
    }

    private func embeddedSource(_ name: String) throws -> any TensorSource {
        let bytes = try #require(Registry.embeddedCheckpoint(of: Registry.card(named: name)))
        return try Checkpoint.open(ByteRegion(program: bytes, name: "embedded"))
    }

    private func embedded(_ name: String) throws -> any Denoiser {
        try Registry.loadDenoiser(Registry.card(named: name), from: embeddedSource(name))
    }

    @Test(arguments: ["dit-nano", "lit-nano"], InstructionSet.available)
    func fidelityOfTheEmbeddedGenerators(name: String, isa: InstructionSet) throws {
        let runtime = try Runtime(threads: 1, instructionSet: isa)
        let tensors = try SafetensorsFile(path: Fixtures.path("generation/\(name)-digits.case.safetensors"))
        let model = try embedded(name)
        let (start, labels) = (try tensors.tensor("z"), try tensors.int64s(of: "y").map(Int.init))
        let forward = try model(
            start, timesteps: tensors.int64s(of: "t").map { Float($0) }, condition: .labels(labels), on: runtime)
        #expect(distance(forward, try tensors.tensor("forward")) <= 1e-4)
        // The reference takes half a minute for the runs below.
        guard isa != .ref else { return }
        let process = try GaussianDiffusion(schedule: .linear(), respacing: "ddim20")
        for (expected, scale) in [("ddim20", Float(1)), ("ddim20_guided2", 2)] {
            let samples = try process.sample(
                .ddim(), from: start, noise: { Tensor(zeros: $0) },
                network: { samples, timestep in
                    let timesteps = [Float](repeating: Float(timestep), count: samples.shape[0])
                    return scale == 1
                        ? try model(samples, timesteps: timesteps, condition: .labels(labels), on: runtime)
                        : try model.guided(
                            samples, timesteps: timesteps, condition: .labels(labels), scale: scale, channels: 1,
                            on: runtime)
                })
            #expect(distance(samples, try tensors.tensor(expected)) <= 1e-4, "\(name) \(expected) \(isa)")
        }
    }

    @Test(arguments: [("ddpm", "5"), ("ddim", "ddim5")]) func fidelityOfGuidedSampling(run: (String, String)) throws {
        let (json, tensors) = try golden("dit-tiny-sampling")
        let model = try load("dit-s-2", json)
        let runtime = try Runtime(threads: 2)
        let process = try GaussianDiffusion(schedule: .linear(), respacing: run.1)
        let floor = try #require(json.number("noise_floor_fp32_vs_fp64", "\(run.0)_all_steps", "max_abs_diff"))
        var draws = 0
        _ = try process.sample(
            run.0 == "ddpm" ? .ddpm : .ddim(), from: tensors.tensor("z"),
            noise: { _ in
                defer { draws += 1 }
                return firstHalf(try tensors.tensor("noise\(draws)"))
            },
            network: { samples, timestep in
                try model.guided(
                    samples, timesteps: [Float](repeating: Float(timestep), count: 2), condition: .labels([3, 7]),
                    scale: 1.5, channels: 3, on: runtime)
            },
            step: { index, samples, _ in
                let error = distance(samples, firstHalf(try tensors.tensor("\(run.0).step\(4 - index)")))
                #expect(error <= 4 * floor, "\(run.0) at \(index): \(error) against \(floor)")
            })
        #expect(draws == 5)
    }

    @Test(arguments: ["dit-nano", "lit-nano"]) func determinismOverThreadsBatchAndPosition(name: String) throws {
        let model = try embedded(name)
        let samples = SeededSource.uniform("z", shape: [5, 1, 8, 8])
        let (labels, timesteps): ([Int], [Float]) = ([3, 10, 0, 9, 5], [0, 999, 500, 17, 321])
        let whole = try model(samples, timesteps: timesteps, condition: .labels(labels), on: Runtime(threads: 1))
        for threads in [1, 2, 5] {
            let runtime = try Runtime(threads: threads)
            for index in 0..<5 {
                let one = try model(
                    Tensor(shape: [1, 1, 8, 8], values: Array(samples.values[index * 64..<(index + 1) * 64])),
                    timesteps: [timesteps[index]], condition: .labels([labels[index]]), on: runtime)
                #expect(one.values == Array(whole.values[index * 128..<(index + 1) * 128]))
            }
        }
    }

    @Test func rejectsWhatTheNetworkCannotTake() throws {
        let model = try embedded("dit-nano")
        let runtime = try Runtime(threads: 1)
        let sample = Tensor(zeros: [1, 1, 8, 8])
        for (samples, timesteps, condition) in [
            (sample, [0], Condition.labels([11])), (sample, [0], .labels([-1])), (sample, [0, 1], .labels([1])),
            (sample, [0], .labels([])), (Tensor(zeros: [0, 1, 8, 8]), [], .labels([])),
            (Tensor(zeros: [1, 1, 0, 8]), [0], .labels([1])),
            (Tensor(zeros: [1, 2, 8, 8]), [0], .labels([1])), (Tensor(zeros: [1, 8, 8]), [0], .labels([1])),
            (sample, [0], .captions(Captions(features: Tensor(zeros: [1, 1, 4]), isPresent: [true]))),
        ] as [(Tensor, [Float], Condition)] {
            let error = #expect(throws: ZooError.self) {
                try model(samples, timesteps: timesteps, condition: condition, on: runtime)
            }
            #expect(error?.kind == .usage)
        }
        #expect(throws: ZooError.self) {
            try Registry.load(Registry.card(named: "dit-nano"), from: SeededSource(seed: 1))
        }
        #expect(throws: ZooError.self) {
            try Registry.loadDenoiser(Registry.card(named: "ravlt-nano"), from: SeededSource(seed: 1))
        }
    }

    @Test func rejectsSamplesThatAreNotMadeOfPatches() throws {
        let model = try load("dit-s-2", golden("dit-tiny").json)
        let error = #expect(throws: ZooError.self) {
            try model(Tensor(zeros: [1, 4, 8, 7]), timesteps: [0], condition: .labels([1]), on: Runtime(threads: 1))
        }
        #expect(error?.kind == .usage && error?.expected == "sides that are multiples of 2")
    }

    @Test(
        arguments: [
            ["input_size": 9], ["hidden_size": 50], ["num_heads": 5], ["kernel_size": 4], ["patch_size": 0],
            ["learn_sigma": 1], ["mlp_ratio": 0], ["depth": -1], ["width": 3],
        ] as [[String: Double]]) func rejectsConfigurationsThatContradictThemselves(change: [String: Double]) throws
    {
        var json = try golden("lit-tiny").json["config"] as? [String: Any] ?? [:]
        for (name, value) in change { json[name] = value }
        let error = #expect(throws: ZooError.self) {
            try Registry.loadDenoiser(
                Registry.card(named: "lit-s-2"), from: SeededSource(seed: 1), hyperparameters: hyperparameters(json))
        }
        #expect(error?.kind == .badData)
        #expect(error?.location == change.keys.first)
    }

    /// The answer to a golden case's samples.
    private func answer(
        _ card: ModelCard, _ source: any TensorSource, _ config: Hyperparameters, _ tensors: SafetensorsFile
    ) throws -> Tensor {
        let model = try Registry.loadDenoiser(card, from: source, hyperparameters: config)
        return try model(
            tensors.tensor("x"), timesteps: tensors.int64s(of: "t").map { Float($0) },
            condition: .labels(tensors.int64s(of: "y").map(Int.init)), on: Runtime(threads: 1))
    }

    /// The files of diffusers: other names, queries, keys and values apart, the embedders in every block.
    @Test func diffusersNamesGiveTheSameNetwork() throws {
        let (json, tensors) = try golden("dit-tiny")
        let card = try Registry.card(named: "dit-s-2")
        let config = hyperparameters(json["config"])
        let source = DiffusersNames(official: try Registry.tensors(of: card, hyperparameters: config))
        #expect(try answer(card, source, config, tensors) == answer(card, SeededSource(seed: 1), config, tensors))
    }

    /// A LiT checkpoint may have queries, keys and values in one tensor.
    @Test func fusedProjectionsGiveTheSameNetwork() throws {
        let (json, tensors) = try golden("lit-tiny")
        let card = try Registry.card(named: "lit-s-2")
        let config = hyperparameters(json["config"])
        let source = FusedProjections(apart: try Registry.tensors(of: card, hyperparameters: config))
        #expect(try answer(card, source, config, tensors) == answer(card, SeededSource(seed: 1), config, tensors))
    }

    /// Guidance of all channels and of three, from the network's own answers.
    @Test func guidanceStretchesTheChosenChannels() throws {
        let (json, tensors) = try golden("dit-tiny")
        let model = try load("dit-s-2", json)
        let runtime = try Runtime(threads: 1)
        let samples = try tensors.tensor("x")
        let (batch, size) = (samples.shape[0], 8 * 8)
        let timesteps = [Float](repeating: 40, count: batch)
        let condition = Condition.labels([Int](repeating: 4, count: batch))
        let empty = try #require(model.unconditional(for: condition))
        let told = try model(samples, timesteps: timesteps, condition: condition, on: runtime)
        let free = try model(samples, timesteps: timesteps, condition: empty, on: runtime)
        for channels in [1, 3, 4] {
            let guided = try model.guided(
                samples, timesteps: timesteps, condition: condition, scale: 3, channels: channels, on: runtime)
            for index in guided.values.indices {
                let isGuided = index / size % 8 < channels
                let expected =
                    isGuided
                    ? free.values[index] + 3 * (told.values[index] - free.values[index]) : told.values[index]
                #expect(guided.values[index] == expected, "\(channels) channels, value \(index)")
            }
        }
        let unguided = try load("dit-s-4", golden("dit-tiny-p4").json)
        #expect(throws: ZooError.self) {
            try unguided.guided(
                Tensor(zeros: [1, 3, 12, 12]), timesteps: [1], condition: .labels([1]), scale: 2, channels: 3,
                on: runtime)
        }
    }

    @Test func secondPassAllocatesNothing() throws {
        for name in ["dit-nano", "lit-nano"] {
            let model = try embedded(name)
            let runtime = try Runtime(threads: 2)
            let samples = SeededSource.uniform("z", shape: [3, 1, 8, 8])
            var output = [Float](repeating: 0, count: 3 * 2 * 64)
            let (timesteps, condition) = ([Float](repeating: 500, count: 3), Condition.labels([1, 2, 3]))
            let counts = try (0..<2).map { _ in
                try samples.withUnsafeValues { values in
                    try output.withUnsafeMutableBufferPointer { output in
                        let batch = SampleBatch(
                            batch: 3, channels: 1, height: 8, width: 8, values: values.baseAddress!)
                        zoo_test_start_counting()
                        do {
                            try model.forward(
                                batch, timesteps: timesteps, condition: condition, into: output.baseAddress!,
                                on: runtime)
                        } catch {
                            _ = zoo_test_stop_counting()
                            throw error
                        }
                        return zoo_test_stop_counting()
                    }
                }
            }
            #expect(counts[0] > 0, "the counter sees the first pass's workspace")
            #expect(!isOptimised || counts[1] == 0, "\(name): \(counts[1])")
        }
    }

    /// bf16 moves the answer by about 2^-8 of its length.
    @Test(arguments: ["dit-nano", "lit-nano"]) func bf16StaysClose(name: String) throws {
        let card = try Registry.card(named: name)
        let source = try embeddedSource(name)
        let samples = SeededSource.uniform("z", shape: [4, 1, 8, 8])
        let runtime = try Runtime(threads: 1)
        let outputs = try [Precision.fp32, .bf16].map { precision in
            let model = try Registry.loadDenoiser(card, from: source, precision: precision)
            return try model(
                samples, timesteps: [10, 100, 500, 900], condition: .labels([1, 2, 3, 10]), on: runtime)
        }
        let difference = relativeL2(outputs[1].values, outputs[0].values.map(Double.init))
        #expect(difference > 1e-5 && difference < 0.02, "\(name): \(difference)")
    }

    @Test(.enabled(if: Fixtures.hasShared)) func fidelityOfPositionTables() throws {
        let tensors = try SafetensorsFile(path: try #require(Fixtures.shared("golden/dit/ops.case.safetensors")))
        for (width, side) in [(40, 3), (48, 4)] {
            var table = [Float](repeating: .nan, count: side * side * width)
            table.withUnsafeMutableBufferPointer {
                PositionTable.fill($0.baseAddress!, rows: side, columns: side, width: width)
            }
            #expect(table == (try tensors.tensor("pos_embed.\(width).\(side)")).values)
        }
    }

    /// The recorded values are of float32 arithmetic, whose frequencies and angles are rounded: an error of the angle,
    /// which grows with the timestep.
    @Test(.enabled(if: Fixtures.hasShared), arguments: [256, 10, 7])
    func fidelityOfTimestepFeatures(width: Int) throws {
        let tensors = try SafetensorsFile(path: try #require(Fixtures.shared("golden/dit/ops.case.safetensors")))
        let timesteps = try tensors.tensor("timestep_embedding.t").values
        let expected = try tensors.tensor("timestep_embedding.\(width)").values
        #expect(expected.count == timesteps.count * width)
        for (row, timestep) in timesteps.enumerated() {
            var features = [Float](repeating: .nan, count: width)
            features.withUnsafeMutableBufferPointer {
                TimestepFeatures.fill($0.baseAddress!, width: width, timestep: timestep)
            }
            let error = largestDistance(features, Array(expected[row * width..<(row + 1) * width]))
            #expect(error <= 0x1p-24 + Double(timestep) * 0x1p-24, "timestep \(timestep): \(error)")
            if width == 7 { #expect(features[6] == 0) }
        }
    }

    /// LiT's attention with its projections.
    @Test(.enabled(if: Fixtures.hasShared), arguments: InstructionSet.available)
    func fidelityOfFewHeadModules(isa: InstructionSet) throws {
        let path = try #require(Fixtures.shared("golden/lit/ops.case.safetensors"))
        let tensors = try SafetensorsFile(path: path)
        let json = try Fixtures.json(path.replacing(".case.safetensors", with: ".json"))
        let cases = try #require(json["cases"] as? [String: [String: Int]])
        #expect(cases.count == 7)
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        for (name, sizes) in cases {
            let (batch, height) = (try #require(sizes["B"]), try #require(sizes["H"]))
            let (width, kernel) = (try #require(sizes["W"]), try #require(sizes["kernel"]))
            let (channels, heads) = (try #require(sizes["C"]), try #require(sizes["heads"]))
            let w = WeightReader(SeededSource(seed: 1)).root["lit-op"][name]
            let qkv = Linear(joining: [(w["q"], channels), (w["kv"], 2 * channels)], in: channels)
            let core = FewHeadAttention(w, heads: heads, headDim: channels / heads, kernel: kernel)
            let proj = Linear(w["proj"], in: channels, out: channels, kernel: .linear)
            let shape = [batch, height * width, channels]
            var x = SeededSource.uniform("lit-op.\(name).x", shape: shape).values.map { 2 * $0 }
            x.withUnsafeMutableBufferPointer { x in
                runtime.workspace.scope {
                    let map = FeatureMap(
                        batch: batch, height: height, width: width, channels: channels, base: x.baseAddress!)
                    let packed = map.like(channels: 3 * channels, runtime.workspace)
                    let mixed = map.like(channels: channels, runtime.workspace)
                    qkv(map, into: packed, on: runtime)
                    core(
                        queries: packed.columns(0..<channels), keys: packed.columns(channels..<2 * channels),
                        values: packed.columns(2 * channels..<3 * channels), into: mixed, on: runtime)
                    proj(mixed, into: map, on: runtime)
                }
            }
            let floor = try #require(json.number("noise_floor_fp32_vs_fp64", name, "module_out", "max_abs_diff"))
            let error = distance(Tensor(shape: shape, values: x), try tensors.tensor("\(name).module_out"))
            #expect(error <= 4 * floor, "\(name) \(isa): \(error) against \(floor)")
        }
    }

    @Test(.enabled(if: Fixtures.hasShared), arguments: InstructionSet.available)
    func fidelityOfAttentionModules(isa: InstructionSet) throws {
        let path = try #require(Fixtures.shared("golden/dit/ops.case.safetensors"))
        let tensors = try SafetensorsFile(path: path)
        let json = try Fixtures.json(path.replacing(".case.safetensors", with: ".json"))
        let cases = try #require(json["attention_cases"] as? [String: [String: Int]])
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        for (name, sizes) in cases {
            let (batch, tokens) = (try #require(sizes["B"]), try #require(sizes["N"]))
            let (channels, heads) = (try #require(sizes["C"]), try #require(sizes["heads"]))
            let module = SelfAttention(WeightReader(tensors).root[name], channels: channels, heads: heads, norm: nil)
            var x = try tensors.tensor("\(name).x").values
            x.withUnsafeMutableBufferPointer {
                let map = FeatureMap(
                    batch: batch, height: 1, width: tokens, channels: channels, base: $0.baseAddress!)
                module(map, into: map, on: runtime)
            }
            let output = Tensor(shape: [batch, tokens, channels], values: x)
            let floor = try #require(json.number("noise_floor_fp32_vs_fp64", name, "max_abs_diff"))
            let error = distance(output, try tensors.tensor("\(name).out"))
            #expect(error <= 4 * floor, "\(name) \(isa): \(error) against \(floor)")
        }
    }

    /// The terms of the hybrid distillation, from both networks' answers.
    @Test(.enabled(if: Fixtures.hasShared)) func fidelityOfDistillation() throws {
        let path = try #require(Fixtures.shared("golden/lit/tiny-distill.case.safetensors"))
        let tensors = try SafetensorsFile(path: path)
        let json = try Fixtures.json(path.replacing(".case.safetensors", with: ".json"))
        let (student, teacher) = (
            try load("lit-s-2", golden("lit-tiny").json), try load("dit-s-2", golden("dit-tiny").json)
        )
        let runtime = try Runtime(threads: 2)
        let process = try GaussianDiffusion(schedule: .linear())
        let (starts, noises) = (try tensors.tensor("x0"), try tensors.tensor("noise"))
        let steps = try tensors.int64s(of: "t").map(Int.init)
        let size = starts.count / steps.count
        func part(_ tensor: Tensor, _ index: Int, _ size: Int) -> [Float] {
            Array(tensor.values[index * size..<(index + 1) * size])
        }
        let samples = steps.indices.flatMap {
            process.noised(part(starts, $0, size), with: part(noises, $0, size), at: steps[$0])
        }
        let condition = Condition.labels(try tensors.int64s(of: "y").map(Int.init))
        let answers = try [student, teacher].map {
            try $0(
                Tensor(shape: starts.shape, values: samples), timesteps: steps.map { Float($0) }, condition: condition,
                on: runtime)
        }
        var own: [String: [Float]] = [
            "x_t": samples, "student_out": answers[0].values, "teacher_out": answers[1].values,
        ]
        for (index, step) in steps.enumerated() {
            let loss = process.loss(
                .squaredError, start: part(starts, index, size), noise: part(noises, index, size),
                output: part(answers[0], index, 2 * size)[...], at: step)
            let distillation = DistillationLoss(
                student: part(answers[0], index, 2 * size)[...], teacher: part(answers[1], index, 2 * size)[...])
            own["mse", default: []].append(try #require(loss.meanSquaredError))
            own["vb", default: []].append(try #require(loss.variational))
            own["simple", default: []].append(loss.total)
            own["noise_kd", default: []].append(distillation.noise)
            own["var_kd", default: []].append(distillation.variance)
            own["total_0.5_0.05", default: []].append(loss.total + distillation.weighted())
            own["total_1.0_0.05", default: []].append(loss.total + distillation.weighted(noise: 1))
        }
        #expect(Set(tensors.names.filter { !["t", "y", "x0", "noise"].contains($0) }) == Set(own.keys))
        for (name, values) in own {
            let expected = try tensors.tensor(name)
            let floor = try #require(json.number("noise_floor_fp32_vs_fp64", name, "max_abs_diff"))
            let error = distance(Tensor(shape: expected.shape, values: values), expected)
            #expect(error <= max(4 * floor, 1e-6), "\(name): \(error) against \(floor)")
        }
    }

    /// LiT takes over every tensor of a DiT but those of its attention.
    @Test(.enabled(if: Fixtures.hasShared)) func namesAllowInheritance() throws {
        let sets = try Fixtures.json(try #require(Fixtures.shared("golden/lit/inheritance-tiny.json")))
        func names(_ card: String, _ golden: String) throws -> Set<String> {
            let config = hyperparameters(try self.golden(golden).json["config"])
            return Set(try Registry.tensors(of: Registry.card(named: card), hyperparameters: config).map(\.name))
        }
        let (teacher, student) = (try names("dit-s-2", "dit-tiny"), try names("lit-s-2", "lit-tiny"))
        func expected(_ name: String) throws -> Set<String> {
            Set(try #require(sets[name] as? [String])).subtracting(["pos_embed"])
        }
        let inherited = teacher.intersection(student).filter { !$0.contains("attn") }
        #expect(teacher == (try expected("teacher_tensors")))
        #expect(inherited == (try expected("inherited")))
        #expect(student.subtracting(inherited) == (try expected("fresh_in_student")))
        #expect(teacher.subtracting(inherited) == (try expected("dropped_from_teacher")))
    }
}

#if DEBUG
    private let isOptimised = false
#else
    private let isOptimised = true
#endif

/// Seeded weights under the names of diffusers.
private struct DiffusersNames: TensorSource {
    let name = "diffusers"
    private let official = SeededSource(seed: 1)
    private let shapes: [String: [Int]]
    /// Where a tensor comes from: an official name, and which third of it.
    private let origins: [String: (name: String, third: Int?)]

    init(official tensors: [(name: String, shape: [Int])]) {
        var shapes: [String: [Int]] = [:]
        var origins: [String: (name: String, third: Int?)] = [:]
        let depth = tensors.filter { $0.name.hasSuffix("attn.qkv.weight") }.count
        func add(_ name: String, _ shape: [Int], _ origin: String, _ third: Int? = nil) {
            (shapes[name], origins[name]) = (shape, (origin, third))
        }
        for (name, shape) in tensors {
            var parts = name.split(separator: ".").map(String.init)
            let end = parts.removeLast()
            switch parts.first {
            case "x_embedder": add("pos_embed.proj.\(end)", shape, name)
            case "t_embedder", "y_embedder":
                let own =
                    parts[0] == "y_embedder"
                    ? "class_embedder.embedding_table" : "timestep_embedder.linear_\(parts[2] == "0" ? 1 : 2)"
                for block in 0..<depth { add("transformer_blocks.\(block).norm1.emb.\(own).\(end)", shape, name) }
            case "final_layer": add("proj_out_\(parts[1] == "linear" ? 2 : 1).\(end)", shape, name)
            default:
                let scope = "transformer_blocks.\(parts[1])"
                let names = [
                    "adaLN_modulation.1": "norm1.linear", "attn.proj": "attn1.to_out.0", "mlp.fc1": "ff.net.0.proj",
                    "mlp.fc2": "ff.net.2",
                ]
                if let own = names[parts.dropFirst(2).joined(separator: ".")] {
                    add("\(scope).\(own).\(end)", shape, name)
                } else {
                    for (third, letter) in ["q", "k", "v"].enumerated() {
                        add("\(scope).attn1.to_\(letter).\(end)", [shape[0] / 3] + shape.dropFirst(), name, third)
                    }
                }
            }
        }
        (self.shapes, self.origins) = (shapes, origins)
    }

    var tensorNames: [String]? { shapes.keys.sorted() }
    func info(_ tensor: String) -> TensorInfo? { shapes[tensor].map { TensorInfo(shape: $0, dtype: .float32) } }

    func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
        let origin = try #require(origins[tensor])
        guard let third = origin.third else {
            return try official.read(origin.name, shape: shape, into: destination)
        }
        var whole = [Float](repeating: 0, count: 3 * destination.count)
        try whole.withUnsafeMutableBufferPointer {
            try official.read(origin.name, shape: [3 * shape[0]] + shape.dropFirst(), into: $0)
        }
        for index in destination.indices { destination[index] = whole[third * destination.count + index] }
    }
}

/// Seeded weights of a LiT whose queries, keys and values are one tensor `qkv`.
private struct FusedProjections: TensorSource {
    let name = "fused"
    private let official = SeededSource(seed: 1)
    private let shapes: [String: [Int]]

    init(apart tensors: [(name: String, shape: [Int])]) {
        var shapes: [String: [Int]] = [:]
        for (name, shape) in tensors where !name.contains("attn.kv.") {
            let isQuery = name.contains("attn.q.")
            shapes[name.replacing("attn.q.", with: "attn.qkv.")] = [shape[0] * (isQuery ? 3 : 1)] + shape.dropFirst()
        }
        self.shapes = shapes
    }

    var tensorNames: [String]? { shapes.keys.sorted() }
    func info(_ tensor: String) -> TensorInfo? { shapes[tensor].map { TensorInfo(shape: $0, dtype: .float32) } }

    func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
        guard tensor.contains("attn.qkv.") else { return try official.read(tensor, shape: shape, into: destination) }
        let (width, third) = (shape[0] / 3, destination.count / 3)
        for (own, rows, first, count) in [("q", width, 0, third), ("kv", 2 * width, third, 2 * third)] {
            try official.read(
                tensor.replacing("attn.qkv.", with: "attn.\(own)."), shape: [rows] + shape.dropFirst(),
                into: UnsafeMutableBufferPointer(rebasing: destination[first..<first + count]))
        }
    }
}
