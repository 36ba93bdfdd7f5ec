import Foundation
import ZooCore
import ZooDatasets
import ZooImage

/// Small pictures of a dataset's images as data URIs, where the dataset can still be read.
final class Thumbnails {
    /// A picture ready for a page.
    struct Picture {
        let uri: String
        /// Whether the original is so small that its pixels should stay visible.
        let isTiny: Bool
    }

    private let dataset: (any ImageDataset)?
    private let samples: [String: ImageSample]
    private var known: [String: Picture] = [:]

    private static let side = 96
    private static let tinySide = 48

    /// Opens the dataset that a result was measured on. Another dataset of the same name is not used.
    init(_ record: EvaluationReport.DatasetRecord) {
        let candidates = [record.name, record.origin].lazy.compactMap { try? DatasetCatalog.open($0) }
        dataset = candidates.first { $0.fingerprint == record.fingerprint }
        samples = Dictionary((dataset?.samples ?? []).map { ($0.id, $0) }) { first, _ in first }
    }

    /// Whether there are pictures at all.
    var isAvailable: Bool { dataset != nil }

    /// The picture of the image `id`, `nil` if it cannot be read.
    func picture(_ id: String) -> Picture? {
        if let picture = known[id] { return picture }
        guard let dataset, let sample = samples[id] else { return nil }
        let picture = try? dataset.withBytes(of: sample, limit: ResourceLimits().maxFileBytes, Self.encode)
        known[id] = picture
        return picture
    }

    private static func encode(_ bytes: UnsafeRawBufferPointer) throws -> Picture {
        let limits = ResourceLimits()
        let image = try ImageDecoder.decode(bytes, limits: limits).image
        guard max(image.height, image.width) > tinySide else {
            return Picture(
                uri: "data:image/png;base64," + Data(try ImageEncoder.png(image)).base64EncodedString(), isTiny: true)
        }
        let preprocessor = try Preprocessor(Preprocessing(inputHeight: side, inputWidth: side, cropPct: 1))
        let jpeg = try ImageEncoder.jpeg(preprocessor.crop(image, limits: limits), quality: 80, subsampled: true)
        return Picture(uri: "data:image/jpeg;base64," + Data(jpeg).base64EncodedString(), isTiny: false)
    }
}
