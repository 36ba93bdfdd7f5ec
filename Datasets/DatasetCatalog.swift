import ZooCore

/// The datasets known by name, and the rule by which `--data` finds images.
public enum DatasetCatalog {
    /// A dataset that has a name of its own.
    public struct Entry: Sendable, Equatable {
        public let name: String
        /// One line for people.
        public let summary: String
    }

    public static let digits = Entry(
        name: "digits", summary: "UCI handwritten digits, 360 test images, embedded (CC BY 4.0)")
    public static let digitsTraining = Entry(
        name: "digits-train", summary: "UCI handwritten digits, 1437 training images, embedded (CC BY 4.0)")
    public static let imageNetSubset = Entry(
        name: "imagenet-subset",
        summary: "a subset of ImageNet's validation images made by 'zoo data subset', else the embedded photographs")

    public static let entries = [digits, digitsTraining, imageNetSubset]

    /// Opens what `--data` names.
    ///
    /// A known name comes first. `imagenet-subset` is looked for as a folder of that name under `dataRoot`, then under
    /// `home`, and is the embedded sample if there is none. Anything else is a path: a folder of class folders, a flat
    /// folder with a ground-truth list, a zip archive, a list file; or the name of a folder under `dataRoot` or `home`.
    ///
    /// - Parameter labels: the ground-truth list of a flat folder.
    /// - Throws: `ZooError` of kind `missingInput` if there is nothing of that name, `usage` if there is a list for images
    ///   that bring their labels, or what the readers throw.
    public static func open(
        _ name: String, dataRoot: String? = nil, labels: String? = nil, home: ZooHome = .current
    ) throws -> any ImageDataset {
        let dataset = try find(name, dataRoot: dataRoot, labels: labels, home: home)
        guard labels == nil || dataset is ValidationFolder else {
            throw ZooError(
                .usage, "the dataset brings its own labels", file: name, at: "--labels",
                expected: "a flat folder of images", found: "\(dataset.origin)", code: "dataset.has-labels")
        }
        return dataset
    }

    private static func find(
        _ name: String, dataRoot: String?, labels: String?, home: ZooHome
    ) throws -> any ImageDataset {
        if let dataRoot, !isFolder(dataRoot) {
            throw ZooError(.missingInput, "no such folder", file: dataRoot, at: "--data-root")
        }
        let roots = (dataRoot.map { [$0] } ?? []) + [home.datasets]
        switch name {
        case digits.name: return try embeddedDigits("test/", name)
        case digitsTraining.name: return try embeddedDigits("train/", name)
        case imageNetSubset.name:
            for root in roots where isFolder(root + "/" + name) {
                return try openFolder(root + "/" + name, labels: labels, name: name)
            }
            return try embeddedPhotographs()
        default: break
        }
        for path in [name] + roots.map({ $0 + "/" + name }) {
            if isFolder(path) { return try openFolder(path, labels: labels, name: name) }
            if isRegularFile(path) { return try openFile(path) }
        }
        throw ZooError(
            .missingInput, "no dataset and no folder or file of this name", file: name, at: "--data",
            hint: "known names: " + entries.map(\.name).joined(separator: ", "), code: "dataset.unknown")
    }

    /// Opens what names images whose labels do not matter: as `open`, and any folder is all the images below it.
    ///
    /// - Throws: as `open`.
    public static func openImages(
        _ name: String, dataRoot: String? = nil, home: ZooHome = .current
    ) throws -> any ImageDataset {
        if isFolder(name), !entries.contains(where: { $0.name == name }) { return try PlainFolder(path: name) }
        do {
            return try open(name, dataRoot: dataRoot, home: home)
        } catch var error as ZooError {
            // Here the name is an argument and not an option's.
            if error.location == "--data" { error.location = nil }
            throw error
        }
    }

    static func embeddedDigits(_ split: String, _ name: String = digits.name) throws -> ImageArchive {
        try ImageArchive(embedded: "digits.zip", prefix: split, name: name, labelSet: digits.name)
    }

    static func embeddedPhotographs() throws -> ImageArchive {
        try ImageArchive(
            embedded: "imagenet-sample.zip", prefix: "", name: imageNetSubset.name, labelSet: ImageNetClasses.labelSet)
    }

    private static func openFolder(_ path: String, labels: String?, name: String) throws -> any ImageDataset {
        if isRegularFile(path + "/" + SubsetManifest.fileName) {
            return try ImageSubset(path: path, name: name)
        }
        let listing = try FolderListing(path)
        if labels != nil || (listing.folders.isEmpty && !listing.images.isEmpty) {
            return try ValidationFolder(path: path, labels: labels, name: name)
        }
        return try ImageFolder(path: path, name: name)
    }

    private static func openFile(_ path: String) throws -> any ImageDataset {
        let begin = try withFile(path, limit: .max) { Array($0.prefix(4)) }
        let signatures: [[UInt8]] = [[0x89, 0x50, 0x4E, 0x47], [0xFF, 0xD8, 0xFF]]
        guard !signatures.contains(where: begin.starts) else {
            throw ZooError(
                .badData, "is one image", file: path, expected: "a folder, a list or a zip archive of images",
                code: "dataset.one-image")
        }
        return begin.starts(with: [0x50, 0x4B]) ? try ImageArchive(path: path) : try ImageList(path: path)
    }
}

/// Single images that ship with the program, for trying things out: `sample:chelsea.png`.
public enum EmbeddedSample {
    public static let scheme = "sample:"

    /// Calls `body` with the bytes of the embedded image whose path is, or ends in, `name`.
    ///
    /// - Throws: `ZooError` of kind `missingInput` if there is no such image, `usage` if there are several.
    public static func withBytes<R>(named name: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        let datasets = try [DatasetCatalog.embeddedPhotographs(), DatasetCatalog.embeddedDigits("test/")]
        let found = datasets.flatMap { dataset in
            dataset.samples.filter { "/\(dataset.name)/\($0.id)".hasSuffix("/" + name) }.map { (dataset, $0) }
        }
        guard let (dataset, sample) = found.first else {
            throw ZooError(
                .missingInput, "no embedded image of this name", file: scheme + name,
                hint: "there are " + datasets[0].samples.map(\.id).joined(separator: ", ") + " and the test digits",
                code: "dataset.unknown-sample")
        }
        guard found.count == 1 else {
            throw ZooError(.usage, "several embedded images have this name", file: scheme + name)
        }
        return try dataset.withBytes(of: sample, limit: .max, body)
    }
}
