import ZooCore
import ZooNN

/// AutoencoderKL, the image autoencoder of latent diffusion: 8x8 pixels become one latent pixel of four channels.
///
/// - Paper: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752.
/// - Code: github.com/CompVis/latent-diffusion, `ldm/models/autoencoder.py`, and diffusers' `AutoencoderKL`; both
///   spellings of the tensor names are read, diffusers' old one of the attention too.
public enum AutoencoderKL {
    static let family = ModelFamily(
        name: "autoencoder-kl", aliases: ["vae"], defaultVariant: defaultModel, cards: cards,
        build: { _, hyperparameters, weights in try network(hyperparameters, weights, .both) },
        isBuffer: { name in
            // Other parts of a whole Stable Diffusion checkpoint; its schedules have names without dots.
            otherParts.contains { name.hasPrefix($0) } || !name.contains(".")
        })

    static func network(
        _ hyperparameters: Hyperparameters?, _ weights: Weights, _ parts: Autoencoder.Parts
    ) throws -> Autoencoder {
        try Autoencoder(Autoencoder.Configuration().replaced(by: hyperparameters), weights, parts)
    }

    private static let otherParts = [
        "loss.", "first_stage_model.loss.", "model.", "model_ema.", "cond_stage_model.", "conditioner.",
    ]

    private static let cards: [ModelCard] = [
        card("sd-vae", aliases: ["sd-vae-ft-mse", "sd-vae-ft-ema"], page: "huggingface.co/stabilityai/sd-vae-ft-mse"),
        card("sdxl-vae", aliases: [], page: "huggingface.co/stabilityai/sdxl-vae"),
    ]

    private static func card(_ name: String, aliases: [String], page: String) -> ModelCard {
        ModelCard(
            name: name, aliases: aliases, family: "autoencoder-kl", task: .autoencode, parameters: 83_653_863,
            gmacs: 310.020, attentionGmacs: 1.074,
            preprocessing: Preprocessing(
                inputHeight: 256, inputWidth: 256, cropPct: 1, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]),
            classes: 0, labels: "none",
            paper: "High-Resolution Image Synthesis with Latent Diffusion Models, arXiv 2112.10752",
            code: "github.com/CompVis/latent-diffusion",
            checkpoint: PublishedCheckpoint(
                page: page, file: "diffusion_pytorch_model.safetensors", licence: "MIT"))
    }

    /// The model that decodes latents unless another one is asked for.
    public static let defaultModel = "sd-vae"

    /// What latents are multiplied with after the encoder, and divided by before the decoder.
    public static func scalingFactor(of card: ModelCard) -> Float { card.name == "sdxl-vae" ? 0.13025 : 0.18215 }
}

/// The network. Immutable and safe to share between threads; every thread brings its own `Runtime`.
public struct Autoencoder: Network {
    /// What of the network is loaded.
    public enum Parts: Sendable {
        case both
        /// For decoding alone: saves the 137 MB of the encoder's weights.
        case decoder
    }

    /// The hyper-parameters, diffusers' names.
    struct Configuration: Sendable {
        var imageChannels = 3
        var latentChannels = 4
        /// C of each level, finest first.
        var widths = [128, 256, 512, 512]
        /// Residual blocks of an encoder level; a decoder level has one more.
        var blocks = 2
        var groups = 32
    }

    /// Pixels of a side that one latent pixel stands for.
    public var factor: Int { 1 << (configuration.widths.count - 1) }
    public var imageChannels: Int { configuration.imageChannels }
    public var latentChannels: Int { configuration.latentChannels }
    private let configuration: Configuration
    /// `nil` where only decoding is wanted.
    private let encoder: Encoder?
    private var decoder: Decoder

    init(_ configuration: Configuration, _ w: Weights, _ parts: Parts) {
        self.configuration = configuration
        // Without its values the encoder still says which tensors the checkpoint must have.
        let encoder = Encoder(Names(parts == .both ? w : w.unread), configuration)
        self.encoder = parts == .both ? encoder : nil
        decoder = Decoder(Names(w), configuration)
    }

    /// The same network, decoding in strips of about so many floats: for tests.
    package func decoding(inStripsOf floats: Int) -> Autoencoder {
        var copy = self
        copy.decoder.stripFloats = floats
        return copy
    }

