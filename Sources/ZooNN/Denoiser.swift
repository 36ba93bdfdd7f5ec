import ZooCore

/// A diffusion model's network: from noisy samples, their timesteps and a condition to the noise in them. Conforming types
/// are immutable and safe to share between threads; every thread brings its own `Runtime`.
///
/// Samples have PyTorch's layout, channels first: they are small, and samplers take their channels apart.
public protocol Denoiser: Network {
    /// Channels C of a sample.
    var channels: Int { get }
    /// Channels of the answer: C for the noise, and C more where the variance is learned.
    var outputChannels: Int { get }
    /// Rows and columns of the samples that the network was made for.
    var sampleSize: Int { get }
    /// What the network can be told to draw.
    var conditioning: Conditioning { get }
    /// The condition that says nothing, for guidance; as many samples and of the same kind as `condition`. `nil` for a
    /// network that was trained without.
    func unconditional(for condition: Condition) -> Condition?
    /// Multiply-adds for one sample of this size.
    func cost(height: Int, width: Int) -> Cost

    /// Runs the network in the runtime's memory: after the first pass over a batch size it allocates nothing, but for
    /// the lists of a caption's tokens.
    ///
    /// - Parameters:
    ///   - samples: (batch, C, height, width)
    ///   - timesteps: of the training process, one per sample.
    ///   - condition: of the kind that `conditioning` names, one per sample.
    ///   - output: room for (batch, outputChannels, height, width).
    /// - Throws: `ZooError` of kind `usage` for a size or condition that the network can't take.
    func forward(
        _ samples: SampleBatch, timesteps: [Float], condition: Condition, into output: UnsafeMutablePointer<Float>,
        on runtime: Runtime) throws(ZooError)
}

/// Samples with channels first, in memory that the caller owns.
public struct SampleBatch {
    public let batch: Int
    public let channels: Int
    public let height: Int
    public let width: Int
    /// (batch, channels, height, width)
    public let values: UnsafePointer<Float>

    public init(batch: Int, channels: Int, height: Int, width: Int, values: UnsafePointer<Float>) {
        self.batch = batch
        self.channels = channels
        self.height = height
        self.width = width
        self.values = values
    }
}

/// The kind of condition that a network takes.
public enum Conditioning: Sendable, Equatable {
    /// A class below `count`.
    case labels(count: Int)
    /// A text encoder's features: up to `tokens` vectors of `channels` numbers.
    case captions(tokens: Int, channels: Int)
}

/// What samples are to show.
public enum Condition: Sendable, Equatable {
    /// One class per sample.
    case labels([Int])
    /// One caption per sample.
    case captions(Captions)

    /// The number of samples.
    public var count: Int {
        switch self {
        case .labels(let labels): labels.count
        case .captions(let captions): captions.features.shape[0]
        }
    }

    /// The conditions of some of the samples, which may be named more than once.
    ///
    /// - Precondition: every index is below `count`.
    public func selecting(_ indices: [Int]) -> Condition {
        switch self {
        case .labels(let labels): return .labels(indices.map { labels[$0] })
        case .captions(let captions):
            let (shape, values) = (captions.features.shape, captions.features.values)
            let (tokens, size) = (shape[1], shape[1] * shape[2])
            return .captions(
                Captions(
                    features: Tensor(
                        shape: [indices.count] + shape.dropFirst(),
                        values: indices.flatMap { values[$0 * size..<($0 + 1) * size] }),
                    isPresent: indices.flatMap { captions.isPresent[$0 * tokens..<($0 + 1) * tokens] }))
        }
    }

    /// These samples and then those, of the same kind.
    package func followed(by other: Condition) -> Condition {
        switch (self, other) {
        case (.labels(let a), .labels(let b)): return .labels(a + b)
        case (.captions(let a), .captions(let b)):
            let shape = [a.features.shape[0] + b.features.shape[0]] + a.features.shape.dropFirst()
            return .captions(
                Captions(
                    features: Tensor(shape: shape, values: a.features.values + b.features.values),
                    isPresent: a.isPresent + b.isPresent))
        default: preconditionFailure("conditions of two kinds")
        }
    }
}

