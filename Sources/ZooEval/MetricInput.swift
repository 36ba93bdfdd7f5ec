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
    /// The side to which images are cropped before anything looks at them.
    private let crop: Int?

    /// Opens what `argument` names.
    ///
    /// - Parameter crop: the side of `RGBImage.centreCropped(to:limits:)`, the crop with which diffusion models are
    ///   trained; `nil` for whole images.
    /// - Throws: `ZooError` of kind `missingInput`, or what the readers throw.
    public static func open(_ argument: String, dataRoot: String? = nil, crop: Int? = nil) throws -> MetricInput {
        if argument.hasSuffix(".npz") { return MetricInput(try NumpyArchive(path: argument), crop: crop) }
        if argument.hasSuffix(".safetensors") { return MetricInput(try SafetensorsFile(path: argument), crop: crop) }
        return MetricInput(try DatasetCatalog.openImages(argument, dataRoot: dataRoot), name: argument, crop: crop)
    }

    public init(_ arrays: any TensorFile, crop: Int? = nil) {
        name = arrays.name
        self.arrays = arrays
        dataset = nil
        self.crop = crop
    }

    public init(_ dataset: any ImageDataset, name: String, crop: Int? = nil) {
        self.name = name
        arrays = nil
        self.dataset = dataset
        self.crop = crop
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

    /// Adds images to an archive as the array `arr_0` of bytes (N, H, W, 3), of which the ADM evaluator computes precision
    /// and recall. They go to the file as they come: memory does not grow with their number.
    ///
    /// - Parameters:
    ///   - count: how many, at even distances in the order of the set.
    ///   - progress: called with images done and their number.
    /// - Throws: `ZooError` of kind `usage` if there are fewer; of kind `badData` if there are none, or naming the first
    ///   that cannot be decoded or is of another size than the first of all.
    public func addImages(
        _ count: Int, to archive: inout NumpyWriter, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws {
        guard let total = try imageCount() else {
            throw ZooError(.badData, "holds no images", file: name, at: Self.images, code: "metrics.lacking")
        }
        guard count >= 1, count <= total else {
            throw ZooError(
                .usage, "the set has no such number of images", file: name, at: "--images", expected: "1...\(total)",
                found: "\(count)")
        }
        let limits = ResourceLimits()
        let numbers = evenlySpread(count, over: total)
        var size = (height: 0, width: 0)
        _ = try forEachBatch(of: 1, only: [numbers[0]], limits: limits) { size = ($0[0].height, $0[0].width) }
        try archive.add(Self.images, shape: [count, size.height, size.width, 3], UInt8.self) { write in
            var done = 0
            _ = try forEachBatch(of: 1, only: numbers, limits: limits) { batch in
                let image = batch[0]
                guard (image.height, image.width) == size else {
                    throw ZooError(
                        .badData, "images of different sizes cannot go into one array", file: imageName(numbers[done]),
                        expected: "\(size.height)x\(size.width) pixels as in \(imageName(numbers[0]))",
                        found: "\(image.height)x\(image.width)", hint: "--crop makes them equal")
                }
                try image.pixels.withUnsafeBytes { try write($0) }
                done += 1
                progress(done, count)
            }
        }
    }

    /// An image as errors name it.
    private func imageName(_ number: Int) -> String {
        dataset.map { "\(name)/\($0.samples[number].id)" } ?? "\(name): \(Self.images)[\(number)]"
    }

    /// Calls `body` with the images in order, `batchSize` at a time.
    ///
    /// - Parameter numbers: of the images; `nil` for all.
    /// - Returns: the images that were decoded with warnings.
    /// - Throws: `ZooError` that names the first image that cannot be decoded: a metric has no place for failures.
    func forEachBatch(
        of batchSize: Int, only numbers: [Int]? = nil, limits: ResourceLimits, _ body: ([RGBImage]) throws -> Void
    ) throws -> [Metrics.BadImage] {
        guard let count = try imageCount() else { return [] }
        let numbers = numbers ?? Array(0..<count)
        var warned: [Metrics.BadImage] = []
        func run(_ image: (Int) throws -> RGBImage) throws {
            for first in stride(from: 0, to: numbers.count, by: batchSize) {
                let batch = try numbers[first..<min(first + batchSize, numbers.count)].map { number -> RGBImage in
                    do {
                        let whole = try image(number)
                        return try crop.map { try whole.centreCropped(to: $0, limits: limits) } ?? whole
                    } catch let error as ZooError {
                        throw error.naming(file: imageName(number))
                    }
                }
                try body(batch)
            }
        }
        if let dataset {
            try run { index in
                let sample = dataset.samples[index]
                let decoded = try dataset.withBytes(of: sample, limit: limits.maxFileBytes) {
                    try ImageDecoder.decode($0, limits: limits)
                }
                if case .warned(let error) = decoded.status {
                    warned.append(.init(id: sample.id, status: .warned, problem: error.description))
                }
                return decoded.image
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
