import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// Measures forward passes of one network.
public final class ModelBenchmark {
    /// Rounding differs between instruction sets by about 1e-6 of the logits' length through a whole network; the
    /// smallest mistakes (another epsilon in a norm) already move them by more than 1e-5. In bf16 a difference of 1e-7
    /// before an input is rounded can become one of 4e-3 after it, so that after a few layers two instruction sets differ
    /// as much as either does from float32.
    static func tolerance(_ precision: Precision) -> Double { precision == .fp32 ? 1e-5 : 2e-2 }

    private let card: ModelCard
    private let model: any Network
    private let weights: String
    private let precision: Precision
    /// The output for the gate's images by reference implementation, computed once.
    private var references: [InstructionSet: (size: ImageSize, output: [Float])] = [:]

    /// - Parameters:
    ///   - model: loaded for `card`.
    ///   - weights: what the report calls the weights.
    ///   - precision: in which the model was loaded.
    public init(
        _ card: ModelCard, _ model: any Network, weights: String, precision: Precision = .fp32
    ) {
        self.card = card
        self.model = model
        self.weights = weights
        self.precision = precision
    }

    /// Height and width of an input image in pixels.
    public struct ImageSize: Sendable, Codable, Equatable {
        public let height: Int
        public let width: Int

        public init(height: Int, width: Int) {
            self.height = height
            self.width = width
        }

        /// `224` for a square, `224x160` otherwise.
        public var description: String { height == width ? "\(height)" : "\(height)x\(width)" }
    }

    /// Checks the network on this runtime, then times it.
    ///
    /// - Parameters:
    ///   - roofline: of the same instruction set and threads; `nil` leaves the share out.
    ///   - profiled: whether to add where the time goes, from passes of their own.
    /// - Throws: `ZooError` of kind `gateFailed` if the output disagrees with the reference or between two runs; of kind
    ///   `usage` if the network can't take the size.
    public func row(
        size: ImageSize, batch: Int, plan: MeasurementPlan, roofline: Roofline?, profiled: Bool, on runtime: Runtime
    ) throws -> ModelRow {
        let agreement = try gate(size: size, on: runtime)
        let pass = try Pass(model, card, size: size, batch: batch)
        try pass.run(on: runtime)
        let first = Array(pass.output.values)
        let isolated = ProcessUsage.resetPeak()
        let measurement = try Measurement(plan) { try pass.run(on: runtime) }
        guard Agreement.sameBits(first, pass.output.values) else {
            throw ZooError(.gateFailed, "two runs of \(card.name) give different outputs", at: "\(size.description)")
        }
        let macs = pass.costPerImage
        let perSecond = Double(batch) / measurement.statistics.median
        let gmacs = Double(macs.convolutions + macs.attention) * 1e-9
        let settings = "batch \(batch) threads \(runtime.threads) \(runtime.instructionSet.rawValue)"
        return ModelRow(
            id: "\(card.name) \(size.description) \(settings) \(precision.rawValue)", model: card.name,
            weights: weights, size: size,
            batch: batch, threads: runtime.threads,
            instructionSet: runtime.instructionSet.rawValue, precision: precision.rawValue, agreement: agreement,
            measurement: measurement, imagesPerSecond: perSecond, gmacsPerImage: gmacs,
            gmacPerSecond: gmacs * perSecond, rooflineShare: roofline.map { 2 * gmacs * perSecond / $0.gflops },
            peakMemory: isolated ? ProcessUsage.peakBytes : nil,
            profile: profiled ? try LayerProfile(of: pass, on: runtime) : nil)
    }

    /// The output for two small images on this runtime against a slower implementation.
    private func gate(size: ImageSize, on runtime: Runtime) throws -> Agreement {
        // The specification would take minutes for the largest networks.
        let own = runtime.instructionSet
        let isLarge = model is Autoencoder || model is InceptionNetwork
        let reference: InstructionSet = own == .ref || isLarge && own != .portable ? .portable : .ref
        let (gateSize, expected) = try expected(size: size, by: reference)
        let pass = try Pass(model, card, size: gateSize, batch: 2)
        try pass.run(on: runtime)
        let first = Array(pass.output.values)
        try pass.run(on: runtime)
        let agreement = Agreement(
            reference: reference.rawValue, relativeError: Agreement.relativeError(first, expected),
            tolerance: Self.tolerance(precision), repeatable: Agreement.sameBits(first, pass.output.values))
        guard agreement.passed else {
            throw ZooError(
                .gateFailed, "\(card.name) on \(runtime.instructionSet.rawValue): \(agreement.description)",
                hint: "no speed is reported for wrong results")
        }
        return agreement
    }

    /// A small input is enough for the gate, as every kernel runs on it; a network that only takes its own size gets
    /// that.
    private func expected(
        size: ImageSize, by reference: InstructionSet
    ) throws -> (size: ImageSize, output: [Float]) {
        if let known = references[reference] { return known }
        let runtime = try Runtime(instructionSet: reference)
        let small = ImageSize(height: min(64, size.height), width: min(64, size.width))
        for candidate in [small, size] {
            let pass = try Pass(model, card, size: candidate, batch: 2)
            do {
                try pass.run(on: runtime)
            } catch {
                guard error.kind == .usage, candidate != size else { throw error }
                continue
            }
            let result = (size: candidate, output: Array(pass.output.values))
            references[reference] = result
            return result
        }
        throw ZooError(.internal, "no image size for the correctness check of \(card.name)")
    }
}

