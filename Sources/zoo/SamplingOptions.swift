import ArgumentParser
import ZooCore
import ZooDiffusion
import ZooEval
import ZooModels
import ZooNN

/// How many images a diffusion model draws, and how they become pictures. `nil` where an option is not given, so that a
/// command can refuse it for a model that does not draw.
struct SamplingOptions: ParsableArguments {
    static let maximumImages = 1_000_000
    fileprivate static let defaultSteps = "50"

    @Option(help: "Images to draw (default: one for each class or caption; 500 to evaluate).")
    var count: Int?

    @Option(
        help: """
            Steps: a number, ddimN, or numbers for equal sections of the process (default: \
            \(SamplingOptions.defaultSteps)).
            """)
    var steps: String?

    @Option(help: "ddpm or ddim (default: ddpm).")
    var sampler: SamplerName?

    @Option(help: "Noise of the ddim sampler: 0 for none, 1 for that of ddpm (default: 0).")
    var eta: Float?

    @Option(help: "Strength of classifier-free guidance; 1 for none (default: 1).")
    var guidance: Float?

    @Option(help: "Guided channels: a number, or all (default: the official code's three, or all of fewer).")
    var guidanceChannels: String?

    @Option(help: "Seed of the first image's noise (default: 0).")
    var seed: UInt64?

    @Option(
        help: """
            The autoencoder of models that draw latents: sd-vae or sdxl-vae, whose official file is found, or a file of \
            sd-vae's weights, or seeded:SEED (default: \(AutoencoderKL.defaultModel)).
            """)
    var vae: String?

    @Option(help: "Decode latents in tiles of so many of their pixels, which bounds the memory.")
    var tile: Int?

    /// The samplers' names.
    enum SamplerName: String, ExpressibleByArgument, CaseIterable {
        case ddpm, ddim
    }

    func validate() throws {
        guard (1...Self.maximumImages).contains(count ?? 1) else {
            throw ValidationError("--count must be in 1...\(Self.maximumImages)")
        }
        guard (0...1).contains(eta ?? 0) else { throw ValidationError("--eta must be in 0...1") }
        guard eta ?? 0 == 0 || sampler == .ddim else { throw ValidationError("--eta belongs to --sampler ddim") }
    }

    /// What the libraries take.
    ///
    /// - Throws: `ZooError` of kind `usage`.
    func options(for network: any Denoiser, precision: Precision) throws(ZooError) -> GenerationOptions {
        var options = GenerationOptions()
        options.respacing = steps ?? Self.defaultSteps
        if sampler == .ddim { options.sampler = .ddim(eta: eta ?? 0) }
        if let guidance { options.guidance = guidance }
        if let seed { options.seed = seed }
        options.precision = precision
        guard let text = guidanceChannels else { return options }
        guard let channels = text == "all" ? network.channels : Int(text) else {
            throw ZooError(
                .usage, "not a number of channels", at: "--guidance-channels", expected: "a number or all", found: text)
        }
        options.guidedChannels = channels
        return options
    }

    /// Whether what a model draws are latents, and no pictures yet.
    ///
    /// - Throws: `ZooError` of kind `usage` if they are pictures, and an option of the autoencoder is given.
    func needsDecoder(_ card: ModelCard, _ network: any Denoiser) throws(ZooError) -> Bool {
        let drawsLatents = network.sampleSize != card.preprocessing.inputHeight
        if !drawsLatents, let option = decoderArguments.flagNames.first {
            throw ZooError(.usage, "\(card.name) draws pictures, which need no decoder", at: option)
        }
        return drawsLatents
    }

    /// The autoencoder that makes pictures of latents.
    ///
    /// - Throws: `ZooError` if its weights are not found or do not fit it.
    func decoder(on runtime: Runtime) throws -> LatentDecoder {
        let vae = vae ?? AutoencoderKL.defaultModel
        let named = Registry.cards.first { $0.task == .autoencode && ([$0.name] + $0.aliases).contains(vae) }
        let card = try named ?? Registry.card(named: AutoencoderKL.defaultModel)
        let weights = try WeightsResolver().resolve(card, weights: named == nil ? vae : nil)
        if !weights.isTrained { Output.warning("untrained weights of \(card.name): the pictures show noise") }
        return try LatentDecoder(card: card, weights: weights, tile: tile, runtime: runtime)
    }

    private var decoderArguments: [String] { flag("--vae", vae) + flag("--tile", tile) }

    /// The flags as one writes them.
    var arguments: [String] {
        flag("--count", count) + flag("--steps", steps) + flag("--sampler", sampler?.rawValue) + flag("--eta", eta)
            + flag("--guidance", guidance) + flag("--guidance-channels", guidanceChannels) + flag("--seed", seed)
            + decoderArguments
    }
}
