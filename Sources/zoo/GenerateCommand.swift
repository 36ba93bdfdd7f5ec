import ArgumentParser
import Foundation
import ZooCore
import ZooDatasets
import ZooDiffusion
import ZooEval
import ZooIO
import ZooImage
import ZooModels
import ZooNN

/// `zoo generate`: from noise to pictures.
struct GenerateCommand: Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Draw images with a diffusion model.",
        discussion: """
            Without a model, the embedded lit-nano, which draws handwritten digits. Image i takes its noise from PyTorch's \
            generator with the seed --seed + i: it does not depend on the batch, the number of threads or the shard that \
            it is drawn in. The images go through the classes in turn.

            --output writes one file, the image or a grid of them: a .png with the parameters in text entries, or a .jpg \
            of quality 95 without them. --output-dir \
            writes every image as 000000.png, 000001.png, ...; what is there already is not drawn again, so that the \
            same command takes up an interrupted run, and shards on several machines share a folder. --npz writes the \
            batch that evaluators such as ADM's read: the images `arr_0`, bytes (N, H, W, 3), and the classes `arr_1`, \
            int64; with --output-dir from the files of the folder, after what is missing has been drawn. --latents \
            writes the samples themselves, before they become pictures: `samples` (B, C, H, W). What models such as \
            dit-xl-2 draw are the latents of an autoencoder, --vae, which makes the pictures of them.
            """)

    static let examples = [
        "zoo generate lit-nano --class 7 --output seven.png",
        "zoo generate dit-nano --class all --count 100 --steps 50 --guidance 1.5 --output-dir digits",
    ]

    @Argument(
        help: "The model, such as lit-nano (default: lit-nano).", completion: .list(Registry.generators.map(\.name)))
    var model = "lit-nano"

    @Option(
        name: .customLong("class"),
        help: ArgumentHelp(
            "What to draw: class numbers or ImageNet names, separated by commas, or all (default: all, ten at most).",
            valueName: "classes"))
    var classes: String?

    @Option(
        help: "Safetensors file with `caption` (B, T, C), a text encoder's features, and `mask` (B, T).",
        completion: .file(extensions: ["safetensors"]))
    var captions: String?

    @Option(
        help: "A PNG or JPEG file for the image or the grid.", completion: .file(extensions: ["png", "jpg", "jpeg"]))
    var output: String?

    @Option(help: "A folder for one PNG file per image.", completion: .directory)
    var outputDir: String?

    @Option(
        help: "A .npz file for all images and their classes, as evaluators read them.",
        completion: .file(extensions: ["npz"]))
    var npz: String?

    @Option(help: "A safetensors file for the samples as they are.", completion: .file(extensions: ["safetensors"]))
    var latents: String?

    @OptionGroup var sampling: SamplingOptions

    @Option(
        help: "Draw every n-th image only, from the i-th on: i/n with i from 0.", transform: Shard.init(parsing:))
    var shard = Shard.all

    @Option(help: "Images that the model gets at a time.")
    var batchSize = 16

    @Option(help: "Side of the square that a pixel becomes in --output (default: 8 for digits).")
    var zoom: Int?

    @Option(help: "Images in a row of the grid (default: a nearly square grid).")
    var columns: Int?

    @Option(
        help: "A folder for a PNG file per step, 000.png, 001.png, ...: what is predicted for the first batch so far.",
        completion: .directory)
    var preview: String?

    @OptionGroup var weights: WeightsOptions
    @OptionGroup var compute: ComputeOptions
    @OptionGroup var precision: PrecisionOptions

    @Flag(help: "Print the result as one JSON object.")
    var json = false

    @Flag(help: "No progress and no notes on standard error.")
    var quiet = false

    /// Every `count`-th image from `index` on.
    struct Shard: CustomStringConvertible {
        static let all = Shard(index: 0, count: 1)
        let index: Int
        let count: Int
        var description: String { "\(index)/\(count)" }

        private init(index: Int, count: Int) {
            self.index = index
            self.count = count
        }

        /// - Throws: `ZooError` of kind `usage` that says which shards there are.
        init(parsing text: String) throws(ZooError) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 2, let index = parts[0], let count = parts[1], count > 0 else {
                throw ZooError(.usage, "not a shard", expected: "i/n, such as 0/3", found: text)
            }
            guard (0..<count).contains(index) else {
                let last = Shard(index: count - 1, count: count)
                throw ZooError(.usage, "no such shard", expected: "0/\(count)...\(last)", found: text)
            }
            self.init(index: index, count: count)
        }
    }

    func validate() throws {
        guard [output, outputDir, npz, latents].contains(where: { $0 != nil }) else {
            throw ValidationError("give --output, --output-dir, --npz or --latents")
        }
        guard outputDir == nil || output == nil && latents == nil else {
            throw ValidationError("--output-dir excludes --output and --latents")
        }
        guard (1...4096).contains(batchSize) else { throw ValidationError("--batch-size must be in 1...4096") }
        guard (1...256).contains(zoom ?? 1) else { throw ValidationError("--zoom must be in 1...256") }
        guard (1...4096).contains(columns ?? 1) else { throw ValidationError("--columns must be in 1...4096") }
        guard outputDir != nil || shard.count == 1 else { throw ValidationError("--shard needs --output-dir") }
        guard npz == nil || shard.count == 1 else {
            throw ValidationError("--npz takes all images: give it to a run without --shard after the shards")
        }
        guard captions == nil || classes == nil else {
            throw ValidationError("--class and --captions exclude each other")
        }
    }

    /// What `--json` prints.
    private struct Content: Encodable {
        let model: ModelCard
        let weights: WeightsRecord
        let environment: Environment
        let parameters: [String: String]
        let results: Results
    }

    private struct Results: Encodable {
        let trained: Bool
        /// Images of this run, and those that were there already.
        let drawn: Int
        let present: Int
        let seconds: Double
        /// `nil` if all images were there already.
        let imagesPerSecond: Double?
        let files: [String]
    }

    func run() throws {
        let card = try Registry.card(named: model)
        guard card.task == .generate else {
            throw ZooError(.usage, "\(card.name) does not generate", hint: "see 'zoo list --task generate'")
        }
        // What can't work is refused before weights are read.
        let files = [output, npz, latents].compactMap(\.self)
        for folder in [outputDir, preview].compactMap(\.self) { try Output.check(files: files, besideImagesOf: folder) }
        try Output.check(files: output, npz, latents)
        try Output.check(output, endsIn: [".png", ".jpg", ".jpeg"], at: "--output")
        try Output.check(npz, endsIn: [".npz"], at: "--npz")
        try Output.check(latents, endsIn: [".safetensors"], at: "--latents")
        let plan = try Plan(self, card)
        let weights = try self.weights.resolve(card)
        let runtime = try compute.runtime()
        let generator = try Generator(card: card, weights: weights.source, options: plan.options, runtime: runtime)
        let decoder = try plan.needsDecoder ? sampling.decoder(on: runtime) : nil
        precision.announce(on: runtime.instructionSet, quiet: quiet)
        if !weights.isTrained { Output.warning("untrained weights: the pictures show noise") }
        let record = weights.record()
        // What makes the images: the text entries of a picture, the record in a folder, a part of the result.
        let parameters = plan.options.parameters(of: card, record, decoder: decoder)
            .merging([plan.subjects.kind: plan.subjects.description]) { $1 }
        let folder = try outputDir.map { try SampleFolder($0, parameters: parameters) }
        try preview.map { try SampleFolder.create($0) }

        let start = ContinuousClock.now
        let own = (0..<plan.subjects.count).filter { $0 % shard.count == shard.index }
        let missing = folder.map { folder in own.filter { !folder.has($0) } } ?? own
        if missing.count < own.count, !quiet {
            Output.note("\(own.count - missing.count) of \(own.count) images are there already")
        }
        let interrupts = Interrupts()
        var pictures: [RGBImage] = []
        var samples: [Tensor] = []
        /// Draws what is missing and hands on one picture after the other, where there are any.
        func draw(_ body: (Int, RGBImage) throws -> Void) throws {
            try self.draw(generator, decoder, plan, numbers: missing, interrupts) { numbers, batch in
                if latents != nil { samples.append(batch) }
                guard plan.needsPictures else { return }
                for (number, picture) in zip(numbers, try Self.pictures(batch, decoder)) {
                    if output != nil { pictures.append(picture) }
                    try body(number, picture)
                }
            }
        }
        if let folder {
            try draw { try folder.write($1, $0, text: entries(parameters, plan, [$0])) }
            if let npz { try pack(folder, plan, into: npz, interrupts) }
        } else if let npz {
            try plan.writeArchive(to: npz) { add in try draw { try add($1) } }
        } else {
            try draw { _, _ in }
        }
        if let output { try write(plan.grid(pictures), to: output, entries(parameters, plan, own)) }
        if let latents { try write(joined(samples), to: latents, entries(parameters, plan, own)) }
        let seconds = (ContinuousClock.now - start).seconds
        let results = Results(
            trained: weights.isTrained, drawn: missing.count, present: own.count - missing.count, seconds: seconds,
            imagesPerSecond: missing.isEmpty || seconds <= 0 ? nil : Double(missing.count) / seconds,
            files: [output, outputDir, npz, latents].compactMap(\.self))
        try report(
            Content(
                model: card, weights: record,
                environment: .current.running(
                    on: runtime, precision: precision.precision, libraries: ImageLibraries.versions),
                parameters: parameters, results: results))
    }

    private static func pictures(_ samples: Tensor, _ decoder: LatentDecoder?) throws -> [RGBImage] {
        try decoder?.pictures(of: samples) ?? SamplePicture.digits(samples)
    }

    /// The text entries of a picture with these images.
    private func entries(
        _ parameters: [String: String], _ plan: Plan, _ numbers: [Int]
    ) -> [ImageEncoder.Text] {
        var own = parameters
        own["Software"] = "zoo \(Environment.version)"
        own[plan.subjects.kind] = plan.subjects.description(of: numbers)
        if numbers.count == 1 { own["seed"] = "\(plan.options.seed &+ UInt64(truncatingIfNeeded: numbers[0]))" }
        return own.sorted { $0.key < $1.key }.map { ImageEncoder.Text($0.key, $0.value) }
    }

    /// Draws images in batches and hands each batch on; image numbers are those of the whole run.
    private func draw(
        _ generator: Generator, _ decoder: LatentDecoder?, _ plan: Plan, numbers: [Int], _ interrupts: Interrupts,
        _ body: ([Int], Tensor) throws -> Void
    ) throws {
        let progress = ProgressReporter(unit: "steps", isQuiet: quiet)
        defer { progress.finish() }
        var done = 0
        for first in stride(from: 0, to: numbers.count, by: batchSize) {
            let batch = Array(numbers[first..<min(first + batchSize, numbers.count)])
            let samples = try generator.samples(batch, plan.subjects.condition(of: batch)) { left, predicted in
                if interrupts.isRequested {
                    throw ZooError(
                        .interrupted, "interrupted after \(first) of \(numbers.count) images",
                        hint: outputDir == nil ? nil : "the same command draws the others")
                }
                done += batch.count
                progress.update(done: done, total: numbers.count * generator.steps)
                if let preview, first == 0 {
                    let name = SampleFolder.name(generator.steps - 1 - left, digits: 3)
                    try write(plan.grid(Self.pictures(predicted, decoder)), to: "\(preview)/\(name)", [])
                }
            }
            try body(batch, samples)
        }
    }

    private func joined(_ batches: [Tensor]) -> Tensor {
        Tensor(
            shape: [batches.reduce(0) { $0 + $1.shape[0] }] + batches[0].shape.dropFirst(),
            values: batches.flatMap(\.values))
    }

    private func write(_ picture: RGBImage, to path: String, _ text: [ImageEncoder.Text]) throws {
        let isPNG = path.lowercased().hasSuffix(".png")
        let bytes = try isPNG ? ImageEncoder.png(picture, text: text) : ImageEncoder.jpeg(picture)
        try AtomicFile.write(to: path) { try $0.write(bytes) }
    }

    private func write(_ samples: Tensor, to path: String, _ text: [ImageEncoder.Text]) throws {
        var writer = SafetensorsWriter(metadata: Dictionary(uniqueKeysWithValues: text.map { ($0.keyword, $0.value) }))
        writer.add("samples", samples)
        try writer.write(to: path)
    }

    /// Packs a folder that has all images.
    private func pack(_ folder: SampleFolder, _ plan: Plan, into path: String, _ interrupts: Interrupts) throws {
        let progress = ProgressReporter(unit: "images packed", isQuiet: quiet)
        defer { progress.finish() }
        try plan.writeArchive(to: path) { add in
            for number in 0..<plan.subjects.count {
                guard !interrupts.isRequested else {
                    throw ZooError(.interrupted, "interrupted while the images were packed", file: path)
                }
                try add(folder.read(number, height: plan.side, width: plan.side))
                progress.update(done: number + 1, total: plan.subjects.count)
            }
        }
    }

    private func report(_ content: Content) throws {
        if json { return try JSONReport(command: "generate", content: content).write() }
        let results = content.results
        let lines = [
            "model      \(content.model.name)", "weights    \(content.weights.source)",
            "images     \(results.drawn) drawn" + (results.present > 0 ? ", \(results.present) there already" : "")
                + ", \(fixed(results.seconds, 2)) s"
                + (results.imagesPerSecond.map { ", \(fixed($0, 2)) a second" } ?? ""),
            "written    " + results.files.joined(separator: ", "),
        ]
        try Output.write(lines.joined(separator: "\n") + "\n")
    }
}

