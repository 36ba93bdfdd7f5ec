import ZooCore
import ZooImage
import ZooModels
import ZooNN

/// Turns the latents that a diffusion model draws into pictures.
public final class LatentDecoder {
    public let card: ModelCard
    public let weights: WeightsRecord
    private let network: Autoencoder
    private let scalingFactor: Float
    private let tile: Int?
    private let rounding: SampleRounding
    private let runtime: Runtime

    /// - Parameters:
    ///   - card: of an image autoencoder.
    ///   - tile: latent pixels of a tile's side, to bound the memory; `nil` decodes images whole.
    /// - Throws: `ZooError` if the model is no autoencoder or the weights do not fit it.
    public init(
        card: ModelCard, weights: ResolvedWeights, tile: Int? = nil, rounding: SampleRounding = .adm,
        runtime: Runtime
    ) throws {
        network = try Registry.loadAutoencoder(card, from: weights.source, parts: .decoder)
        scalingFactor = AutoencoderKL.scalingFactor(of: card)
        self.card = card
        self.weights = weights.record()
        self.tile = tile
        self.rounding = rounding
        self.runtime = runtime
    }

    /// What pictures owe to it, as results, records and pictures name it.
    var parameters: [String: String] {
        ["autoencoder": weights.sha256 ?? weights.source].merging(tile.map { ["tile": "\($0)"] } ?? [:]) { $1 }
    }

    /// The pictures of latents as a diffusion model leaves them, one after the other.
    ///
    /// - Parameter latents: (batch, 4, height, width)
    /// - Throws: `ZooError` of kind `usage` for latents of another shape.
    public func pictures(of latents: Tensor) throws -> [RGBImage] {
        guard latents.shape.count == 4, latents.shape[1] == network.latentChannels, latents.count > 0 else {
            throw ZooError(
                .usage, "\(card.name) cannot decode these samples", expected: "(B, \(network.latentChannels), h, w)",
                found: "\(latents.shape)")
        }
        let (batch, height, width) = (latents.shape[0], latents.shape[2], latents.shape[3])
        let scaled = Tensor(shape: latents.shape, values: latents.values.map { $0 / scalingFactor }).channelsLast()
        let size = (height: network.factor * height, width: network.factor * width)
        var image = [Float](repeating: 0, count: size.height * size.width * network.imageChannels)
        return try (0..<batch).map { index in
            try scaled.withUnsafeValues { values in
                try image.withUnsafeMutableBufferPointer { image in
                    guard let values = values.baseAddress, let output = image.baseAddress else { return }
                    let one = ImageBatch(
                        batch: 1, height: height, width: width, channels: network.latentChannels,
                        values: values + index * height * width * network.latentChannels)
                    try network.decode(one, into: output, tile: tile, on: runtime)
                }
            }
            return rounding.image(image, height: size.height, width: size.width)
        }
    }
}