    /// Decodes latents; latents of a diffusion model are divided by the scaling factor first.
    ///
    /// - Parameters:
    ///   - latents: [batch, height, width, 4]
    ///   - images: [batch, 8 height, 8 width, 3], about -1...1
    ///   - tile: decodes square tiles of so many latent pixels one after the other and blends them where they overlap:
    ///     memory no longer grows with the image. The norms then see only their tile, so the result is close to, not
    ///     equal to, that of `nil`.
    /// - Complexity: memory of 256 floats per pixel, beside the weights: 1.1 GB for an image of 1024 x 1024.
    /// - Throws: `ZooError` of kind `usage` for latents or tiles of another shape.
    public func decode(
        _ latents: ImageBatch, into images: UnsafeMutablePointer<Float>, tile: Int? = nil, on runtime: Runtime
    ) throws(ZooError) {
        try check(latents, "latents", channels: latentChannels, atLeast: 1)
        let x = FeatureMap(latents)
        let output = FeatureMap(
            batch: x.batch, height: factor * x.height, width: factor * x.width, channels: imageChannels, base: images)
        try forEachTile(of: x, tile, enlarging: output, by: factor) { part, place in
            runtime.workspace.scope { decoder(part, into: place, on: runtime) { _, _ in } }
        }
    }

    /// Encodes images to the moments of a normal distribution of latents.
    ///
    /// - Parameters:
    ///   - images: [batch, height, width, 3], -1...1
    ///   - moments: [batch, height / 8, width / 8, 8], sides rounded down: means, then logarithms of variances, which
    ///     `LatentDistribution` takes apart.
    /// - Throws: `ZooError` of kind `usage` for images of another shape or smaller than one latent pixel, and for a network
    ///   without encoder.
    public func encode(
        _ images: ImageBatch, into moments: UnsafeMutablePointer<Float>, on runtime: Runtime
    ) throws(ZooError) {
        try check(images, "images", channels: imageChannels, atLeast: factor)
        guard let encoder else { throw ZooError(.usage, "this autoencoder was loaded for decoding alone") }
        let x = FeatureMap(images)
        let output = FeatureMap(
            batch: x.batch, height: latentSize(x.height), width: latentSize(x.width), channels: 2 * latentChannels,
            base: moments)
        for image in 0..<x.batch {
            runtime.workspace.scope {
                encoder(x.images(image..<image + 1), into: output.images(image..<image + 1), on: runtime) { _, _ in }
            }
        }
    }

    /// Latent pixels of a side of `size` pixels.
    public func latentSize(_ size: Int) -> Int { size / factor }

    /// Decodes one image and shows the map after each part.
    package func decode(
        _ latents: ImageBatch, into images: UnsafeMutablePointer<Float>, on runtime: Runtime,
        stage: (_ name: String, _ map: FeatureMap) -> Void
    ) {
        let x = FeatureMap(latents)
        let output = FeatureMap(
            batch: 1, height: factor * x.height, width: factor * x.width, channels: imageChannels, base: images)
        runtime.workspace.scope { decoder(x, into: output, on: runtime, stage: stage) }
    }

    /// Encodes one image and shows the map after each part.
    package func encode(
        _ images: ImageBatch, into moments: UnsafeMutablePointer<Float>, on runtime: Runtime,
        stage: (_ name: String, _ map: FeatureMap) -> Void
    ) {
        let x = FeatureMap(images)
        let output = FeatureMap(
            batch: 1, height: latentSize(x.height), width: latentSize(x.width), channels: 2 * latentChannels,
            base: moments)
        guard let encoder else { return }
        runtime.workspace.scope { encoder(x, into: output, on: runtime, stage: stage) }
    }

    private func check(_ x: ImageBatch, _ what: String, channels: Int, atLeast size: Int) throws(ZooError) {
        guard x.channels == channels, x.batch > 0, x.height >= size, x.width >= size else {
            throw ZooError(
                .usage, "\(what) have the wrong shape", expected: "\(channels) channels, sides of at least \(size)",
                found: "\(x.channels) channels, \(x.height)x\(x.width)")
        }
    }

    /// Multiply-adds of the decoder for a latent image.
    package func decodingCost(height: Int, width: Int) -> Cost { decoder.cost(height: height, width: width) }
    /// Multiply-adds of the encoder for an image.
    package func encodingCost(height: Int, width: Int) -> Cost {
        encoder?.cost(height: height, width: width) ?? Cost()
    }
}

// MARK: - Tiles

