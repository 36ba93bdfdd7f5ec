import ZooCore

/// A checkpoint as a model definition reads it: by scope, strictly.
///
/// ```swift
/// let proj = Linear(w["attn"]["proj"], in: channels, out: channels)
/// ```
///
/// The definition therefore documents the checkpoint's names. Reading records what was asked for; problems are
/// collected rather than thrown one by one, and `WeightReader.finish` turns them into one error, so a model is either
/// loaded whole or not at all.
package struct Weights {
    package let reader: WeightReader
    package let prefix: String
    private let isRead: Bool

    fileprivate init(_ reader: WeightReader, prefix: String, isRead: Bool) {
        self.reader = reader
        self.prefix = prefix
        self.isRead = isRead
    }

    /// The same scope for a part of the network that is not wanted: the checkpoint must have its tensors in the right
    /// shape, but they are not read, and `tensor` answers as to a reader that only records names.
    package var unread: Weights { Weights(reader, prefix: prefix, isRead: false) }

    /// The scope's name without the final dot, `layers.0.blocks.1.attn.qkvo`.
    package var path: String { String(prefix.dropLast()) }

    /// What the model's products are computed in.
    package var precision: Precision { reader.precision }

    /// The scope of `name` inside this one: `w["layers"]["0"]` reads `layers.0.*`.
    package subscript(_ name: String) -> Weights {
        Weights(reader, prefix: prefix + name + ".", isRead: isRead)
    }

    /// The scope of the `index`-th element of a list.
    package subscript(_ index: Int) -> Weights { self["\(index)"] }

    /// Whether the checkpoint has a tensor of this name; false for a source that answers any name, and while names are
    /// only recorded. For checkpoints that come with different sets of names.
    package func contains(_ name: String) -> Bool { reader.contains(prefix + name) }

    /// The tensor's elements in row-major order; zeros (and a recorded problem) when it is missing or has another
    /// shape; empty when the reader only records names.
    package func tensor(_ name: String, _ shape: [Int]) -> [Float] {
        reader.tensor(prefix + name, shape, isRead: isRead)
    }
}

/// Reads a `TensorSource` on behalf of one model and remembers everything that was asked for.
package final class WeightReader {
    private let source: (any TensorSource)?
    fileprivate let precision: Precision
    /// Names and shapes in the order of the definition.
    package private(set) var requested: [(name: String, shape: [Int])] = []
    private var names = Set<String>()
    private var problems: [ZooError] = []

    /// - Parameters:
    ///   - source: `nil` records what the definition asks for without reading anything.
    ///   - precision: what the model's layers pack their weights in.
    package init(_ source: (any TensorSource)?, precision: Precision = .fp32) {
        self.source = source
        self.precision = precision
    }

    /// The scope of the whole checkpoint.
    package var root: Weights { Weights(self, prefix: "", isRead: true) }

    fileprivate func contains(_ name: String) -> Bool { source?.info(name) != nil }

    fileprivate func tensor(_ name: String, _ shape: [Int], isRead: Bool) -> [Float] {
        requested.append((name, shape))
        precondition(names.insert(name).inserted, "the model definition reads \(name) twice")
        guard let source else { return [] }
        var values = [Float](repeating: 0, count: isRead ? shape.reduce(1, *) : 0)
        if source.tensorNames != nil {
            guard let info = source.info(name) else {
                problems.append(ZooError(.badData, "tensor is missing", at: name, expected: "\(shape)"))
                return values
            }
            guard info.shape == shape else {
                problems.append(
                    ZooError(
                        .badData, "tensor has another shape", at: name, expected: "\(shape)", found: "\(info.shape)"))
                return values
            }
        }
        guard isRead else { return values }
        do {
            try values.withUnsafeMutableBufferPointer { try source.read(name, shape: shape, into: $0) }
        } catch let error as ZooError {
            problems.append(error)
        } catch {
            problems.append(ZooError(.inputOutput, "\(error)", at: name))
        }
        return values
    }

    /// Ends the reading: every tensor of the source must have been asked for.
    ///
    /// - Parameter isBuffer: names that the model recomputes and a checkpoint may carry or lack.
    /// - Throws: one `ZooError` of kind `badData` that lists the problems (the first 20 and their number).
    package func finish(isBuffer: (String) -> Bool) throws(ZooError) {
        guard let source else { return }
        for name in source.tensorNames ?? [] where !names.contains(name) && !isBuffer(name) {
            problems.append(
                ZooError(.badData, "unexpected tensor", at: name, found: source.info(name).map { "\($0.shape)" }))
        }
        guard let first = problems.first else { return }
        if problems.count == 1 { throw first.naming(file: source.name) }
        let listed = problems.prefix(20).map(\.description).joined(separator: "; ")
        let more = problems.count > 20 ? "; and \(problems.count - 20) more" : ""
        throw ZooError(
            .badData, "checkpoint does not fit the model, \(problems.count) problems: \(listed)\(more)",
            file: source.name)
    }
}