/// What follows from the options and the model alone.
private struct Plan {
    private static let maximumGridPixels = 1 << 27

    let options: GenerationOptions
    let subjects: Subjects
    /// Rows and columns of a picture.
    let side: Int
    let needsPictures: Bool
    /// Whether pictures are asked for and the model draws latents.
    let needsDecoder: Bool
    private let columns: Int?
    private let zoom: Int

    init(_ command: GenerateCommand, _ card: ModelCard) throws {
        let network = try Registry.denoiserSkeleton(of: card)
        options = try command.sampling.options(for: network, precision: command.precision.precision)
        subjects = try Subjects(command, network.conditioning, card)
        columns = command.columns
        side = card.preprocessing.inputHeight
        zoom = command.zoom ?? max(1, 64 / side)
        let drawsLatents = try command.sampling.needsDecoder(card, network)
        needsPictures = [command.output, command.outputDir, command.npz].contains { $0 != nil }
        needsDecoder = drawsLatents && (needsPictures || command.preview != nil)
        try refuseGrid(of: command.output == nil ? 1 : subjects.count, side: side)
        try refuseGrid(of: command.preview == nil ? 1 : min(subjects.count, command.batchSize), side: side)
    }

    private func columns(_ images: Int) -> Int {
        min(columns ?? Int(Double(images).squareRoot().rounded(.up)), images)
    }

