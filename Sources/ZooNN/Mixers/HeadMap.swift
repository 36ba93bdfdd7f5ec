import CKernels
import ZooCore

/// A view of the rows of attention heads, [batch][heads][tokens][dim], in memory that somebody else owns and wherever
/// they lie there: in a packed projection or one head behind the other.
package struct HeadMap {
    package let batch: Int
    package let heads: Int
    package let tokens: Int
    package let dim: Int
    package let strides: ck_head_strides
    package let base: UnsafeMutablePointer<Float>

    package init(
        batch: Int, heads: Int, tokens: Int, dim: Int, strides: ck_head_strides, base: UnsafeMutablePointer<Float>
    ) {
        self.batch = batch
        self.heads = heads
        self.tokens = tokens
        self.dim = dim
        self.strides = strides
        self.base = base
    }

    /// Heads one behind the other, the memory of a tensor (B, heads, N, d).
    package init(batch: Int, heads: Int, tokens: Int, dim: Int, base: UnsafeMutablePointer<Float>) {
        self.init(
            batch: batch, heads: heads, tokens: tokens, dim: dim,
            strides: ck_head_strides(batch: heads * tokens * dim, head: tokens * dim, row: dim), base: base)
    }

    /// The heads of a packed projection: head h is columns `h * dim ..< (h + 1) * dim`.
    package init(_ map: FeatureMap, heads: Int) {
        let dim = map.channels / heads
        self.init(
            batch: map.batch, heads: heads, tokens: map.tokens, dim: dim,
            strides: ck_head_strides(batch: map.tokens * map.stride, head: dim, row: map.stride), base: map.base)
    }

    package var channels: Int { heads * dim }

    package func row(_ batch: Int, _ head: Int, _ token: Int) -> UnsafeMutablePointer<Float> {
        base + (batch * strides.batch + head * strides.head + token * strides.row)
    }

    /// Heads of the same shape with another number of channels, from the workspace, one behind the other.
    package func like(dim: Int, _ workspace: Workspace) -> HeadMap {
        HeadMap(
            batch: batch, heads: heads, tokens: tokens, dim: dim,
            base: workspace.floats(batch * heads * tokens * dim))
    }

    /// The same memory as a packed projection, where it is one.
    private var projection: FeatureMap? {
        guard strides.head == dim || heads == 1, strides.row >= channels, strides.batch == tokens * strides.row else {
            return nil
        }
        return FeatureMap(
            batch: batch, height: 1, width: tokens, channels: channels, stride: strides.row, base: base)
    }

    /// The heads side by side, [batch, tokens, heads * dim]: in place, or copied into the workspace.
    package func merged(_ workspace: Workspace) -> FeatureMap {
        if let projection { return projection }
        let copy = FeatureMap(workspace, batch: batch, height: 1, width: tokens, channels: channels)
        HeadMap(copy, heads: heads).copy(from: self)
        return copy
    }

    /// Lets `body` write the heads side by side, whatever the layout of this map.
    package func writeMerged(_ workspace: Workspace, _ body: (FeatureMap) -> Void) {
        if let projection { return body(projection) }
        workspace.scope {
            let copy = FeatureMap(workspace, batch: batch, height: 1, width: tokens, channels: channels)
            body(copy)
            self.copy(from: HeadMap(copy, heads: heads))
        }
    }

    /// Copies the rows of a map of the same shape.
    package func copy(from other: HeadMap) {
        for b in 0..<batch {
            for h in 0..<heads {
                for n in 0..<tokens { row(b, h, n).update(from: other.row(b, h, n), count: dim) }
            }
        }
    }
}

/// The queries, keys and values of one attention.
package struct Projections {
    package let q: HeadMap
    package let k: HeadMap
    package let v: HeadMap

    package init(q: HeadMap, k: HeadMap, v: HeadMap) {
        self.q = q
        self.k = k
        self.v = v
    }

    /// Thirds of the columns of a packed projection [q, k, v].
    package init(thirdsOf map: FeatureMap, heads: Int) {
        let channels = map.channels / 3
        func third(_ index: Int) -> HeadMap {
            HeadMap(map.columns(index * channels..<(index + 1) * channels), heads: heads)
        }
        self.init(q: third(0), k: third(1), v: third(2))
    }
}

/// What mixes tokens inside an attention layer: from queries, keys and values to one output row per query.
package protocol HeadMixer: Sendable {
    /// Writes to `output`, which has the shape of the queries and overlaps nothing.
    func callAsFunction(_ x: Projections, into output: HeadMap, on runtime: Runtime)
    /// Multiply-adds over all heads of one image.
    func cost(tokens: Int, heads: Int, dim: Int) -> Cost
}
