import CKernels
import ZooCore

/// Rows 0..<rows, each in exactly one group of consecutive rows.
package struct RowGroups: Sendable {
    package let rows: Int
    /// In ascending order.
    fileprivate let groups: [ck_row_group]

    /// - Parameters:
    ///   - offsets: the first row of each group, in any order.
    ///   - counts: its rows, 0 or more.
    /// - Throws: `ZooError` of kind `badData` at `offsets` or `counts` for groups that leave the rows, overlap or leave
    ///   rows out.
    package init(offsets: [Int], counts: [Int], rows: Int) throws(ZooError) {
        guard offsets.count == counts.count else {
            throw ZooError(
                .badData, "there are not as many offsets as counts", at: "offsets", expected: "\(counts.count)",
                found: "\(offsets.count)")
        }
        for (index, (offset, count)) in zip(offsets, counts).enumerated() {
            guard (0...rows).contains(count) else {
                throw ZooError(
                    .badData, "group \(index) has an impossible number of rows", at: "counts",
                    expected: "0 to \(rows)", found: "\(count)")
            }
            guard (0...rows - count).contains(offset) else {
                throw ZooError(
                    .badData, "group \(index) of \(count) rows leaves the \(rows) rows", at: "offsets",
                    expected: "0 to \(rows - count)", found: "\(offset)")
            }
        }
        let order = counts.indices.sorted { (offsets[$0], counts[$0]) < (offsets[$1], counts[$1]) }
        var next = 0
        for index in order {
            // An empty group owns no row, wherever it stands.
            guard counts[index] > 0 else { continue }
            guard offsets[index] == next else {
                throw ZooError(
                    .badData, offsets[index] < next ? "groups overlap" : "rows belong to no group", at: "offsets",
                    expected: "a group from row \(next)", found: "group \(index) from row \(offsets[index])")
            }
            next += counts[index]
        }
        guard next == rows else {
            throw ZooError(
                .badData, "rows belong to no group", at: "counts", expected: "\(rows) rows in all", found: "\(next)")
        }
        self.rows = rows
        groups = order.filter { counts[$0] > 0 }.map { ck_row_group(first: offsets[$0], count: counts[$0]) }
    }

    /// Groups that follow each other without gaps.
    package init(counts: [Int], rows: Int) throws(ZooError) {
        var offsets: [Int] = []
        var next = 0
        for (index, count) in counts.enumerated() {
            offsets.append(next)
            guard (0...rows - next).contains(count) else {
                throw ZooError(
                    .badData, "group \(index) has an impossible number of rows", at: "counts",
                    expected: "0 to \(rows - next)", found: "\(count)")
            }
            next += count
        }
        try self.init(offsets: offsets, counts: counts, rows: rows)
    }
}

/// Linear attention within ragged groups of rows: ScatterFormer, arXiv 2401.00912.
///
/// `ReLU(q) KV / (ReLU(q) . S + 1e-6)`, where `KV` sums `ReLU(k)^T v` and `S` sums `ReLU(k)` over the rows of a group.
package struct ScatteredAttention: Sendable {
    private let heads: Int

    package init(heads: Int) { self.heads = heads }

    /// Writes to `output`, which must not overlap the others.
    ///
    /// - Parameter queries, keys, values: `groups.rows` rows of heads * d channels each, before any feature map.
    package func callAsFunction(
        queries: FeatureMap, keys: FeatureMap, values: FeatureMap, groups: RowGroups, into output: FeatureMap,
        on runtime: Runtime
    ) {
        precondition(queries.rows == groups.rows, "\(groups.rows) rows in groups, but \(queries.rows) queries")
        groups.groups.withUnsafeBufferPointer { ranges in
            let arguments = ck_scattered_args(
                rows: groups.rows, heads: heads, head_dim: queries.channels / heads, groups: ranges.baseAddress,
                group_count: ranges.count, q: queries.base, k: keys.base, v: values.base, q_stride: queries.stride,
                k_stride: keys.stride, v_stride: values.stride, out: output.base, out_stride: output.stride)
            runtime.run(arguments, in: "attention")
        }
    }

    /// Multiply-adds of rows with heads of `headDim` channels, whatever their groups.
    package func cost(rows: Int, headDim: Int) -> Cost { Cost(attention: 2 * rows * heads * headDim * headDim) }
}
