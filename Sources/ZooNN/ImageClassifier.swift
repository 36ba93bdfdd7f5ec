import ZooCore

/// An image classifier. Conforming types are immutable and safe to share between threads; every thread brings its own
/// `Runtime`.
public protocol ImageClassifier: Network {
    /// The channels of an input image, 3 unless a configuration says otherwise.
    var inputChannels: Int { get }
    /// The number of classes K; 0 for a dense-prediction backbone.
    var classes: Int { get }
    /// The width P of the vector before the classifier.
    var preLogitsWidth: Int { get }
    /// Multiply-adds of one pass over an image of this size.
    func cost(height: Int, width: Int) -> Cost
    /// The shapes of the stage maps for an image of this size, finest first.
    func intermediateShapes(height: Int, width: Int) -> [MapShape]

    /// Runs the network; after the first pass over a shape it allocates nothing.
    ///
    /// - Parameters:
    ///   - images: channels last, normalised as the model's card says.
    ///   - output: what to fill; its buffers have the sizes that the batch and the shapes above imply.
    /// - Throws: `ZooError` of kind `usage` if the network can't take images of this shape.
    func forward(_ images: ImageBatch, into output: ClassifierOutput, on runtime: Runtime) throws(ZooError)

    /// Runs the network up to the map before its head: the last of `intermediateShapes`, before any norm.
    func forwardFeatures(
        _ images: ImageBatch, into features: UnsafeMutablePointer<Float>, on runtime: Runtime) throws(ZooError)

    /// Runs the head on a map from `forwardFeatures`; fills logits and pre-logits.
    func forwardHead(_ features: ImageBatch, into output: ClassifierOutput, on runtime: Runtime) throws(ZooError)
}

/// Normalised images in channels-last order, in memory that the caller owns.
public struct ImageBatch {
    public let batch: Int
    public let height: Int
    public let width: Int
    public let channels: Int
    /// [batch, height, width, channels]
    public let values: UnsafePointer<Float>

    public init(batch: Int, height: Int, width: Int, channels: Int = 3, values: UnsafePointer<Float>) {
        self.batch = batch
        self.height = height
        self.width = width
        self.channels = channels
        self.values = values
    }
}

/// Where a classifier writes what was asked for; what is `nil` is not computed.
public struct ClassifierOutput {
    /// [batch, K]
    public var logits: UnsafeMutablePointer<Float>?
    /// [batch, P]
    public var preLogits: UnsafeMutablePointer<Float>?
    /// One map per stage, channels last: [batch, height, width, channels].
    public var intermediates: [UnsafeMutablePointer<Float>]?

    public init(
        logits: UnsafeMutablePointer<Float>? = nil, preLogits: UnsafeMutablePointer<Float>? = nil,
        intermediates: [UnsafeMutablePointer<Float>]? = nil
    ) {
        self.logits = logits
        self.preLogits = preLogits
        self.intermediates = intermediates
    }
}

/// The shape of one image's feature map.
public struct MapShape: Sendable, Equatable {
    public let channels: Int
    public let height: Int
    public let width: Int

    public init(channels: Int, height: Int, width: Int) {
        self.channels = channels
        self.height = height
        self.width = width
    }

    public var count: Int { channels * height * width }
}

/// Multiply-adds of one forward pass.
public struct Cost: Sendable, Equatable {
    /// Convolutions and linear layers.
    public var convolutions: Int
    /// Attention cores.
    public var attention: Int

    public init(convolutions: Int = 0, attention: Int = 0) {
        self.convolutions = convolutions
        self.attention = attention
    }

    package static func + (a: Cost, b: Cost) -> Cost {
        Cost(convolutions: a.convolutions + b.convolutions, attention: a.attention + b.attention)
    }

    package static func += (a: inout Cost, b: Cost) { a = a + b }
}

extension ImageClassifier {
    /// The logits [B, K] of channels-last images [B, H, W, 3]: the convenient form for applications.
    ///
    /// - Throws: `ZooError` of kind `usage` if the shape does not fit the network.
    public func logits(_ images: Tensor, on runtime: Runtime) throws -> Tensor {
        guard images.shape.count == 4, images.count > 0 else {
            throw ZooError(
                .usage, "images have the wrong shape", expected: "[batch, height, width, 3]", found: "\(images.shape)")
        }
        var logits = Tensor(zeros: [images.shape[0], classes])
        try images.withUnsafeValues { pixels in
            try logits.withUnsafeMutableValues { destination in
                guard let values = pixels.baseAddress else { return }
                let batch = ImageBatch(
                    batch: images.shape[0], height: images.shape[1], width: images.shape[2],
                    channels: images.shape[3], values: values)
                try forward(batch, into: ClassifierOutput(logits: destination.baseAddress), on: runtime)
            }
        }
        return logits
    }
}
