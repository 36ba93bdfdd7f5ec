/// A dense, row-major float32 tensor that owns its memory: what goes into and comes out of a model.
///
/// Inside a forward pass no `Tensor` is made; layers work on `FeatureMap` views into a `Runtime`'s workspace.
public struct Tensor: Sendable, Equatable {
    public let shape: [Int]
    public private(set) var values: [Float]

    /// - Precondition: `values.count` is the product of `shape`.
    public init(shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "shape \(shape) does not hold \(values.count) values")
        self.shape = shape
        self.values = values
    }

    /// A tensor of zeros.
    public init(zeros shape: [Int]) {
        self.init(shape: shape, values: [Float](repeating: 0, count: shape.reduce(1, *)))
    }

    public var count: Int { values.count }

    /// Calls `body` with the elements in row-major order.
    public func withUnsafeValues<R>(_ body: (UnsafeBufferPointer<Float>) throws -> R) rethrows -> R {
        try values.withUnsafeBufferPointer(body)
    }

    /// Calls `body` with the elements in row-major order, writable in place.
    public mutating func withUnsafeMutableValues<R>(
        _ body: (UnsafeMutableBufferPointer<Float>) throws -> R
    ) rethrows -> R {
        try values.withUnsafeMutableBufferPointer { try body($0) }
    }
}
