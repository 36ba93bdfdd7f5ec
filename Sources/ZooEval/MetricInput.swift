import ZooCore
import ZooDatasets
import ZooIO
import ZooImage
import ZooMetrics

/// A set of images for the metrics, in one of the forms that evaluators exchange:
///
/// - a `.npz` archive: statistics `mu`, `sigma` (and `mu_s`, `sigma_s` for sFID), images `arr_0` (N, H, W, 3) of bytes;
/// - features that were computed elsewhere, in a `.npz` or safetensors file: `pool3` or `features` (N, D), `spatial`,
///   `logits` without bias;
/// - a data set: a name, a folder with all images below it, a zip archive, a list.
public struct MetricInput {
    /// As the user named it.
    public let name: String
    private let arrays: (any TensorFile)?
    private let dataset: (any ImageDataset)?

    /// Opens what `argument` names.
    ///
    /// - Throws: `ZooError` of kind `missingInput`, or what the readers throw.
    public static func open(_ argument: String, dataRoot: String? = nil) throws -> MetricInput {
        if argument.hasSuffix(".npz") { return MetricInput(try NumpyArchive(path: argument)) }
        if argument.hasSuffix(".safetensors") { return MetricInput(try SafetensorsFile(path: argument)) }
        return MetricInput(try DatasetCatalog.openImages(argument, dataRoot: dataRoot), name: argument)
    }

    public init(_ arrays: any TensorFile) {
        name = arrays.name
        self.arrays = arrays
        dataset = nil
    }

    public init(_ dataset: any ImageDataset, name: String) {
        self.name = name
        arrays = nil
        self.dataset = dataset
    }

    /// What lies beside the images of a data set and is no part of it, the record of generated images aside.
    public var ignored: [IgnoredFile] { dataset?.ignored.filter { $0.path != SampleFolder.recordName } ?? [] }

    /// Mean and covariance that the file brings.
    ///
    /// - Throws: `ZooError` that names file and array where they do not fit together.
    func statistics(_ kind: FeatureKind) throws -> GaussianStatistics? {
        let names: [FeatureKind: (String, String)] = [.pooled: ("mu", "sigma"), .spatial: ("mu_s", "sigma_s")]
        guard let arrays, let (mean, covariance) = names[kind], let info = arrays.info(mean) else { return nil }
        guard let square = arrays.info(covariance) else {
            throw ZooError(.badData, "statistics are incomplete", file: name, at: covariance)
        }
        guard info.shape.count == 1, info.count > 0, square.shape == [info.count, info.count] else {
            throw ZooError(
                .badData, "statistics have the wrong shape", file: name, at: covariance, expected: "(d) and (d, d)",
                found: "\(info.shape) and \(square.shape)", code: MetricDefect.badShape.rawValue)
        }
        return try naming(mean) {
            try GaussianStatistics(mean: arrays.float64s(of: mean), covariance: arrays.float64s(of: covariance))
        }
    }

    /// Features that the file brings.
    ///
    /// - Throws: `ZooError` that names file and array.
    func features(_ kind: FeatureKind) throws -> FeatureMatrix? {
        let names = kind == .pooled ? ["pool3", "features"] : [kind.rawValue]
        guard let arrays, let present = names.first(where: { arrays.info($0) != nil }) else { return nil }
        return try naming(present) { try FeatureMatrix(arrays.tensor(present), name: present) }
    }

    /// Fills the file's name and an array's into the errors of `body`.
    func naming<R>(_ array: String, _ body: () throws -> R) throws -> R {
        do {
            return try body()
        } catch var error as ZooError {
            error.location = error.location ?? array
            throw error.naming(file: name)
        }
    }

    /// The number of images, `nil` for a file without any.
    func imageCount() throws -> Int? {
        if let dataset { return dataset.samples.count }
        guard let arrays, let info = arrays.info(Self.images) else { return nil }
        guard info.dtype == .uint8, info.shape.count == 4, info.shape[3] == 3, info.count > 0 else {
            throw ZooError(
                .badData, "images have another form", file: name, at: Self.images, expected: "bytes (N, H, W, 3)",
                found: "\(info.dtype.rawValue) \(info.shape)", code: MetricDefect.badShape.rawValue)
        }
        return info.shape[0]
    }

    private static let images = "arr_0"

    /// Calls `body` with the images in order, `batchSize` at a time.
    ///
    /// - Returns: the images that were decoded with warnings.
    /// - Throws: `ZooError` that names the first image that cannot be decoded: a metric has no place for failures.
    func forEachBatch(
        of batchSize: Int, limits: ResourceLimits, _ body: ([RGBImage]) throws -> Void
    ) throws -> [Metrics.BadImage] {
        guard let count = try imageCount() else { return [] }
        var warned: [Metrics.BadImage] = []
        func run(_ image: (Int) throws -> RGBImage) throws {
            for first in stride(from: 0, to: count, by: batchSize) {
                try body((first..<min(first + batchSize, count)).map(image))
            }
        }
        if let dataset {
            try run { index in
                let sample = dataset.samples[index]
                do {
                    let decoded = try dataset.withBytes(of: sample, limit: limits.maxFileBytes) {
                        try ImageDecoder.decode($0, limits: limits)
                    }
                    if case .warned(let error) = decoded.status {
                        warned.append(.init(id: sample.id, status: .warned, problem: error.description))
                    }
                    return decoded.image
                } catch let error as ZooError {
                    throw error.naming(file: "\(name)/\(sample.id)")
                }
            }
        } else if let arrays {
            try arrays.withBytes(of: Self.images) { info, bytes in
                let (height, width) = (info.shape[1], info.shape[2])
                let size = height * width * 3
                try run { index in
                    RGBImage(height: height, width: width, pixels: Array(bytes[index * size..<(index + 1) * size]))
                }
            }
        }
        return warned
    }
}