extension Autoencoder {
    /// Calls `body` with one tile after the other of each image and a place for its result, and blends the results:
    /// across an overlap the weight of a tile falls linearly while that of its neighbour rises.
    private func forEachTile(
        of x: FeatureMap, _ tile: Int?, enlarging output: FeatureMap, by scale: Int,
        _ body: (_ part: FeatureMap, _ place: FeatureMap) -> Void
    ) throws(ZooError) {
        guard let tile else {
            for image in 0..<x.batch { body(x.images(image..<image + 1), output.images(image..<image + 1)) }
            return
        }
        guard tile >= Self.smallestTile else {
            throw ZooError(
                .usage, "tiles are too small", expected: "at least \(Self.smallestTile) latent pixels",
                found: "\(tile)")
        }
        let (rows, columns) = (Tiling(x.height, tile), Tiling(x.width, tile))
        let size = (height: min(tile, x.height), width: min(tile, x.width))
        var part = [Float](repeating: 0, count: size.height * size.width * x.channels)
        var decoded = [Float](repeating: 0, count: size.height * size.width * scale * scale * output.channels)
        for image in 0..<x.batch {
            let (from, to) = (x.images(image..<image + 1), output.images(image..<image + 1))
            to.base.update(repeating: 0, count: to.rows * to.stride)
            for top in rows.starts {
                for left in columns.starts {
                    part.withUnsafeMutableBufferPointer { part in
                        decoded.withUnsafeMutableBufferPointer { decoded in
                            guard let partBase = part.baseAddress, let decodedBase = decoded.baseAddress else { return }
                            let piece = FeatureMap(
                                batch: 1, height: size.height, width: size.width, channels: x.channels, base: partBase)
                            let place = FeatureMap(
                                batch: 1, height: size.height * scale, width: size.width * scale,
                                channels: output.channels, base: decodedBase)
                            for row in 0..<size.height {
                                (partBase + row * size.width * x.channels).update(
                                    from: from.base + ((top + row) * x.width + left) * x.channels,
                                    count: size.width * x.channels)
                            }
                            body(piece, place)
                            blend(
                                place, into: to, top: top * scale, left: left * scale,
                                rows.weights(from: top, scale: scale), columns.weights(from: left, scale: scale))
                        }
                    }
                }
            }
        }
    }

    /// Tiles of fewer latent pixels would consist of borders.
    private static let smallestTile = 16

    private func blend(
        _ tile: FeatureMap, into image: FeatureMap, top: Int, left: Int, _ rows: [Float], _ columns: [Float]
    ) {
        let channels = tile.channels
        for row in 0..<tile.height {
            let from = tile.base + row * tile.width * channels
            let to = image.base + ((top + row) * image.width + left) * channels
            for column in 0..<tile.width {
                let weight = rows[row] * columns[column]
                for channel in 0..<channels {
                    to[column * channels + channel] += weight * from[column * channels + channel]
                }
            }
        }
    }
}

/// How one axis is covered by tiles that overlap by a quarter or more.
private struct Tiling {
    let starts: [Int]
    private let size: Int
    private let tile: Int

    init(_ size: Int, _ tile: Int) {
        self.size = size
        self.tile = min(tile, size)
        let rest = size - self.tile
        let step = self.tile - self.tile / 4
        let count = (rest + step - 1) / step
        starts = (0...count).map { count == 0 ? 0 : $0 * rest / count }
    }

    /// The weight of each of the tile's pixels, `scale` to a latent pixel; those of all tiles add up to 1.
    func weights(from start: Int, scale: Int) -> [Float] {
        (0..<tile * scale).map { pixel in
            let place = start * scale + pixel
            let total = starts.reduce(0) { $0 + height(place - $1 * scale, of: $1, scale) }
            return height(pixel, of: start, scale) / total
        }
    }

    /// Rises over the first quarter of a tile and falls over the last, but not at the ends of the image; 0 outside.
    private func height(_ pixel: Int, of start: Int, _ scale: Int) -> Float {
        guard (0..<tile * scale).contains(pixel) else { return 0 }
        let slope = Float(tile / 4 * scale)
        let before = start == 0 ? slope : Float(pixel) + 0.5
        let after = start + tile == size ? slope : Float(tile * scale - pixel) - 0.5
        return min(before, after, slope) / slope
    }
}

// MARK: - Encoder

/// Levels of residual blocks with a stride-2 convolution between them, a middle with attention, and the projection to
/// means and logarithms of variances.
private struct Encoder: Sendable {
    private let convIn: Conv2d
    private let levels: [(blocks: [ResidualBlock], downsample: Conv2d?)]
    private let middle: Middle
    private let normOut: GroupNorm
    private let convOut: Conv2d
    private let quantConv: Linear

