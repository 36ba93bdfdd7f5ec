import ZooCore
import ZooNN

/// The tensors that one pass over a batch of images gives, in PyTorch's layout and under the names of `zoo run`.
struct ForwardPass {
    /// (B, K), `nil` for a dense-prediction backbone.
    let logits: Tensor?
    /// (B, P), `nil` for a dense-prediction backbone.
    let preLogits: Tensor?
    /// One map (B, C, H, W) per stage, before its downsampling; empty unless asked for, always there for a backbone.
    let maps: [Tensor]

    /// - Parameters:
    ///   - images: (B, C, H, W)
    ///   - batchSize: images per pass of the network; does not change results.
    /// - Throws: `ZooError` if the network can't take images of this shape.
    init(
        _ model: any ImageClassifier, _ images: Tensor, batchSize: Int, intermediates: Bool, on runtime: Runtime
    ) throws {
        let pixels = images.channelsLast()
        let (batch, height, width, channels) = (pixels.shape[0], pixels.shape[1], pixels.shape[2], pixels.shape[3])
        let hasHead = model.classes > 0
        let shapes = intermediates || !hasHead ? model.intermediateShapes(height: height, width: width) : []

        let logits = hasHead ? OutputBuffer([batch, model.classes]) : nil
        let preLogits = hasHead ? OutputBuffer([batch, model.preLogitsWidth]) : nil
        let maps = shapes.map { OutputBuffer([batch, $0.height, $0.width, $0.channels]) }
        try pixels.withUnsafeValues { values in
            guard let base = values.baseAddress else { return }
            for first in stride(from: 0, to: batch, by: batchSize) {
                let part = ImageBatch(
                    batch: min(batchSize, batch - first), height: height, width: width, channels: channels,
                    values: base + first * height * width * channels)
                let output = ClassifierOutput(
                    logits: logits?.pointer(row: first), preLogits: preLogits?.pointer(row: first),
                    intermediates: maps.isEmpty ? nil : maps.map { $0.pointer(row: first) })
                try model.forward(part, into: output, on: runtime)
            }
        }
        self.logits = logits?.tensor
        self.preLogits = preLogits?.tensor
        self.maps = maps.map { $0.tensor.channelsFirst() }
    }

    /// `logits`, `pre_logits`, `out0`, `out1`, ...: what there is of them.
    var named: [(name: String, tensor: Tensor)] {
        var result: [(String, Tensor)] = []
        if let logits { result.append(("logits", logits)) }
        if let preLogits { result.append(("pre_logits", preLogits)) }
        for (index, map) in maps.enumerated() { result.append(("out\(index)", map)) }
        return result
    }
}

/// Memory for one output of a whole batch, filled a few rows at a time.
final class OutputBuffer {
    private let shape: [Int]
    private let memory: UnsafeMutablePointer<Float>
    private let count: Int

    init(_ shape: [Int]) {
        self.shape = shape
        count = shape.reduce(1, *)
        memory = .allocate(capacity: count)
        memory.initialize(repeating: 0, count: count)
    }

    deinit { memory.deallocate() }

    /// Where the elements of an image begin.
    func pointer(row: Int) -> UnsafeMutablePointer<Float> { memory + row * shape.dropFirst().reduce(1, *) }

    var tensor: Tensor { Tensor(shape: shape, values: Array(UnsafeBufferPointer(start: memory, count: count))) }
}
