import ArgumentParser
import ZooCore
import ZooDatasets
import ZooEval

struct DataCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Datasets: which are known, and making subsets.",
        subcommands: [DataListCommand.self, DataSubsetCommand.self])

    static let examples = [DataListCommand.examples[0], DataSubsetCommand.examples[0]]
}

struct DataListCommand: Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the datasets known by name and the ready lists of classes.")

    static let examples = ["zoo data list", "zoo data list --json"]

    @OptionGroup var root: DataRootOption

    @Flag(help: "Print the result as one JSON object.")
    var json = false

    /// What `--json` prints.
    private struct Content: Encodable {
        let results: Results
    }

    private struct Results: Encodable {
        let datasets: [DatasetResult]
        let classLists: [ListResult]
    }

    private struct DatasetResult: Encodable {
        let name: String
        let summary: String
        let origin: String
        let images: Int
        let classes: Int
        let fingerprint: String
    }

    private struct ListResult: Encodable {
        let name: String
        let summary: String
        let classes: Int
    }

    func run() throws {
        let datasets = try DatasetCatalog.entries.map { entry in
            let dataset = try DatasetCatalog.open(entry.name, dataRoot: root.dataRoot)
            return DatasetResult(
                name: entry.name, summary: entry.summary, origin: dataset.origin.description,
                images: dataset.samples.count, classes: dataset.classes.count, fingerprint: dataset.fingerprint)
        }
        let lists = try ClassSelection.readyLists.map { list in
            ListResult(
                name: list.name, summary: list.summary, classes: try ClassSelection(list.name).names?.count ?? 0)
        }
        guard !json else {
            let results = Results(datasets: datasets, classLists: lists)
            return try JSONReport(command: "data list", content: Content(results: results)).write()
        }
        var lines = ["datasets"]
        for item in datasets {
            lines.append("  \(item.name): \(item.images) images, \(item.classes) classes (\(item.origin))")
            lines.append("      \(item.summary)")
        }
        lines.append("class lists for 'zoo data subset --classes'")
        lines += lists.map { "  \($0.name): \($0.summary)" }
        lines.append("your own are found in \(ZooHome.current.datasets)")
        try Output.write(lines.joined(separator: "\n") + "\n")
    }
}

struct DataSubsetCommand: Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "subset",
        abstract: "Copy some classes and images of a dataset into a folder of their own, reproducibly.",
        discussion: """
            In each class the images are ordered by SHA-256 of 'SEED:FILENAME' and the first N are taken, so the same \
            command gives the same subset everywhere. The folder gets a manifest, subset.json. As \
            $ZOO_HOME/datasets/imagenet-subset it is what '--data imagenet-subset' means.
            """)

    static let examples = [
        "zoo data subset --from digits --classes 3,5,8 --per-class 10 --output digits-358",
        "zoo data subset --from imagenet-subset --classes n02123045,palace --per-class 1 --seed 7 --output two-photos",
    ]

    @Option(help: "The dataset to choose from: a path, such as ImageNet's validation folder, or a name.")
    var from: String

    @OptionGroup var source: DataOptions

    @Option(
        help: """
            imagenette, mini-imagenet, imagenet-a, imagenet-r, all, a file with a class per line, or classes separated \
            by commas.
            """,
        completion: .list(ClassSelection.readyLists.map(\.name) + ["all"]))
    var classes: String

    @Option(help: "Images from each class; a class that has fewer gives all.")
    var perClass: Int

    @Option(help: "Another seed chooses other images.")
    var seed: UInt64 = 0

    @Option(help: "The folder to make; it must not exist.")
    var output: String

    func run() throws {
        let builder = try SubsetBuilder(selection: ClassSelection(classes), perClass: perClass, seed: seed)
        let dataset = try source.open(from)
        let interrupts = Interrupts()
        let manifest = try builder.build(from: dataset, to: output, shouldStop: { interrupts.isRequested })
        let counts = Dictionary(grouping: manifest.files) { $0.path.prefix { $0 != "/" } }.mapValues(\.count)
        let short = counts.filter { $0.value < perClass }
        if let first = short.min(by: { $0.key < $1.key }) {
            Output.warning(
                "\(short.count) classes have fewer than \(perClass) images, such as \(first.key) with \(first.value)")
        }
        try Output.write("\(output): \(manifest.files.count) images of \(manifest.classes.count) classes\n")
    }
}