    init(_ names: Names, _ c: Autoencoder.Configuration) {
        let w = names.root["encoder"]
        let widths = c.widths
        let last = widths[widths.count - 1]
        convIn = Conv2d(w["conv_in"], in: c.imageChannels, out: widths[0], kernel: 3, padding: 1)
        levels = widths.indices.map { level in
            let inputs = level == 0 ? widths[0] : widths[level - 1]
            let blocks = (0..<c.blocks).map { block in
                ResidualBlock(
                    names.encoderBlock(level, block), names, in: block == 0 ? inputs : widths[level],
                    out: widths[level], groups: c.groups)
            }
            // One row below and one column on the right.
            let downsample =
                level + 1 == widths.count
                ? nil
                : Conv2d(
                    names.downsample(level), in: widths[level], out: widths[level], kernel: (3, 3), stride: 2,
                    padding: Padding(top: 0, left: 0, bottom: 1, right: 1))
            return (blocks: blocks, downsample: downsample)
        }
        middle = Middle(w, names, channels: last, groups: c.groups)
        normOut = GroupNorm(names.normOut(w), channels: last, groups: c.groups, epsilon: 1e-6)
        convOut = Conv2d(w["conv_out"], in: last, out: 2 * c.latentChannels, kernel: 3, padding: 1)
        quantConv = Linear(names.root["quant_conv"], in: 2 * c.latentChannels, out: 2 * c.latentChannels)
    }

    /// Encodes one image; what it takes from the workspace is the caller's to give back.
    func callAsFunction(
        _ image: FeatureMap, into moments: FeatureMap, on runtime: Runtime,
        stage: (_ name: String, _ map: FeatureMap) -> Void
    ) {
        let workspace = runtime.workspace
        var x = FeatureMap(
            workspace, batch: 1, height: image.height, width: image.width, channels: convIn.outputs)
        convIn(image, into: x, on: runtime)
        stage("enc.conv_in", x)
        for (index, level) in levels.enumerated() {
            for block in level.blocks { x = block(x, on: runtime) }
            if let downsample = level.downsample {
                let smaller = FeatureMap(
                    workspace, batch: 1, height: downsample.outputSize(x.height),
                    width: downsample.outputWidth(x.width), channels: downsample.outputs)
                downsample(x, into: smaller, on: runtime)
                x = smaller
            }
            stage("enc.down\(index)", x)
        }
        middle(x, on: runtime) { stage("enc.\($0)", $1) }
        let projected = x.like(channels: convOut.outputs, workspace)
        convOut(x, norm: normOut.factors(of: x, on: runtime), into: projected, on: runtime)
        stage("enc.conv_out", projected)
        quantConv(projected, into: moments, on: runtime)
    }

    func cost(height: Int, width: Int) -> Cost {
        var (height, width) = (height, width)
        var total = convIn.cost(pixels: height * width)
        for (blocks, downsample) in levels {
            total += blocks.reduce(Cost()) { $0 + $1.cost(pixels: height * width) }
            if let downsample {
                (height, width) = (downsample.outputSize(height), downsample.outputWidth(width))
                total += downsample.cost(pixels: height * width)
            }
        }
        let pixels = height * width
        return total + middle.cost(pixels: pixels) + convOut.cost(pixels: pixels) + quantConv.cost(pixels: pixels)
    }
}

// MARK: - Decoder

/// The mirror image of the encoder, with one more block in each level and upsampling between them.
///
/// All maps of a level share one piece of memory, its canvas, and the canvases of the levels overlap: while a map is
/// enlarged row by row, its rows are overwritten behind the place where they are still read. The last canvas, the map
/// that comes out of the last upsampling, is all the memory there is.
private struct Decoder: Sendable {
    private let postQuantConv: Linear
    private let convIn: Conv2d
    private let middle: Middle
    /// Coarsest first.
    private let levels: [Level]
    private let normOut: GroupNorm
    private let convOut: Conv2d
    /// What is worked on at a time where a map is replaced by another one: 16 MB. Results do not depend on it.
    var stripFloats = 4 << 20

    private struct Level: Sendable {
        let blocks: [ResidualBlock]
        let upsample: UpsamplingConv2d?

        var inputs: Int { blocks[0].inputs }
        var outputs: Int { blocks[0].outputs }
        /// Floats of a pixel: for the map that comes in, and later for two maps that go through the blocks.
        var stride: Int { max(inputs, 2 * outputs) }
    }

