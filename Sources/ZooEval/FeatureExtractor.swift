import ZooCore
import ZooImage
import ZooMetrics
import ZooModels
import ZooNN

/// What metrics of generated images may ask of a set.
public enum FeatureKind: String, Sendable, CaseIterable {
    /// One vector per image: FID, KID, precision and recall.
    case pooled
    /// A few channels with their places: sFID.
    case spatial
    /// Scores of classes, without bias: the inception score.
    case logits
}

/// Computes the features by which sets of images are compared.
public final class FeatureExtractor {
    /// Which network looks at the images.
    public enum Choice: String, Codable, Sendable, CaseIterable {
        /// The FID Inception.
        case inception
        /// The embedded classifier of digits, for data on which Inception says nothing. Its distances are no FIDs and
        /// have another name.
        case ravltNano = "ravlt-nano"

        /// The network's card.
        public func card() throws(ZooError) -> ModelCard {
            switch self {
            case .inception: Inception.card
            case .ravltNano: try Registry.card(named: rawValue)
            }
        }

        /// What a number of this network's features is called: an established name, such as FID, only for the network
        /// that it stands for.
        public func name(_ established: String, _ general: String) -> String {
            self == .inception ? established : "\(general)-\(rawValue)"
        }
    }

    /// What a result says about the network that looked at its images, and about how they came to it.
    public struct Record: Codable, Sendable, Equatable {
        public let name: Choice
        /// `tensorflow`, `torch` or `clean`; else `the network's own`.
        public let resizing: String
        /// The side of the crop before that; `nil` for whole images.
        public let crop: Int?
        public let weights: WeightsRecord

        /// `inception, resizing tensorflow, crop 256`
        public var text: String {
            ([name.rawValue, "resizing \(resizing)"] + (crop.map { ["crop \($0)"] } ?? [])).joined(separator: ", ")
        }
    }

    public let choice: Choice
    /// How images come to the network's size; `nil` where the network's own preprocessing does it.
    public let resizing: FeatureResizing?
    public let weights: WeightsRecord
    /// Images that the network gets at a time. Results do not depend on it.
    public let batchSize: Int
    private let network: Subject
    private let runtime: Runtime
    private var input: [Float] = []

    private enum Subject {
        case inception(InceptionNetwork)
        case classifier(any ImageClassifier, Preprocessor)
    }

    /// - Parameter resizing: for the FID Inception.
    /// - Throws: `ZooError` if the weights do not fit the network.
    public init(
        _ choice: Choice, weights: ResolvedWeights, resizing: FeatureResizing = .tensorflow, batchSize: Int = 8,
        precision: Precision = .fp32, runtime: Runtime
    ) throws {
        guard (1...1024).contains(batchSize) else {
            throw ZooError(.usage, "out of range", at: "--batch-size", expected: "1...1024", found: "\(batchSize)")
        }
        let card = try choice.card()
        switch choice {
        case .inception:
            network = .inception(try Registry.loadInception(from: weights.source, precision: precision))
            self.resizing = resizing
        case .ravltNano:
            network = .classifier(
                try Registry.load(card, from: weights.source, precision: precision),
                try Preprocessor(card.preprocessing))
            self.resizing = nil
        }
        self.choice = choice
        self.weights = weights.record()
        self.batchSize = batchSize
        self.runtime = runtime
    }

    /// - Parameter crop: the side to which images were cropped for it, `nil` for none.
    public func record(crop: Int?) -> Record {
        Record(name: choice, resizing: resizing?.rawValue ?? "the network's own", crop: crop, weights: weights)
    }

    /// The kinds that the network has.
    public var kinds: Set<FeatureKind> { choice == .inception ? Set(FeatureKind.allCases) : [.pooled, .logits] }

    /// The width of the rows of a kind.
    public func dimensions(of kind: FeatureKind) -> Int {
        switch (network, kind) {
        case (.inception, .pooled): InceptionNetwork.featureWidth
        case (.inception, .spatial): InceptionNetwork.spatialWidth
        case (.inception, .logits): InceptionNetwork.classes
        case (.classifier(let model, _), .pooled): model.preLogitsWidth
        case (.classifier(let model, _), _): model.classes
        }
    }

    /// The features of up to `batchSize` images, row after row.
    ///
    /// - Throws: `ZooError` at a resource limit.
    public func features(of images: [RGBImage], _ kinds: Set<FeatureKind>) throws -> [FeatureKind: [Float]] {
        precondition(!images.isEmpty && kinds.isSubset(of: self.kinds), "the network has no such features")
        var pooled = buffer(.pooled, images.count, kinds)
        var spatial = buffer(.spatial, images.count, kinds)
        var logits = buffer(.logits, images.count, kinds)
        let (height, width) = try prepare(images)
        try input.withUnsafeBufferPointer { input in
            try pooled.withUnsafeMutableBufferPointer { pooled in
                try spatial.withUnsafeMutableBufferPointer { spatial in
                    try logits.withUnsafeMutableBufferPointer { logits in
                        guard let values = input.baseAddress else { return }
                        let batch = ImageBatch(batch: images.count, height: height, width: width, values: values)
                        func pointer(_ buffer: UnsafeMutableBufferPointer<Float>) -> UnsafeMutablePointer<Float>? {
                            buffer.isEmpty ? nil : buffer.baseAddress
                        }
                        switch network {
                        case .inception(let model):
                            try model.forward(
                                batch,
                                into: InceptionOutput(
                                    pool3: pointer(pooled), spatial: pointer(spatial), unbiasedLogits: pointer(logits)),
                                on: runtime)
                        case .classifier(let model, _):
                            try model.forward(
                                batch, into: ClassifierOutput(logits: pointer(logits), preLogits: pointer(pooled)),
                                on: runtime)
                        }
                    }
                }
            }
        }
        return [.pooled: pooled, .spatial: spatial, .logits: logits].filter { kinds.contains($0.key) }
    }

    private func buffer(_ kind: FeatureKind, _ images: Int, _ kinds: Set<FeatureKind>) -> [Float] {
        [Float](repeating: 0, count: kinds.contains(kind) ? images * dimensions(of: kind) : 0)
    }

    /// Fills `input`.
    private func prepare(_ images: [RGBImage]) throws -> (height: Int, width: Int) {
        switch network {
        case .inception:
            let size = InceptionNetwork.inputSize
            input.removeAll(keepingCapacity: true)
            for image in images {
                input.append(contentsOf: (resizing ?? .tensorflow).networkInput(image, size: size).values)
            }
            return (size, size)
        case .classifier(_, let preprocessor):
            let count = preprocessor.inputCount
            input = [Float](repeating: 0, count: images.count * count)
            try input.withUnsafeMutableBufferPointer { input in
                for (index, image) in images.enumerated() {
                    let limits = ResourceLimits()
                    preprocessor.normalize(
                        try preprocessor.crop(image, limits: limits),
                        into: UnsafeMutableBufferPointer(rebasing: input[index * count..<(index + 1) * count]))
                }
            }
            return (preprocessor.preprocessing.inputHeight, preprocessor.preprocessing.inputWidth)
        }
    }
}
