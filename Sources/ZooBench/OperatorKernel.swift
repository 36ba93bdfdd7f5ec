import Foundation
import ZooCore
import ZooIO
import ZooNN

/// The sizes at which attention operators are measured.
struct AttentionShape: Sendable, Hashable {
    let batch: Int
    let heads: Int
    let tokens: Int
    let headDim: Int
    /// For operators on ragged groups, whose tokens are the rows of all groups.
    var groups: GroupSizes?

    var description: String {
        "\(batch)x\(heads)x\(tokens)x\(headDim)" + (groups.map { " in groups of \($0)" } ?? "")
    }

    func with(tokens: Int) -> AttentionShape {
        AttentionShape(batch: batch, heads: heads, tokens: tokens, headDim: headDim, groups: groups)
    }

    /// The squarest grid of the tokens: where networks have one.
    var grid: (height: Int, width: Int) {
        var height = Int(Double(tokens).squareRoot())
        while height > 1, tokens % height != 0 { height -= 1 }
        return (max(height, 1), tokens / max(height, 1))
    }
}

extension Operator {
    /// Whether the operator attends within groups of rows.
    var isScattered: Bool { inputs.contains { $0.name == "counts" } }

    /// Whether a token grid switches rotary position embedding on; the others need the grid for what they do with it.
    fileprivate var rotates: Bool { ["softmax", "rala", "mala"].contains(name) }
}

/// An operator of the catalogue on noise; with rotary position embedding where it can have it.
final class OperatorKernel: PreparedKernel {
    package let output: PackedFloats
    package let multiplyAdds: Int
    package let bytes: Int
    private let call: Operator.Call

    /// - Throws: `ZooError` of kind `unavailable` for an operator with inputs that no rule here makes; of kind `limit`
    ///   for inputs beyond 64 GiB.
    init(_ operator: Operator, _ shape: AttentionShape) throws(ZooError) {
        var tensors: [String: Tensor] = [:]
        for input in `operator`.inputs {
            if input.name == "counts", let groups = shape.groups {
                let counts = groups.counts(rows: shape.tokens).map { Float($0) }
                tensors["counts"] = Tensor(shape: [counts.count], values: counts)
            } else if input.name == "grid", shape.headDim.isMultiple(of: 4) || !`operator`.rotates {
                let grid = shape.grid
                tensors["grid"] = Tensor(shape: [2], values: [Float(grid.height), Float(grid.width)])
            } else if input.isRequired {
                let sizes = try Self.sizes(of: input, in: `operator`, shape)
                tensors[input.name] = SeededSource.uniform(input.name, shape: sizes)
            }
        }
        call = try `operator`.bind(tensors)
        output = PackedFloats(count: call.outputShape.reduce(1, *))
        multiplyAdds = call.cost.attention + call.cost.convolutions
        bytes = 4 * (tensors.values.reduce(0) { $0 + $1.count } + output.count)
    }

    package func run(on runtime: Runtime) { call(into: output.base, on: runtime) }

    /// Reads a shape such as `(B, heads, N, d)` with the sizes filled in: those asked for, and for what an operator adds
    /// those that its paper or usual implementation takes.
    private static func sizes(
        of input: Operator.Input, in operator: Operator, _ shape: AttentionShape
    ) throws(ZooError) -> [Int] {
        let dim = Double(shape.headDim)
        let known = [
            "B": shape.batch, "heads": shape.heads, "N": shape.tokens, "d": shape.headDim,
            "C": shape.heads * shape.headDim, "H": shape.grid.height, "W": shape.grid.width, "K": 5,
            "m": min(max(1, Int(dim * log(dim))), 1024), "f": min(shape.headDim, 512), "r": 64, "A": 49,
        ]
        var sizes: [Int] = []
        var count = 1
        for word in input.shape.split(whereSeparator: { "(), ".contains($0) }) {
            guard input.element == .real, let size = known[String(word)] ?? Int(word) else {
                throw ZooError(
                    .unavailable, "operator \(`operator`.name) can't be measured: no rule to make its input",
                    at: input.name, found: input.shape)
            }
            let product = count.multipliedReportingOverflow(by: size)
            guard !product.overflow, product.partialValue <= 1 << 34 else {
                throw ZooError(.usage, "input is too large", at: input.name, expected: "at most 64 GiB")
            }
            count = product.partialValue
            sizes.append(size)
        }
        return sizes
    }
}