    init(_ names: Names, _ c: Autoencoder.Configuration) {
        let w = names.root["decoder"]
        let widths = Array(c.widths.reversed())
        postQuantConv = Linear(names.root["post_quant_conv"], in: c.latentChannels, out: c.latentChannels)
        convIn = Conv2d(w["conv_in"], in: c.latentChannels, out: widths[0], kernel: 3, padding: 1)
        middle = Middle(w, names, channels: widths[0], groups: c.groups)
        levels = widths.indices.map { level in
            let inputs = level == 0 ? widths[0] : widths[level - 1]
            let blocks = (0...c.blocks).map { block in
                ResidualBlock(
                    names.decoderBlock(level, block, levels: widths.count), names,
                    in: block == 0 ? inputs : widths[level], out: widths[level], groups: c.groups)
            }
            let upsample =
                level + 1 == widths.count
                ? nil
                : UpsamplingConv2d(
                    names.upsample(level, levels: widths.count), in: widths[level], out: widths[level])
            return Level(blocks: blocks, upsample: upsample)
        }
        let last = widths[widths.count - 1]
        normOut = GroupNorm(names.normOut(w), channels: last, groups: c.groups, epsilon: 1e-6)
        convOut = Conv2d(w["conv_out"], in: last, out: c.imageChannels, kernel: 3, padding: 1)
    }

    /// Decodes one image; what it takes from the workspace is the caller's to give back.
    func callAsFunction(
        _ latent: FeatureMap, into image: FeatureMap, on runtime: Runtime,
        stage: (_ name: String, _ map: FeatureMap) -> Void
    ) {
        let workspace = runtime.workspace
        let (canvases, free) = canvases(height: latent.height, width: latent.width, workspace)
        let projected = latent.like(channels: latent.channels, workspace)
        postQuantConv(latent, into: projected, on: runtime)
        stage("dec.post_quant", projected)
        var x = canvases[0].columns(0..<convIn.outputs)
        convIn(projected, into: x, on: runtime)
        stage("dec.conv_in", x)
        workspace.lending(free) { middle(x, on: runtime) { stage("dec.\($0)", $1) } }
        for (index, level) in levels.enumerated() {
            let canvas = canvases[index]
            x = level.blocks[0](
                x, inPlaceOn: canvas, strip: stripHeight(canvas.width * canvas.stride), on: runtime)
            for block in level.blocks.dropFirst() { block(addingTo: x, beside: canvases[index], on: runtime) }
            if let upsample = level.upsample {
                let larger = canvases[index + 1].columns(0..<upsample.outputs)
                let strip = stripHeight(larger.width * larger.stride)
                for first in Swift.stride(from: 0, to: x.height, by: strip) {
                    let rows = first..<min(first + strip, x.height)
                    upsample(
                        x, rows: rows, into: larger.lines(2 * rows.lowerBound..<2 * rows.upperBound), on: runtime)
                }
                x = larger
            }
            stage("dec.up\(index)", x)
        }
        convOut(x, norm: normOut.factors(of: x, on: runtime), into: image, on: runtime)
        stage("image", image)
    }

    /// The levels' canvases, with one free row above each, and the memory that is free before the first upsampling.
    ///
    /// The rows of canvas i end so far behind those of canvas i + 1 that a strip of rows can be enlarged without
    /// touching a row that the next strip reads: rows are produced at least as fast as they are used up, so it is
    /// enough that this holds at the end.
    private func canvases(
        height: Int, width: Int, _ workspace: Workspace
    ) -> (maps: [FeatureMap], free: UnsafeMutableBufferPointer<Float>) {
        var sizes: [(height: Int, width: Int, stride: Int, start: Int)] = []
        for (index, level) in levels.enumerated() {
            sizes.append((height << index, width << index, level.stride, 0))
        }
        func line(_ index: Int) -> Int { sizes[index].width * sizes[index].stride }
        func count(_ index: Int) -> Int { (sizes[index].height + 1) * line(index) }
        for index in sizes.indices.dropLast().reversed() {
            let next = index + 1
            let strip = stripHeight(line(next))
            // A row of the small map must not outweigh the two that it becomes.
            let overlaps = line(index) <= 2 * line(next)
            let end = sizes[next].start + count(next) + (strip + 2) * line(index)
            sizes[index].start = overlaps ? max(sizes[next].start, end - count(index)) : sizes[next].start + count(next)
        }
        let total = sizes.indices.map { sizes[$0].start + count($0) }.max() ?? 0
        let base = workspace.floats(total)
        let maps = sizes.indices.map { index in
            FeatureMap(
                batch: 1, height: sizes[index].height, width: sizes[index].width, channels: sizes[index].stride,
                base: base + sizes[index].start + line(index))
        }
        return (maps, UnsafeMutableBufferPointer(start: base, count: sizes[0].start))
    }

