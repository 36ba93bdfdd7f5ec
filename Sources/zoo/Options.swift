import ArgumentParser
import ZooCore
import ZooDatasets
import ZooEval
import ZooModels
import ZooNN

// Groups of flags that several commands share. Each turns its strings into the libraries' values, so that a wrong one
// is refused with the same words everywhere.

/// Which threads and kernels compute.
struct ComputeOptions: ParsableArguments {
    @Option(help: "Threads of the model (default: the usable physical cores).")
    var threads: Int?

    @Option(help: "Instruction set of the kernels: ref, portable, avx2, avx512 (default: the best).")
    var isa: String?

    /// - Throws: `ZooError` of kind `usage` or `unavailable`.
    func instructionSet() throws(ZooError) -> InstructionSet? {
        guard let isa else { return nil }
        return try InstructionSet(named: isa)
    }

    func runtime() throws(ZooError) -> Runtime {
        try Runtime(threads: threads, instructionSet: instructionSet())
    }

    /// The flags as one writes them.
    var arguments: [String] { flag("--threads", threads) + flag("--isa", isa) }
}

/// Which weights a model gets.
struct WeightsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A safetensors file, a PyTorch .pth or .pt file, an index of shards, or seeded:SEED[,SUFFIX=FACTOR...].",
            valueName: "file"))
    var weights: String?

    @Option(help: "Which state dictionary of the file to take, such as model_ema.")
    var weightsKey: String?

    func resolve(_ card: ModelCard, fallback: WeightsResolver.Fallback = .none) throws -> ResolvedWeights {
        try WeightsResolver().resolve(card, weights: weights, key: weightsKey, fallback: fallback)
    }

    /// The flags as one writes them.
    var arguments: [String] { flag("--weights", weights) + flag("--weights-key", weightsKey) }
}

/// Where datasets are looked for.
struct DataRootOption: ParsableArguments {
    @Option(help: "A folder with datasets, searched before $ZOO_HOME/datasets.")
    var dataRoot: String?
}

/// Which images are read.
struct DataOptions: ParsableArguments {
    @OptionGroup var root: DataRootOption

    @Option(help: "The ground-truth list of a flat folder: 'NAME LABEL' lines, or a label per image.")
    var labels: String?

    func open(_ name: String) throws -> any ImageDataset {
        try DatasetCatalog.open(name, dataRoot: root.dataRoot, labels: labels)
    }

    /// The flags as one writes them.
    var arguments: [String] { flag("--data-root", root.dataRoot) + flag("--labels", labels) }
}

/// How an image becomes an input, where it differs from the model's card.
struct PreprocessingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Input size in pixels: S or HEIGHTxWIDTH.", valueName: "s"))
    var imageSize: String?

    @Option(help: "Share of the resized image's side that the centre crop keeps.")
    var cropPct: Double?

    @Option(help: "Resampling filter: bicubic, bilinear or lanczos.")
    var interpolation: Preprocessing.Interpolation?

    /// The flags as one writes them.
    var arguments: [String] {
        flag("--image-size", imageSize) + flag("--crop-pct", cropPct)
            + flag("--interpolation", interpolation?.rawValue)
    }

    /// `base` with the flags applied. Cards that follow RAVLT's rule keep following it at another size.
    ///
    /// - Throws: `ZooError` of kind `usage`.
    func apply(to base: Preprocessing) throws -> Preprocessing {
        var result = base
        if let imageSize {
            let (height, width) = try Self.parse(imageSize)
            if height == width, base == .ravlt(size: base.inputHeight) { result = .ravlt(size: height) }
            result.inputHeight = height
            result.inputWidth = width
        }
        if let cropPct { result.cropPct = cropPct }
        if let interpolation { result.interpolation = interpolation }
        try result.validate()
        return result
    }

    private static func parse(_ text: String) throws -> (height: Int, width: Int) {
        let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard (1...2).contains(sides.count), let first = sides.first, let last = sides.last, let height = first,
            let width = last
        else {
            throw ZooError(
                .usage, "not an image size", at: "--image-size", expected: "S or HEIGHTxWIDTH", found: text)
        }
        return (height, width)
    }
}

