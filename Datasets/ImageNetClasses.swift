import CEmbedded
import ZooCore

/// One of the 1000 classes of ImageNet-1k.
public struct ImageNetClass: Sendable, Equatable {
    /// 0...999, the index of the logit in every published checkpoint.
    public let index: Int
    /// The WordNet id, `n01440764`.
    public let wnid: String
    /// The synonyms, separated by commas: `tench, Tinca tinca`.
    public let name: String

    /// The first synonym.
    public var shortName: String { String(name.prefix { $0 != "," }) }
}

/// The classes of ImageNet-1k in the order of every published checkpoint.
public enum ImageNetClasses {
    /// What the cards of models with these classes say.
    public static let labelSet = "imagenet-1k"

    public static let all: [ImageNetClass] = embeddedLines("imagenet-classes.tsv").dropFirst().compactMap { line in
        let columns = line.split(separator: "\t")
        guard columns.count == 3, let index = Int(columns[0]) else { return nil }
        return ImageNetClass(index: index, wnid: String(columns[1]), name: String(columns[2]))
    }

    private static let byWnid = Dictionary(uniqueKeysWithValues: all.map { ($0.wnid, $0) })
    private static let byFullName = Dictionary(grouping: all) { canonical($0.name) }
    private static let bySynonym: [String: [ImageNetClass]] = {
        var classes: [String: [ImageNetClass]] = [:]
        for item in all {
            for synonym in item.name.split(separator: ",") { classes[canonical(synonym), default: []].append(item) }
        }
        return classes
    }()

    /// Finds a class by WordNet id, by index, by its full name or by one of its synonyms; case, `_` and `-` do not
    /// matter in names.
    ///
    /// - Throws: `ZooError` of kind `badData` if nothing fits, or if a name fits several classes, such as `crane`.
    public static func find(_ text: String) throws(ZooError) -> ImageNetClass {
        if let found = byWnid[text] { return found }
        if let index = Int(text), all.indices.contains(index) { return all[index] }
        let name = canonical(text)
        let candidates = byFullName[name] ?? bySynonym[name] ?? []
        guard let found = candidates.first else {
            throw ZooError(
                .badData, "'\(text)' is no class of ImageNet-1k", expected: "a WordNet id, an index 0...999 or a name",
                code: "dataset.unknown-class")
        }
        guard candidates.count == 1 else {
            let choices = candidates.map { "\($0.wnid) (\($0.index))" }.joined(separator: " or ")
            throw ZooError(
                .badData, "'\(text)' names several classes of ImageNet-1k", hint: "say \(choices)",
                code: "dataset.ambiguous-class")
        }
        return found
    }

    private static func canonical(_ name: some StringProtocol) -> String {
        name.lowercased().split { " _-,".contains($0) }.joined(separator: " ")
    }
}

/// The lines of an embedded text file without empty ones.
func embeddedLines(_ file: String) -> [Substring] {
    guard let bytes = embeddedBytes(file) else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
}

/// The bytes of an embedded file; they live as long as the program.
func embeddedBytes(_ file: String) -> UnsafeRawBufferPointer? {
    zoo_embedded(file).map { UnsafeRawBufferPointer(start: $0.pointee.bytes, count: $0.pointee.size) }
}
