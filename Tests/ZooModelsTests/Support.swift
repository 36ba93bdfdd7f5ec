import Foundation
import TestSupport
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// The seeded input of the golden cases, [B, C, H, W], as channels-last [B, H, W, C].
func seededImages(_ shape: [Int], name: String = "input", scale: Float = 1) -> Tensor {
    channelsLast(SeededSource.uniform(name, shape: shape), scale: scale)
}

/// [B, C, H, W] to [B, H, W, C].
func channelsLast(_ tensor: Tensor, scale: Float = 1) -> Tensor {
    let (batch, channels, pixels) = (tensor.shape[0], tensor.shape[1], tensor.shape[2] * tensor.shape[3])
    var values = [Float](repeating: 0, count: tensor.count)
    for b in 0..<batch {
        for c in 0..<channels {
            for p in 0..<pixels {
                values[(b * pixels + p) * channels + c] = scale * tensor.values[(b * channels + c) * pixels + p]
            }
        }
    }
    return Tensor(shape: [batch, tensor.shape[2], tensor.shape[3], channels], values: values)
}

/// A `config` object of a golden case.
func hyperparameters(_ object: Any?) -> Hyperparameters {
    func value(_ any: Any) -> Hyperparameters.Value {
        switch any {
        case let list as [Any]: .list(list.map(value))
        case let object as [String: Any]: .object(object.mapValues(value))
        case let text as String: .text(text)
        case let number as NSNumber:
            CFGetTypeIDIsBool(number) ? .bool(number.boolValue) : .number(number.doubleValue)
        default: .null
        }
    }
    return Hyperparameters((object as? [String: Any] ?? [:]).mapValues(value))
}

/// Whether a parsed JSON number was written as `true` or `false`.
private func CFGetTypeIDIsBool(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }

/// What one pass returns.
struct Pass: Equatable {
    var logits: [Float] = []
    var preLogits: [Float] = []
    var intermediates: [[Float]] = []
}

/// Runs a model on channels-last images and returns all that it can compute.
func run(_ model: any ImageClassifier, _ images: Tensor, on runtime: Runtime) throws -> Pass {
    let (batch, height, width) = (images.shape[0], images.shape[1], images.shape[2])
    var pass = Pass(
        logits: [Float](repeating: .nan, count: batch * model.classes),
        preLogits: [Float](repeating: .nan, count: batch * model.preLogitsWidth))
    let maps = model.intermediateShapes(height: height, width: width).map { shape in
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: batch * shape.count)
        buffer.initialize(repeating: .nan)
        return buffer
    }
    defer { maps.forEach { $0.deallocate() } }
    try images.withUnsafeValues { pixels in
        try pass.logits.withUnsafeMutableBufferPointer { logits in
            try pass.preLogits.withUnsafeMutableBufferPointer { preLogits in
                let hasHead = model.classes > 0
                try model.forward(
                    ImageBatch(
                        batch: batch, height: height, width: width, channels: images.shape[3],
                        values: pixels.baseAddress!),
                    into: ClassifierOutput(
                        logits: hasHead ? logits.baseAddress : nil, preLogits: hasHead ? preLogits.baseAddress : nil,
                        intermediates: maps.map { $0.baseAddress! }),
                    on: runtime)
            }
        }
    }
    pass.intermediates = maps.map(Array.init)
    return pass
}

extension Dictionary where Key == String, Value == Any {
    /// A number deep inside a parsed JSON object.
    func number(_ path: String...) -> Double? {
        var current: Any? = self
        for key in path { current = (current as? [String: Any])?[key] }
        return (current as? NSNumber)?.doubleValue
    }
}
