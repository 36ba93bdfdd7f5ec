import Glibc
import ZooCore
import ZooImage
import ZooModels
import ZooNN

/// Classifies single images.
public final class Predictor {
    /// One of the classes that a model proposes.
    public struct Proposal: Codable, Sendable, Equatable {
        public let index: Int
        public let wnid: String?
        public let name: String
        /// Softmax over all classes.
        public let probability: Double
        public let logit: Float
    }

    public let card: ModelCard
    public let preprocessing: Preprocessing
    private let model: any ImageClassifier
    private let preprocessor: Preprocessor
    private let runtime: Runtime
    private var input: [Float]
    private var logits: [Float]

    /// - Parameters:
    ///   - preprocessing: `nil` for the card's.
    ///   - precision: of the model's weights and products.
    /// - Throws: `ZooError` if the weights do not fit the model.
    public init(
        card: ModelCard, weights: ResolvedWeights, preprocessing: Preprocessing? = nil,
        precision: Precision = .fp32, runtime: Runtime
    ) throws {
        let preprocessing = preprocessing ?? card.preprocessing
        preprocessor = try Preprocessor(preprocessing)
        guard preprocessing.inputHeight * preprocessing.inputWidth <= Evaluation.maximumBatchPixels else {
            throw ZooError(
                .usage, "the input is too large", expected: "at most \(Evaluation.maximumBatchPixels) pixels",
                found: "\(preprocessing.inputHeight) x \(preprocessing.inputWidth)")
        }
        model = try Registry.load(card, from: weights.source, precision: precision)
        self.card = card
        self.preprocessing = preprocessing
        self.runtime = runtime
        input = [Float](repeating: 0, count: preprocessor.inputCount)
        logits = [Float](repeating: 0, count: model.classes)
    }

    /// The `count` most probable classes of an image file's bytes, best first; ties go to the lower index.
    ///
    /// - Throws: `ZooError` if the bytes are no image, the model cannot take the input size, or its logits are not finite.
    public func predict(
        _ bytes: UnsafeRawBufferPointer, count: Int, limits: ResourceLimits = ResourceLimits()
    ) throws -> (proposals: [Proposal], status: ImageStatus) {
        let decoded = try preprocessor.crop(decoding: bytes, limits: limits)
        try input.withUnsafeMutableBufferPointer { input in
            preprocessor.normalize(decoded.image, into: input)
            guard let values = input.baseAddress else { return }
            let batch = ImageBatch(
                batch: 1, height: preprocessing.inputHeight, width: preprocessing.inputWidth, values: values)
            try logits.withUnsafeMutableBufferPointer {
                try model.forward(batch, into: ClassifierOutput(logits: $0.baseAddress), on: runtime)
            }
        }
        if let value = logits.first(where: { !$0.isFinite }) {
            throw ZooError(
                .badData, "the model's answer is no number: its weights are damaged or not for this model",
                at: "logits", expected: "finite numbers", found: "\(value)")
        }
        let largest = Double(logits.max() ?? 0)
        let sum = logits.reduce(0.0) { $0 + exp(Double($1) - largest) }
        let order = logits.withUnsafeBufferPointer { logits in
            logits.indices.sorted { precedes($0, $1, logits) }
        }
        let proposals = order.prefix(count).map { index in
            Proposal(
                index: index, wnid: LabelMap.wnid(index, of: card), name: LabelMap.className(index, of: card),
                probability: exp(Double(logits[index]) - largest) / sum, logit: logits[index])
        }
        return (proposals, decoded.status)
    }
}