    /// Rows of a strip, a row having so many floats: an even number, or Winograd's tiles would not be the whole map's.
    private func stripHeight(_ line: Int) -> Int { max(2, stripFloats / line / 2 * 2) }

    func cost(height: Int, width: Int) -> Cost {
        var pixels = height * width
        var total = postQuantConv.cost(pixels: pixels) + convIn.cost(pixels: pixels) + middle.cost(pixels: pixels)
        for level in levels {
            total += level.blocks.reduce(Cost()) { $0 + $1.cost(pixels: pixels) }
            if let upsample = level.upsample {
                pixels *= 4
                total += upsample.cost(pixels: pixels)
            }
        }
        return total + convOut.cost(pixels: pixels)
    }
}

// MARK: - Blocks

/// `shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))))))`, the norms and activations inside the convolutions.
private struct ResidualBlock: Sendable {
    let inputs: Int
    let outputs: Int
    private let norm1: GroupNorm
    private let conv1: Conv2d
    private let norm2: GroupNorm
    private let conv2: Conv2d
    /// `nil` where the number of channels stays.
    private let shortcut: Linear?

    init(_ w: Weights, _ names: Names, in inputs: Int, out outputs: Int, groups: Int) {
        self.inputs = inputs
        self.outputs = outputs
        norm1 = GroupNorm(w["norm1"], channels: inputs, groups: groups, epsilon: 1e-6)
        conv1 = Conv2d(w["conv1"], in: inputs, out: outputs, kernel: 3, padding: 1)
        norm2 = GroupNorm(w["norm2"], channels: outputs, groups: groups, epsilon: 1e-6)
        conv2 = Conv2d(w["conv2"], in: outputs, out: outputs, kernel: 3, padding: 1)
        shortcut = inputs == outputs ? nil : Linear(names.shortcut(w), in: inputs, out: outputs)
    }

    /// Adds to `x` in place, or leaves it alone and takes a map with other channels from the workspace.
    func callAsFunction(_ x: FeatureMap, on runtime: Runtime) -> FeatureMap {
        let workspace = runtime.workspace
        let result = shortcut == nil ? x : x.like(channels: outputs, workspace)
        workspace.scope {
            let hidden = x.like(channels: outputs, workspace)
            conv1(x, norm: norm1.factors(of: x, on: runtime), into: hidden, on: runtime)
            shortcut?.callAsFunction(x, into: result, on: runtime)
            add(hidden, to: result, on: runtime)
        }
        return result
    }

    /// Adds to `x`, the last columns of `canvas`, with the first columns as room.
    func callAsFunction(addingTo x: FeatureMap, beside canvas: FeatureMap, on runtime: Runtime) {
        let hidden = room(x, on: canvas)
        runtime.workspace.scope {
            conv1(x, norm: norm1.factors(of: x, on: runtime), into: hidden, on: runtime)
            add(hidden, to: x, on: runtime)
        }
    }

    /// The columns before `x`, in the same rows, where both lie on a canvas whose pixels hold two such maps.
    private func room(_ x: FeatureMap, on canvas: FeatureMap) -> FeatureMap {
        FeatureMap(
            batch: 1, height: x.height, width: x.width, channels: outputs, stride: canvas.stride,
            base: x.base - outputs)
    }

    /// The first block on a canvas: the map in its first columns is replaced by the result in the columns
    /// `outputs ..< 2 * outputs`, one row higher where the number of channels changes.
    ///
    /// With a shortcut both `conv1(...)` and the shortcut are computed strip by strip and written over the rows of `x`
    /// that no later strip reads: the last one of each strip, which the next strip's first output row needs, is why
    /// results lie one row higher.
    func callAsFunction(
        _ x: FeatureMap, inPlaceOn canvas: FeatureMap, strip: Int, on runtime: Runtime
    ) -> FeatureMap {
        guard let shortcut else {
            let result = FeatureMap(
                batch: 1, height: x.height, width: x.width, channels: outputs, stride: canvas.stride,
                base: canvas.base + outputs)
            for row in 0..<x.rows {
                (result.base + row * result.stride).update(from: x.base + row * x.stride, count: outputs)
            }
            self(addingTo: result, beside: canvas, on: runtime)
            return result
        }
        let workspace = runtime.workspace
        let line = canvas.width * canvas.stride
        let raised = FeatureMap(
            batch: 1, height: x.height, width: x.width, channels: 2 * outputs, stride: canvas.stride,
            base: canvas.base - line)
        workspace.scope {
            let factors = norm1.factors(of: x, on: runtime)
            let both = FeatureMap(
                workspace, batch: 1, height: min(strip, x.height), width: x.width, channels: 2 * outputs)
            for first in stride(from: 0, to: x.height, by: strip) {
                let rows = first..<min(first + strip, x.height)
                let part = both.lines(0..<rows.count)
                conv1(x, rows: rows, norm: factors, into: part.columns(0..<outputs), on: runtime)
                shortcut(x.lines(rows), into: part.columns(outputs..<2 * outputs), on: runtime)
                let place = raised.lines(rows)
                for pixel in 0..<part.rows {
                    (place.base + pixel * place.stride).update(
                        from: part.base + pixel * part.stride, count: 2 * outputs)
                }
            }
        }
        let result = raised.columns(outputs..<2 * outputs)
        add(raised.columns(0..<outputs), to: result, on: runtime)
        return result
    }

