import ZooCore

/// How a sample is drawn from noise.
public enum Sampler: Sendable, Equatable {
    /// The ancestral sampler of arXiv 2006.11239.
    case ddpm
    /// The implicit sampler of arXiv 2010.02502; deterministic at eta 0.
    case ddim(eta: Float = 0)
}

extension GaussianDiffusion {
    /// Draws samples, from the noisiest step to the cleanest.
    ///
    /// - Parameters:
    ///   - start: standard normal noise, [batch, ...].
    ///   - clipped: whether every predicted x_0 is clamped to -1...1; DiT and LiT sample without.
    ///   - noise: standard normal noise of a shape, asked for at every step, also where it has no effect: the official
    ///     code draws it always, so the same stream gives the same samples.
    ///   - network: the answer to a batch of samples at training step `timestep`: [batch, twice the channels, ...] with
    ///     learned variances, else the shape of the samples.
    ///   - step: called after every step with the index (counting down to 0), the samples and the predicted x_0.
    /// - Returns: the samples, in the shape of `start`.
    public func sample(
        _ sampler: Sampler, from start: Tensor, clipped: Bool = false,
        noise: (_ shape: [Int]) throws -> Tensor,
        network: (_ samples: Tensor, _ timestep: Int) throws -> Tensor,
        step: (_ index: Int, _ samples: Tensor, _ starts: Tensor) throws -> Void = { _, _, _ in }
    ) throws -> Tensor {
        let batch = start.shape.first ?? 0
        guard batch > 0 else { return start }
        let size = start.count / batch
        var samples = start
        for index in timesteps.indices.reversed() {
            let output = try network(samples, timesteps[index])
            precondition(output.count == start.count * (variance == .learnedRange ? 2 : 1))
            let drawn = try noise(start.shape)
            var (next, starts): ([Float], [Float]) = ([], [])
            next.reserveCapacity(start.count)
            starts.reserveCapacity(start.count)
            for image in 0..<batch {
                let own = Array(samples.values[image * size..<(image + 1) * size])
                let answer = output.values[image * (output.count / batch)..<(image + 1) * (output.count / batch)]
                let back = stepBack(from: own, output: answer, at: index, clipped: clipped)
                let fresh = Array(drawn.values[image * size..<(image + 1) * size])
                switch sampler {
                case .ddpm: next += ancestralStep(back, noise: fresh, at: index)
                case .ddim(let eta): next += implicitStep(back, sample: own, eta: eta, noise: fresh, at: index)
                }
                starts += back.start
            }
            samples = Tensor(shape: start.shape, values: next)
            try step(index, samples, Tensor(shape: start.shape, values: starts))
        }
        return samples
    }
}
