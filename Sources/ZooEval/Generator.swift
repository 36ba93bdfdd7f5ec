import ZooCore
import ZooDiffusion
import ZooModels
import ZooNN

/// How samples are drawn.
public struct GenerationOptions: Sendable, Equatable {
    public var sampler = Sampler.ddpm
    /// The steps visited, as the official scripts write them: `250`, `ddim50`, ...
    public var respacing = "250"
    /// Strength of classifier-free guidance; 1 for none.
    public var guidance: Float = 1
    /// How many of the first channels are guided; `nil` for the official code's three, or all of fewer.
    public var guidedChannels: Int?
    /// Image i draws its noise from PyTorch's generator with seed + i, whatever the batch it is computed in.
    public var seed: UInt64 = 0
    public var precision = Precision.fp32

    public init() {}

    /// The options as results, records and pictures name them.
    public var parameters: [String: String] {
        let sampler =
            switch sampler {
            case .ddpm: "ddpm"
            case .ddim(let eta): "ddim, eta \(eta)"
            }
        var result = [
            "seed": "\(seed)", "sampler": sampler, "steps": respacing, "guidance": "\(guidance)",
            "precision": precision.rawValue,
        ]
        if let guidedChannels { result["guided_channels"] = "\(guidedChannels)" }
        return result
    }

    /// Everything that makes pictures what they are but for what they show: the record of a folder.
    public func parameters(
        of card: ModelCard, _ weights: WeightsRecord, decoder: LatentDecoder?
    ) -> [String: String] {
        var result = parameters.merging(decoder?.parameters ?? [:]) { $1 }
        result["model"] = card.name
        result["weights"] = weights.sha256 ?? weights.source
        return result
    }
}

/// Draws samples from a diffusion model.
public final class Generator {
    public let card: ModelCard
    public let options: GenerationOptions
    private let denoiser: any Denoiser
    private let process: GaussianDiffusion
    private let runtime: Runtime

    /// - Throws: `ZooError` if the weights don't fit the model, it is no generator, or the options contradict it.
    public init(
        card: ModelCard, weights: any TensorSource, hyperparameters: Hyperparameters? = nil,
        options: GenerationOptions, runtime: Runtime
    ) throws {
        guard options.guidance.isFinite, options.guidance >= 0 else {
            throw ZooError(
                .usage, "out of range", at: "--guidance", expected: "a number from 0 on", found: "\(options.guidance)")
        }
        do throws(ZooError) {
            steps = try GaussianDiffusion(schedule: .linear(), respacing: options.respacing).steps
        } catch {
            var error = error
            error.location = "--steps"
            throw error
        }
        denoiser = try Registry.loadDenoiser(
            card, from: weights, hyperparameters: hyperparameters, precision: options.precision)
        if let channels = options.guidedChannels, !(1...denoiser.channels).contains(channels) {
            throw ZooError(
                .usage, "out of range", at: "--guidance-channels", expected: "1...\(denoiser.channels)",
                found: "\(channels)")
        }
        process = try GaussianDiffusion(
            schedule: .linear(), respacing: options.respacing,
            variance: denoiser.outputChannels == denoiser.channels ? .fixedLarge : .learnedRange)
        self.card = card
        self.options = options
        self.runtime = runtime
    }

    /// Steps of one sample.
    public let steps: Int
    /// What the network can be told to draw.
    public var conditioning: Conditioning { denoiser.conditioning }

    /// Draws one sample for every condition.
    ///
    /// - Parameters:
    ///   - numbers: of the samples, which seed their noise.
    ///   - condition: one for each.
    ///   - step: called after every step with the steps that are left and the samples predicted at this point.
    /// - Returns: (batch, C, size, size)
    /// - Throws: `ZooError` if the conditions don't fit the network or the samples are not finite; what `step` throws.
    public func samples(
        _ numbers: [Int], _ condition: Condition,
        step: (_ left: Int, _ predicted: Tensor) throws -> Void = { _, _ in }
    ) throws -> Tensor {
        let shape = [numbers.count, denoiser.channels, denoiser.sampleSize, denoiser.sampleSize]
        let image = shape.dropFirst().reduce(1, *)
        var generators = numbers.map { TorchGenerator(seed: options.seed &+ UInt64(truncatingIfNeeded: $0)) }
        // The official code runs guided sampling on the batch twice over, and draws noise for both halves.
        let isGuided = options.guidance != 1
        func normal(_ copies: Int) -> Tensor {
            let values = generators.indices.flatMap {
                generators[$0].normal([copies] + shape.dropFirst()).values.prefix(image)
            }
            return Tensor(shape: shape, values: values)
        }
        let samples = try process.sample(
            options.sampler, from: normal(1), noise: { _ in normal(isGuided ? 2 : 1) },
            network: { samples, timestep in
                let timesteps = [Float](repeating: Float(timestep), count: samples.shape[0])
                guard isGuided else {
                    return try denoiser(samples, timesteps: timesteps, condition: condition, on: runtime)
                }
                return try denoiser.guided(
                    samples, timesteps: timesteps, condition: condition, scale: options.guidance,
                    channels: options.guidedChannels ?? min(3, denoiser.channels), on: runtime)
            },
            step: { index, _, starts in try step(index, starts) })
        if let value = samples.values.first(where: { !$0.isFinite }) {
            throw ZooError(
                .badData, "the samples of \(card.name) are no numbers: its weights are damaged or not for this model",
                expected: "finite numbers", found: "\(value)")
        }
        return samples
    }
}