    /// The second half of the block.
    private func add(_ hidden: FeatureMap, to x: FeatureMap, on runtime: Runtime) {
        runtime.workspace.scope {
            conv2(hidden, norm: norm2.factors(of: hidden, on: runtime), into: x, residual: x, on: runtime)
        }
    }

    func cost(pixels: Int) -> Cost {
        conv1.cost(pixels: pixels) + conv2.cost(pixels: pixels) + (shortcut?.cost(pixels: pixels) ?? Cost())
    }
}

/// Two residual blocks with attention of all pixels between them.
private struct Middle: Sendable {
    private let block1: ResidualBlock
    private let attention: AttentionBlock
    private let block2: ResidualBlock

    init(_ w: Weights, _ names: Names, channels: Int, groups: Int) {
        block1 = ResidualBlock(names.middleBlock(w, 0), names, in: channels, out: channels, groups: groups)
        attention = AttentionBlock(names.attention(w), names, channels: channels, groups: groups)
        block2 = ResidualBlock(names.middleBlock(w, 1), names, in: channels, out: channels, groups: groups)
    }

    /// In place.
    func callAsFunction(_ x: FeatureMap, on runtime: Runtime, stage: (_ name: String, _ map: FeatureMap) -> Void) {
        _ = block1(x, on: runtime)
        stage("mid.resnet0", x)
        attention(addingTo: x, on: runtime)
        stage("mid.attn", x)
        _ = block2(x, on: runtime)
        stage("mid", x)
    }

    func cost(pixels: Int) -> Cost {
        block1.cost(pixels: pixels) + attention.cost(pixels: pixels) + block2.cost(pixels: pixels)
    }
}

/// `x + proj(softmax(q k^T / sqrt(C)) v)` of the normalised map, one head of all channels. The scores are never stored.
private struct AttentionBlock: Sendable {
    private let channels: Int
    private let norm: GroupNorm
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let proj: Linear
    private let core = AttentionCore.softmax

    init(_ w: Weights, _ names: Names, channels: Int, groups: Int) {
        self.channels = channels
        let spelling = names.attentionSpelling(w)
        norm = GroupNorm(w[spelling.norm], channels: channels, groups: groups, epsilon: 1e-6)
        func linear(_ name: String) -> Linear {
            Linear(names.scope(w, name), in: channels, out: channels, kernel: spelling.kernel)
        }
        query = linear(spelling.query)
        key = linear(spelling.key)
        value = linear(spelling.value)
        proj = linear(spelling.proj)
    }

    func callAsFunction(addingTo x: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let normed = x.like(channels: channels, workspace)
            let packed = x.like(channels: 3 * channels, workspace)
            norm(x, into: normed, on: runtime)
            let parts = (0..<3).map { packed.columns($0 * channels..<($0 + 1) * channels) }
            query(normed, into: parts[0], on: runtime)
            key(normed, into: parts[1], on: runtime)
            value(normed, into: parts[2], on: runtime)
            core(
                queries: parts[0], keys: parts[1], values: parts[2], heads: 1, rope: false, into: normed, on: runtime)
            proj(normed, into: x, residual: x, on: runtime)
        }
    }

    func cost(pixels: Int) -> Cost {
        let products = [query, key, value, proj].reduce(Cost()) { $0 + $1.cost(pixels: pixels) }
        return products + core.cost(tokens: pixels, heads: 1, headDim: channels)
    }
}

// MARK: - Names

/// Where a checkpoint keeps what: diffusers' names, or those of the original latent diffusion, with or without the
/// prefix of a whole Stable Diffusion checkpoint.
private struct Names {
    let root: Weights
    private let isOriginal: Bool

