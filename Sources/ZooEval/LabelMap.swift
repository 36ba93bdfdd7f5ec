import ZooCore
import ZooDatasets
import ZooNN

/// The names of a model's classes, and which of them a dataset's classes are.
public struct LabelMap: Sendable {
    /// For each class of the dataset, the index of the model's logit.
    public let modelClasses: [Int]
    /// The model's classes that the dataset has, sorted.
    public var present: [Int] { Array(Set(modelClasses)).sorted() }

    /// - Throws: `ZooError` of kind `badData` that names a class which the model does not have.
    public init(from dataset: any ImageDataset, to card: ModelCard) throws {
        if let sample = dataset.samples.first(where: { $0.label == nil }) {
            throw ZooError(
                .badData, "the image has no label", file: dataset.name, at: sample.id, code: "eval.no-label")
        }
        try Self.requireClasses(of: card, in: dataset)
        modelClasses = try dataset.classes.map { name in
            do throws(ZooError) {
                return try Self.index(of: name, card)
            } catch {
                throw ZooError(
                    .badData, "the model \(card.name) has no class for the label '\(name)'", file: dataset.name,
                    expected: Self.expectation(card), found: "\(dataset.classes.count) classes",
                    hint: error.hint ?? Self.hint(dataset), code: "eval.label-mismatch")
            }
        }
    }

    /// - Throws: `ZooError` of kind `badData` if the dataset is known to have other classes than the model.
    public static func requireClasses(of card: ModelCard, in dataset: any ImageDataset) throws {
        guard let labels = dataset.labelSet, labels != card.labels else { return }
        throw ZooError(
            .badData, "the model \(card.name) has other classes than the dataset", file: dataset.name,
            expected: card.labels, found: labels, code: "eval.label-mismatch")
    }

    /// What class `index` of a model shows, for people.
    public static func className(_ index: Int, of card: ModelCard) -> String {
        if card.labels == ImageNetClasses.labelSet, ImageNetClasses.all.indices.contains(index) {
            return ImageNetClasses.all[index].name
        }
        return card.labels == DatasetCatalog.digits.name ? "\(index)" : "class \(index)"
    }

    /// The WordNet id of class `index`, `nil` for models that were not trained on ImageNet.
    public static func wnid(_ index: Int, of card: ModelCard) -> String? {
        guard card.labels == ImageNetClasses.labelSet, ImageNetClasses.all.indices.contains(index) else { return nil }
        return ImageNetClasses.all[index].wnid
    }

    private static func index(of name: String, _ card: ModelCard) throws(ZooError) -> Int {
        if card.labels == ImageNetClasses.labelSet { return try ImageNetClasses.find(name).index }
        guard let index = Int(name), (0..<card.classes).contains(index) else {
            throw ZooError(.badData, "no such class", found: name)
        }
        return index
    }

    private static func expectation(_ card: ModelCard) -> String {
        card.labels == ImageNetClasses.labelSet
            ? "ImageNet-1k classes as WordNet ids, indices or names" : "numbers 0...\(card.classes - 1)"
    }

    private static func hint(_ dataset: any ImageDataset) -> String? {
        guard let split = ["val", "validation", "test"].first(where: dataset.classes.contains) else { return nil }
        return "'\(split)' looks like a split: use --data \(dataset.name)/\(split)"
    }
}