/// What images that are not in order mean for the exit code.
struct StrictOption: ParsableArguments {
    @Flag(help: "Exit with 65 if any image failed or was decoded with warnings.")
    var strict = false

    /// Tells of images that are not in order.
    ///
    /// - Parameters:
    ///   - images: how many were read.
    ///   - folder: where they are, if their names don't say so.
    /// - Throws: `ZooError` of kind `badData` if there is one and `strict` forbids it.
    func judge(_ bad: [Metrics.BadImage], of images: Int, in folder: String? = nil) throws(ZooError) {
        guard let first = bad.first else { return }
        let problem = "\(bad.count) of \(images) images are not in order"
        let name = (folder.map { $0 + "/" } ?? "") + first.id
        guard !strict else {
            throw ZooError(.badData, "\(problem): \(first.status.rawValue): \(first.problem)", file: name)
        }
        Output.warning("\(problem), such as \(name): \(first.status.rawValue): \(first.problem)")
    }
}

/// Where and in what form the result goes.
struct ResultOptions: ParsableArguments {
    @Flag(help: "Print the result as one JSON object.")
    var json = false

    @Option(help: "Also write the result to this file: CSV if it ends in .csv, else JSON.")
    var outputFile: String?

    @Flag(help: "No progress and no notes on standard error.")
    var quiet = false

    /// A remark on standard error.
    func note(_ text: String) {
        if !quiet { Output.note(text) }
    }

    /// Says that files beside the images were left out.
    func note(ignored: [IgnoredFile], in folder: String? = nil) {
        guard let first = ignored.first else { return }
        let name = (folder.map { $0 + "/" } ?? "") + first.path
        note("\(ignored.count) entries are not part of the dataset, such as \(name): \(first.reason)")
    }
}

/// What weights and products are computed in.
struct PrecisionOptions: ParsableArguments {
    @Option(
        help: """
            fp32, or bf16: weights and the inputs of products rounded to bfloat16, summed in float32. Every processor \
            computes bf16 and needs half the memory for weights; it is faster on those with AVX512_BF16.
            """)
    var precision = Precision.fp32

    /// Says once where bf16 brings no speed.
    func announce(on instructionSet: InstructionSet, quiet: Bool = false) {
        guard !quiet, !precision.isNative(on: instructionSet) else { return }
        Output.note(
            "\(instructionSet.rawValue) kernels on this processor have no \(precision.rawValue) dot product: expect its "
                + "results and its memory, but no speed-up")
    }
}

/// `NAME=VALUE` as one word, so that a value may begin with a dash; nothing for `nil`.
func flag(_ name: String, _ value: (some Any)?) -> [String] { value.map { ["\(name)=\($0)"] } ?? [] }

extension [String] {
    /// `--name` of arguments that are written `--name=value`.
    var flagNames: [String] { map { String($0.prefix { $0 != "=" }) } }
}

extension Precision: ExpressibleByArgument {}
extension Preprocessing.Interpolation: ExpressibleByArgument {}
extension BadImagePolicy: ExpressibleByArgument {}

extension CompletionKind {
    static var models: CompletionKind { .list(Registry.cards.map(\.name)) }
    static var datasets: CompletionKind { .list(DatasetCatalog.entries.map(\.name)) }
}

/// The command line as one can paste it into a shell.
enum CommandLineText {
    static var current: String { quoted(["zoo"] + CommandLine.arguments.dropFirst()) }

    /// The command that takes up this one.
    static var resuming: String {
        let arguments = CommandLine.arguments.dropFirst().filter { $0 != "--resume" }
        return quoted(["zoo"] + arguments + ["--resume"])
    }

    private static func quoted(_ words: [String]) -> String {
        words.map { word in
            let isPlain =
                !word.isEmpty
                && word.unicodeScalars.allSatisfy {
                    "a"..."z" ~= $0 || "A"..."Z" ~= $0
                        || "0"..."9" ~= $0 || "-_./=,:+".unicodeScalars.contains($0)
                }
            return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
        }.joined(separator: " ")
    }
}