/// A text encoder's features of some captions.
public struct Captions: Sendable, Equatable {
    /// (captions, tokens, channels)
    public let features: Tensor
    /// Which tokens belong to the caption: tokens of the first caption, of the second, ...
    public let isPresent: [Bool]

    /// - Precondition: `features` has three dimensions and `isPresent` an entry for each of its tokens.
    public init(features: Tensor, isPresent: [Bool]) {
        precondition(features.shape.count == 3 && isPresent.count == features.shape[0] * features.shape[1])
        self.features = features
        self.isPresent = isPresent
    }
}

extension Denoiser {
    /// The answer to a batch of samples: the convenient form for applications.
    ///
    /// - Parameters:
    ///   - samples: (batch, C, height, width)
    ///   - timesteps: one per sample.
    /// - Returns: (batch, outputChannels, height, width)
    /// - Throws: `ZooError` of kind `usage` if shapes or condition don't fit the network.
    public func callAsFunction(
        _ samples: Tensor, timesteps: [Float], condition: Condition, on runtime: Runtime
    ) throws(ZooError) -> Tensor {
        guard samples.shape.count == 4, samples.shape[1] == channels, samples.count > 0 else {
            throw ZooError(
                .usage, "samples have the wrong shape", expected: "(batch, \(channels), height, width)",
                found: "\(samples.shape)")
        }
        let (batch, height, width) = (samples.shape[0], samples.shape[2], samples.shape[3])
        guard timesteps.count == batch, condition.count == batch else {
            throw ZooError(
                .usage, "samples, timesteps and conditions differ in number", expected: "\(batch) of each",
                found: "\(timesteps.count) timesteps, \(condition.count) conditions")
        }
        var output = [Float](repeating: 0, count: batch * outputChannels * height * width)
        var failure: ZooError?
        samples.withUnsafeValues { values in
            output.withUnsafeMutableBufferPointer { destination in
                guard let from = values.baseAddress, let to = destination.baseAddress else { return }
                do throws(ZooError) {
                    try forward(
                        SampleBatch(batch: batch, channels: channels, height: height, width: width, values: from),
                        timesteps: timesteps, condition: condition, into: to, on: runtime)
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
        return Tensor(shape: [batch, outputChannels, height, width], values: output)
    }

    /// The answer with classifier-free guidance: the network sees every sample with its condition and without, and the
    /// difference of the two answers is stretched.
    ///
    /// - Parameters:
    ///   - scale: 1 for the conditional answer.
    ///   - guided: how many of the first channels are guided; the others, the variances among them, are those of the
    ///     conditional answer. The official code of DiT and LiT guides three, whatever the number of noise channels.
    /// - Returns: (batch, outputChannels, height, width)
    /// - Throws: `ZooError` of kind `usage` for a network without an unconditional answer, and as `callAsFunction`.
    public func guided(
        _ samples: Tensor, timesteps: [Float], condition: Condition, scale: Float, channels guided: Int,
        on runtime: Runtime
    ) throws(ZooError) -> Tensor {
        guard let unconditional = unconditional(for: condition) else {
            throw ZooError(.usage, "the network was trained without an unconditional answer: it can't be guided")
        }
        let shape = samples.shape
        let both = try self(
            Tensor(shape: [2 * (shape.first ?? 0)] + shape.dropFirst(), values: samples.values + samples.values),
            timesteps: timesteps + timesteps, condition: condition.followed(by: unconditional), on: runtime)
        let (half, plane) = (both.count / 2, shape[2] * shape[3])
        var values = Array(both.values.prefix(half))
        for index in values.indices where index / plane % outputChannels < guided {
            let free = both.values[half + index]
            values[index] = free + scale * (values[index] - free)
        }
        return Tensor(shape: [shape[0]] + both.shape.dropFirst(), values: values)
    }
}