/// One forward pass with memory of its own for inputs and output.
final class Pass {
    /// Logits, what a generator's network answers, the images of an autoencoder's decoder, or pooled features.
    let output: PackedFloats
    let costPerImage: Cost
    private let input: PackedFloats
    private let subject: Subject
    private let batch: Int
    private let height: Int
    private let width: Int

    private enum Subject {
        case classifier(any ImageClassifier)
        case denoiser(any Denoiser, timesteps: [Float], Condition)
        case decoder(Autoencoder)
        case inception(InceptionNetwork)
    }

    /// - Throws: `ZooError` of kind `usage` for a network without logits, a size it can't take or a batch beyond the
    ///   address space.
    init(_ model: any Network, _ card: ModelCard, size: ModelBenchmark.ImageSize, batch: Int) throws(ZooError) {
        self.batch = batch
        if let classifier = model as? any ImageClassifier {
            guard classifier.classes > 0 else { throw ZooError(.usage, "a dense-prediction backbone has no logits") }
            (height, width) = (size.height, size.width)
            subject = .classifier(classifier)
            input = try Self.input([batch, height, width, 3])
            output = PackedFloats(count: batch * classifier.classes)
            costPerImage = classifier.cost(height: height, width: width)
        } else if let denoiser = model as? any Denoiser {
            let factor = card.preprocessing.inputHeight / denoiser.sampleSize
            (height, width) = (size.height / factor, size.width / factor)
            guard size.height == height * factor, size.width == width * factor else {
                throw ZooError(
                    .usage, "images of this size have no samples", expected: "sides that are multiples of \(factor)",
                    found: size.description)
            }
            subject = .denoiser(
                denoiser, timesteps: [Float](repeating: 321, count: batch),
                Self.condition(denoiser.conditioning, batch))
            input = try Self.input([batch, denoiser.channels, height, width])
            output = PackedFloats(count: batch * denoiser.outputChannels * height * width)
            costPerImage = denoiser.cost(height: height, width: width)
        } else if let autoencoder = model as? Autoencoder {
            (height, width) = (size.height / autoencoder.factor, size.width / autoencoder.factor)
            guard size.height == height * autoencoder.factor, size.width == width * autoencoder.factor, height > 0,
                width > 0
            else {
                throw ZooError(
                    .usage, "images of this size have no latents",
                    expected: "sides that are multiples of \(autoencoder.factor)", found: size.description)
            }
            subject = .decoder(autoencoder)
            input = try Self.input([batch, height, width, autoencoder.latentChannels])
            output = PackedFloats(count: batch * size.height * size.width * autoencoder.imageChannels)
            costPerImage = autoencoder.decodingCost(height: height, width: width)
        } else if let inception = model as? InceptionNetwork {
            (height, width) = (size.height, size.width)
            subject = .inception(inception)
            input = try Self.input([batch, height, width, 3])
            output = PackedFloats(count: batch * InceptionNetwork.featureWidth)
            costPerImage = inception.cost
        } else {
            throw ZooError(.usage, "\(card.name) has no forward pass that could be measured")
        }
    }

    /// The seeded images of a batch.
    private static func input(_ shape: [Int]) throws(ZooError) -> PackedFloats {
        var floats = 1
        for factor in shape {
            let product = floats.multipliedReportingOverflow(by: factor)
            guard !product.overflow, product.partialValue < 1 << 34 else {
                throw ZooError(
                    .usage, "the batch is too large", at: "--batch", expected: "at most 64 GiB",
                    found: "\(shape[0]) images")
            }
            floats = product.partialValue
        }
        return PackedFloats(SeededSource.uniform("images", shape: shape).values)
    }

    private static func condition(_ kind: Conditioning, _ batch: Int) -> Condition {
        switch kind {
        case .labels(let count): .labels((0..<batch).map { $0 % count })
        case .captions(let tokens, let channels):
            .captions(
                Captions(
                    features: SeededSource.uniform("captions", shape: [batch, tokens, channels]),
                    isPresent: [Bool](repeating: true, count: batch * tokens)))
        }
    }

    func run(on runtime: Runtime) throws(ZooError) {
        let values = UnsafePointer(input.base)
        switch subject {
        case .classifier(let classifier):
            let images = ImageBatch(batch: batch, height: height, width: width, values: values)
            try classifier.forward(images, into: ClassifierOutput(logits: output.base), on: runtime)
        case .denoiser(let denoiser, let timesteps, let condition):
            let samples = SampleBatch(
                batch: batch, channels: denoiser.channels, height: height, width: width, values: values)
            try denoiser.forward(samples, timesteps: timesteps, condition: condition, into: output.base, on: runtime)
        case .decoder(let autoencoder):
            let latents = ImageBatch(
                batch: batch, height: height, width: width, channels: autoencoder.latentChannels, values: values)
            try autoencoder.decode(latents, into: output.base, on: runtime)
        case .inception(let network):
            let images = ImageBatch(batch: batch, height: height, width: width, values: values)
            try network.forward(images, into: InceptionOutput(pool3: output.base), on: runtime)
        }
    }
}
