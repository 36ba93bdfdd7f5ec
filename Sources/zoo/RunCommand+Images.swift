import ZooCore
import ZooIO
import ZooImage
import ZooModels
import ZooNN

extension SafetensorsFile {
    /// `noise` for the latents of images, where the file has it.
    ///
    /// - Throws: `ZooError` of kind `badData` that names file and tensor.
    fileprivate func noise(for images: Tensor, _ network: Autoencoder) throws -> Tensor? {
        guard info("noise") != nil else { return nil }
        let noise = try self.images("noise", channels: network.latentChannels)
        let size = images.shape.dropFirst(2).map { network.latentSize($0) }
        let expected = [images.shape[0], network.latentChannels] + size
        guard noise.shape == expected else {
            throw ZooError(
                .badData, "tensor has another shape", file: name, at: "noise", expected: "\(expected)",
                found: "\(noise.shape)")
        }
        return noise
    }
}

extension RunCommand {
    /// `latent` to `image`, `image` to `moments`; with `noise` to `sample` too.
    func runAutoencoder(
        _ card: ModelCard, _ source: any TensorSource, _ configuration: ConfigurationFile?, _ file: SafetensorsFile,
        on runtime: Runtime
    ) throws {
        try refuseIntermediates(of: card)
        let encodes = file.info("image") != nil || file.info("latent") == nil
        let network = try naming(configuration) {
            try Registry.loadAutoencoder(
                card, from: source, hyperparameters: configuration?.hyperparameters, precision: precision.precision,
                parts: encodes ? .both : .decoder)
        }
        let latents = file.info("latent") == nil ? nil : try file.images("latent", channels: network.latentChannels)
        let images = encodes ? try file.images("image", channels: network.imageChannels) : nil
        guard latents != nil || tile == nil else {
            throw ZooError(.usage, "only decoding goes by tiles", at: "--tile", hint: "\(file.name) has no 'latent'")
        }
        let noise = try images.flatMap { try file.noise(for: $0, network) }
        try Output.check(file: output)
        precision.announce(on: runtime.instructionSet)
        var results: [(String, Tensor)] = []
        if let latents {
            let side = network.factor
            let size = [side * latents.shape[2], side * latents.shape[3], network.imageChannels]
            let decoded = try Self.map(latents, to: size) { batch, output in
                try network.decode(batch, into: output, tile: tile, on: runtime)
            }
            results.append(("image", decoded.channelsFirst()))
        }
        if let images {
            let size = [
                network.latentSize(images.shape[2]), network.latentSize(images.shape[3]), 2 * network.latentChannels,
            ]
            let moments = try blaming("image") {
                try Self.map(images, to: size) { batch, output in
                    try network.encode(batch, into: output, on: runtime)
                }
            }
            results.append(("moments", moments.channelsFirst()))
            if let noise {
                let sample = try LatentDistribution(moments: moments).sample(noise: noise.channelsLast())
                results.append(("sample", sample.channelsFirst()))
            }
        }
        try write(results, card, source)
    }

    /// `images` in 0...255 to `pool3`, `spatial`, `logits` and `logits_unbiased`.
    func runInception(
        _ card: ModelCard, _ source: any TensorSource, _ configuration: ConfigurationFile?, _ file: SafetensorsFile,
        on runtime: Runtime
    ) throws {
        try refuseIntermediates(of: card)
        if let configuration {
            throw ZooError(.usage, "\(card.name) has no hyper-parameters", at: "--config", found: configuration.path)
        }
        let network = try Registry.loadInception(from: source, precision: precision.precision)
        let images = try file.images("images", channels: 3).channelsLast()
        try Output.check(file: output)
        precision.announce(on: runtime.instructionSet)
        let count = images.shape[0]
        let pool3 = OutputBuffer([count, InceptionNetwork.featureWidth])
        let spatial = OutputBuffer([count, InceptionNetwork.spatialWidth])
        let logits = OutputBuffer([count, InceptionNetwork.classes])
        let unbiased = OutputBuffer([count, InceptionNetwork.classes])
        let (side, size) = (InceptionNetwork.inputSize, images.count / count)
        for image in 0..<count {
            let values = Array(images.values[image * size..<(image + 1) * size])
            let pixels = Tensor(shape: Array(images.shape[1...]), values: values)
            try FeatureResizing.tensorflow.networkInput(pixels, size: side).withUnsafeValues { values in
                guard let base = values.baseAddress else { return }
                try network.forward(
                    ImageBatch(batch: 1, height: side, width: side, values: base),
                    into: InceptionOutput(
                        pool3: pool3.pointer(row: image), spatial: spatial.pointer(row: image),
                        logits: logits.pointer(row: image), unbiasedLogits: unbiased.pointer(row: image)), on: runtime)
            }
        }
        let named = [("pool3", pool3), ("spatial", spatial), ("logits", logits), ("logits_unbiased", unbiased)]
        try write(named.map { ($0.0, $0.1.tensor) }, card, source)
    }

    private func refuseIntermediates(of card: ModelCard) throws(ZooError) {
        if intermediates { throw ZooError(.usage, "\(card.name) has no stages", at: "--intermediates") }
    }

    /// Runs `body` on a whole batch (B, C, H, W).
    ///
    /// - Parameter size: of one result, channels last.
    private static func map(
        _ images: Tensor, to size: [Int],
        _ body: (_ batch: ImageBatch, _ output: UnsafeMutablePointer<Float>) throws -> Void
    ) throws -> Tensor {
        let pixels = images.channelsLast()
        let result = OutputBuffer([images.shape[0]] + size)
        try pixels.withUnsafeValues { values in
            guard let base = values.baseAddress else { return }
            let batch = ImageBatch(
                batch: pixels.shape[0], height: pixels.shape[1], width: pixels.shape[2], channels: pixels.shape[3],
                values: base)
            try body(batch, result.pointer(row: 0))
        }
        return result.tensor
    }
}
