import ZooCore

/// ImageNet's validation images as they are published, all in one folder, with a ground-truth list.
///
/// Labels in the list are WordNet ids, indices 0...999 in the order of every published checkpoint, or class names. The
/// list of the official development kit counts 1...1000 in another order and is refused.
public struct ValidationFolder: ImageDataset {
    public let name: String
    public let origin: DatasetOrigin
    public var labelSet: String? { ImageNetClasses.labelSet }
    /// WordNet ids.
    public let classes: [String]
    public let samples: [ImageSample]
    public let ignored: [IgnoredFile]
    private let path: String

    /// Names under which a ground-truth list is looked for, in the folder and beside it.
    public static let listNames = ["val.txt", "labels.txt", "ground_truth.txt", "LOC_val_solution.csv"]

    /// - Parameter labels: the ground-truth list; `nil` looks for one of `listNames`.
    /// - Throws: `ZooError` if there is no list, or it does not fit the images.
    public init(path: String, labels: String? = nil, name: String? = nil) throws {
        let listing = try FolderListing(path)
        guard !listing.images.isEmpty else {
            throw ZooError(.badData, "no images in the folder", file: path, code: "dataset.empty")
        }
        guard let listPath = labels ?? Self.findList(for: path) else {
            throw ZooError(
                .missingInput, "the images have no labels", file: path,
                expected: "class folders, or a ground-truth list",
                hint: "give --labels FILE with a line 'NAME LABEL' for every image", code: "dataset.no-labels")
        }
        let list = try LabelList(path: listPath)
        let (names, unused) = try Self.assign(list, to: listing.images)
        let files = zip(listing.images, names).map { (id: $0.path, className: $1, byteCount: $0.byteCount) }
        self.name = name ?? path
        origin = .path(path)
        (classes, samples) = labelled(files)
        ignored =
            listing.ignored.filter { !Self.listNames.contains($0.path) && path + "/" + $0.path != listPath }
            + listing.folders.map { IgnoredFile(path: $0, reason: "a folder among the images") }
            + (unused == 0 ? [] : [IgnoredFile(path: listPath, reason: "\(unused) listed images are not here")])
        self.path = path
    }

    public func withBytes<R>(
        of sample: ImageSample, limit: Int, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        try withFile(path + "/" + sample.id, limit: limit, body)
    }

    private static func findList(for path: String) -> String? {
        for folder in [path, path + "/.."] {
            for name in listNames where isRegularFile(folder + "/" + name) { return folder + "/" + name }
        }
        return nil
    }

    /// The WordNet id of every image, and the number of listed images that are not there.
    private static func assign(
        _ list: LabelList, to images: [FolderListing.File]
    ) throws -> (wnids: [String], unused: Int) {
        var known: [String: String] = [:]
        func wnid(_ line: LabelList.Line) throws -> String {
            if let wnid = known[line.label] { return wnid }
            let location = "line \(line.number)"
            guard line.label != "1000" else {
                throw ZooError(
                    .badData, "class number 1000", file: list.path, at: location, expected: "0...999",
                    hint: "the development kit's list has its own class order; use WordNet ids or a list counted "
                        + "from 0 in the order of 'imagenet-classes.tsv'", code: "dataset.devkit-list")
            }
            do throws(ZooError) {
                let found = try ImageNetClasses.find(line.label).wnid
                known[line.label] = found
                return found
            } catch {
                var copy = error.naming(file: list.path)
                copy.location = location
                throw copy
            }
        }
        guard list.lines[0].name != nil else {
            guard list.lines.count == images.count else {
                throw ZooError(
                    .badData, "the list does not fit the images", file: list.path,
                    expected: "\(images.count) lines, one for each image", found: "\(list.lines.count)",
                    code: "dataset.list-length")
            }
            return (try list.lines.map(wnid), 0)
        }
        var labels: [Substring: String] = [:]
        for line in list.lines {
            let wnid = try wnid(line)
            if let earlier = labels.updateValue(wnid, forKey: stem(line.name ?? "")), earlier != wnid {
                throw ZooError(
                    .badData, "'\(line.name ?? "")' is listed twice with different labels", file: list.path,
                    at: "line \(line.number)", code: "dataset.list-duplicate")
            }
        }
        let wnids = try images.map { image in
            guard let wnid = labels[stem(image.path)] else {
                throw ZooError(
                    .badData, "the image '\(image.path)' is not listed", file: list.path, code: "dataset.list-missing")
            }
            return wnid
        }
        return (wnids, max(labels.count - Set(images.map { stem($0.path) }).count, 0))
    }

    /// The file's name without folders and without an image extension.
    private static func stem(_ path: String) -> Substring {
        let name = path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]
        guard isImageName(String(name)), let dot = name.lastIndex(of: ".") else { return name }
        return name[..<dot]
    }
}