    init(_ w: Weights) {
        root = w.contains("first_stage_model.encoder.conv_in.weight") ? w["first_stage_model"] : w
        isOriginal = root.contains("encoder.mid.block_1.norm1.weight")
    }

    func encoderBlock(_ level: Int, _ block: Int) -> Weights {
        let w = root["encoder"]
        return isOriginal ? w["down"][level]["block"][block] : w["down_blocks"][level]["resnets"][block]
    }

    func downsample(_ level: Int) -> Weights {
        let w = root["encoder"]
        return isOriginal ? w["down"][level]["downsample"]["conv"] : w["down_blocks"][level]["downsamplers"][0]["conv"]
    }

    /// The original counts the decoder's levels from the finest.
    func decoderBlock(_ level: Int, _ block: Int, levels: Int) -> Weights {
        let w = root["decoder"]
        return isOriginal
            ? w["up"][levels - 1 - level]["block"][block] : w["up_blocks"][level]["resnets"][block]
    }

    func upsample(_ level: Int, levels: Int) -> Weights {
        let w = root["decoder"]
        return isOriginal
            ? w["up"][levels - 1 - level]["upsample"]["conv"] : w["up_blocks"][level]["upsamplers"][0]["conv"]
    }

    func middleBlock(_ w: Weights, _ index: Int) -> Weights {
        isOriginal ? w["mid"]["block_\(index + 1)"] : w["mid_block"]["resnets"][index]
    }

    func attention(_ w: Weights) -> Weights { isOriginal ? w["mid"]["attn_1"] : w["mid_block"]["attentions"][0] }
    func shortcut(_ w: Weights) -> Weights { w[isOriginal ? "nin_shortcut" : "conv_shortcut"] }
    func normOut(_ w: Weights) -> Weights { w[isOriginal ? "norm_out" : "conv_norm_out"] }

    struct AttentionSpelling {
        let norm: String
        let query: String
        let key: String
        let value: String
        let proj: String
        let kernel: Linear.Kernel
    }

    func attentionSpelling(_ w: Weights) -> AttentionSpelling {
        if isOriginal {
            return AttentionSpelling(
                norm: "norm", query: "q", key: "k", value: "v", proj: "proj_out", kernel: .pointwise)
        }
        if w.contains("query.weight") {
            return AttentionSpelling(
                norm: "group_norm", query: "query", key: "key", value: "value", proj: "proj_attn", kernel: .linear)
        }
        return AttentionSpelling(
            norm: "group_norm", query: "to_q", key: "to_k", value: "to_v", proj: "to_out.0", kernel: .linear)
    }

    /// The scope of a name that may have dots.
    func scope(_ w: Weights, _ name: String) -> Weights { name.split(separator: ".").reduce(w) { $0[String($1)] } }
}

extension Autoencoder.Configuration {
    /// The hyper-parameters of a user's file, diffusers' `config.json`.
    ///
    /// - Throws: `ZooError` that names the hyper-parameter.
    func replaced(by file: Hyperparameters?) throws -> Self {
        guard var file else { return self }
        file.ignore(
            "_class_name", "_diffusers_version", "down_block_types", "up_block_types", "sample_size", "scaling_factor",
            "force_upcast", "mid_block_add_attention", "latents_mean", "latents_std", "shift_factor")
        let act = try file.text("act_fn")
        guard act == nil || act == "silu" else {
            throw ZooError(.badData, "unsupported hyper-parameter", at: "act_fn", expected: "silu", found: act)
        }
        let images = try file.integer("in_channels", in: 1...64) ?? imageChannels
        let outputs = try file.integer("out_channels", in: 1...64) ?? images
        let result = Self(
            imageChannels: images, latentChannels: try file.integer("latent_channels", in: 1...64) ?? latentChannels,
            widths: try file.integers("block_out_channels", in: 1...4096) ?? widths,
            blocks: try file.integer("layers_per_block", in: 1...16) ?? blocks,
            groups: try file.integer("norm_num_groups", in: 1...1024) ?? groups)
        try file.finish()
        guard outputs == images else {
            throw ZooError(
                .badData, "hyper-parameters contradict each other", at: "out_channels", expected: "\(images)",
                found: "\(outputs)")
        }
        guard (1...8).contains(result.widths.count), result.widths.allSatisfy({ $0.isMultiple(of: result.groups) }),
            result.widths[result.widths.count - 1] <= 1024
        else {
            throw ZooError(
                .badData, "hyper-parameters contradict each other", at: "block_out_channels",
                expected: "1 to 8 multiples of norm_num_groups, the last at most 1024", found: "\(result.widths)")
        }
        return result
    }
}
