import ZooCore

/// Which classes of a dataset a subset takes.
public struct ClassSelection: Sendable {
    /// Names as the user or a ready list gives them; `nil` takes all classes.
    public let names: [String]?

    /// Lists that ship with the program, by name.
    public static let readyLists: [(name: String, summary: String)] = [
        ("imagenette", "ten easily told classes"),
        ("mini-imagenet", "the hundred classes of mini-ImageNet"),
        ("imagenet-a", "the two hundred classes of ImageNet-A"),
        ("imagenet-r", "the two hundred classes of ImageNet-R"),
    ]

    /// Parses `--classes`: `all`, a ready list's name, a file with one class per line, or names separated by commas.
    ///
    /// - Throws: `ZooError` if a list file cannot be read, or nothing is named.
    public init(_ text: String) throws {
        if text == "all" {
            names = nil
        } else if Self.readyLists.contains(where: { $0.name == text }) {
            names = embeddedLines(text + ".indices.txt").compactMap { Int($0) }
                .map { ImageNetClasses.all[$0].wnid }
        } else if isRegularFile(text) {
            names = try LabelList(path: text).lines.map { $0.name ?? $0.label }
        } else {
            names = text.split(separator: ",").map { String($0.trimmed) }.filter { !$0.isEmpty }
        }
        if names?.isEmpty == true {
            throw ZooError(.usage, "no class is named", at: "--classes")
        }
    }

    /// The dataset's classes that are meant, in the dataset's order: those of exactly this name, else those that are
    /// the same class of ImageNet.
    ///
    /// - Throws: `ZooError` that lists the names which the dataset does not have.
    func resolve(in dataset: any ImageDataset) throws -> [Int] {
        guard let names else { return Array(dataset.classes.indices) }
        let byName = Dictionary(uniqueKeysWithValues: zip(dataset.classes, dataset.classes.indices))
        let mayBeImageNet = (dataset.labelSet ?? ImageNetClasses.labelSet) == ImageNetClasses.labelSet
        let byWnid = Dictionary(
            !mayBeImageNet
                ? []
                : dataset.classes.enumerated().compactMap { index, name in
                    (try? ImageNetClasses.find(name)).map { ($0.wnid, index) }
                }, uniquingKeysWith: { first, _ in first })
        var found = Set<Int>()
        var missing: [String] = []
        for name in names {
            if let index = byName[name] ?? (try? ImageNetClasses.find(name)).flatMap({ byWnid[$0.wnid] }) {
                found.insert(index)
            } else {
                missing.append(name)
            }
        }
        guard missing.isEmpty else {
            let listed = missing.prefix(5).joined(separator: ", ")
            throw ZooError(
                .badData, "\(missing.count) of \(names.count) classes are not in the dataset", file: dataset.name,
                found: missing.count > 5 ? "\(listed), ..." : listed, code: "dataset.missing-classes")
        }
        return found.sorted()
    }
}
