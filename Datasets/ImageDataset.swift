import ZooCore
import ZooIO

/// Images in a fixed order, with labels where they are known.
///
/// A dataset knows nothing of models: a class is the name that the data give it (a WordNet id, a word, a number), and
/// ZooEval maps names to a model's outputs.
public protocol ImageDataset: Sendable {
    /// What the user called it: `digits`, or the path.
    var name: String { get }
    /// Where the images come from.
    var origin: DatasetOrigin { get }
    /// What the classes are, in the words of the models' cards (`digits`, `imagenet-1k`), where the dataset knows.
    var labelSet: String? { get }
    /// The names of the classes in natural order; every one has at least one sample.
    var classes: [String] { get }
    /// The images in the fixed order of evaluation.
    var samples: [ImageSample] { get }
    /// What was found beside the images and is not part of the dataset.
    var ignored: [IgnoredFile] { get }

    /// Calls `body` with the compressed bytes of a sample; the pointer is valid only inside. Safe to call from several
    /// threads.
    ///
    /// - Parameter limit: bytes that the file may have.
    /// - Throws: `ZooError` if the file cannot be read or is larger than `limit`.
    func withBytes<R>(of sample: ImageSample, limit: Int, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R
}

/// One image of a dataset.
public struct ImageSample: Sendable, Equatable {
    /// The path inside the dataset, with `/` between folders.
    public let id: String
    /// Index into the dataset's `classes`, `nil` where the label is not known.
    public let label: Int?
    /// Bytes of the compressed file.
    public let byteCount: Int

    public init(id: String, label: Int?, byteCount: Int) {
        self.id = id
        self.label = label
        self.byteCount = byteCount
    }
}

/// Where a dataset's images come from.
public enum DatasetOrigin: Sendable, Equatable, CustomStringConvertible {
    /// Compiled into the program.
    case embedded
    /// A folder or file of the user.
    case path(String)

    public var description: String {
        switch self {
        case .embedded: "embedded sample"
        case .path(let path): path
        }
    }
}

/// A file that lies in a dataset's folder and was left out, and why.
public struct IgnoredFile: Sendable, Equatable, Codable {
    public let path: String
    public let reason: String

    public init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }
}

extension ImageDataset {
    /// `nil`: a folder's names may mean anything.
    public var labelSet: String? { nil }

    /// SHA-256 over the names, sizes and labels of all samples in order: two datasets with the same fingerprint are
    /// the same evaluation. The pixels are not read.
    public var fingerprint: String {
        var hash = SHA256()
        for sample in samples {
            let label = sample.label.map { classes[$0] } ?? ""
            var line = "\(sample.id)\t\(sample.byteCount)\t\(label)\n"
            line.withUTF8 { hash.update(UnsafeRawBufferPointer($0)) }
        }
        return hash.finalizeHex()
    }
}

/// Gives samples the indices of their classes, which are collected in natural order.
///
/// - Parameter files: id, class name and size of every image, in the order that the dataset shall have.
func labelled(
    _ files: [(id: String, className: String, byteCount: Int)]
) -> (classes: [String], samples: [ImageSample]) {
    let classes = Set(files.map(\.className)).sorted(by: naturallyPrecedes)
    let indices = Dictionary(uniqueKeysWithValues: zip(classes, classes.indices))
    let samples = files.map { ImageSample(id: $0.id, label: indices[$0.className], byteCount: $0.byteCount) }
    return (classes, samples)
}