    private func refuseGrid(of images: Int, side: Int) throws {
        let size = SamplePicture.gridSize(images, height: side, width: side, columns: columns(images), zoom: zoom)
        guard size.height <= Self.maximumGridPixels / size.width else {
            throw ZooError(
                .usage, "the grid is too large", expected: "at most \(Self.maximumGridPixels) pixels",
                found: "\(size.width) x \(size.height)", hint: "--output-dir writes single images")
        }
    }

    func grid(_ pictures: [RGBImage]) -> RGBImage {
        SamplePicture.grid(pictures, columns: columns(pictures.count), zoom: zoom)
    }

    /// Writes all images of the run, which `draw` hands over, and their classes.
    func writeArchive(to path: String, draw: (_ add: @escaping (RGBImage) throws -> Void) throws -> Void) throws {
        try SampleArchive.write(
            to: path, size: (subjects.count, side, side), labels: subjects.labels, draw: draw)
    }
}

/// What the images of a run show: the classes or captions in turn.
private struct Subjects {
    /// `class` or `captions`, as the text entries call it.
    let kind: String
    /// Images of the run.
    let count: Int
    let description: String
    private let conditions: Condition
    private let cycle: [Int]

    init(_ command: GenerateCommand, _ conditioning: Conditioning, _ card: ModelCard) throws {
        switch conditioning {
        case .labels(let known):
            if command.captions != nil {
                throw ZooError(.usage, "\(card.name) draws classes", at: "--captions", expected: "--class")
            }
            cycle = try Self.labels(command.classes ?? "all", of: known, card)
            conditions = .labels(Array(0..<known))
            kind = "class"
            description = command.classes == "all" ? "all" : cycle.map(String.init).joined(separator: ",")
            count = command.sampling.count ?? (command.classes == nil ? min(cycle.count, 10) : cycle.count)
        case .captions(let tokens, let channels):
            guard let path = command.captions else {
                throw ZooError(
                    .usage, "\(card.name) draws captions", expected: "--captions FILE.safetensors",
                    found: command.classes.map { "--class \($0)" })
            }
            conditions = .captions(try SafetensorsFile(path: path).captions(tokens: tokens, channels: channels))
            cycle = Array(0..<conditions.count)
            kind = "captions"
            description = path
            count = command.sampling.count ?? cycle.count
        }
    }

    /// The class of every image, `nil` for captions.
    var labels: [Int]? {
        guard case .labels = conditions else { return nil }
        return (0..<count).map { cycle[$0 % cycle.count] }
    }

    func condition(of numbers: [Int]) -> Condition { conditions.selecting(numbers.map { cycle[$0 % cycle.count] }) }

    /// The classes or captions of these images.
    func description(of numbers: [Int]) -> String {
        numbers.map { "\(cycle[$0 % cycle.count])" }.joined(separator: ",")
    }

    private static func labels(_ text: String, of known: Int, _ card: ModelCard) throws -> [Int] {
        if text == "all" { return Array(0..<known) }
        return try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
            let word = word.trimmingCharacters(in: .whitespaces)
            if let label = Int(word), (0..<known).contains(label) { return label }
            if card.labels == ImageNetClasses.labelSet, Int(word) == nil { return try ImageNetClasses.find(word).index }
            throw ZooError(.usage, "no such class", at: "--class", expected: "0...\(known - 1), or all", found: word)
        }
    }
}
