import CKernels
import ZooCore

extension HeadMap {
    /// Writes `output[i][j] = self[i] . rows[j] + bias[head][i][j]` for every head: attention logits.
    ///
    /// - Parameters:
    ///   - rows: of the same width; `output` has one column for each.
    ///   - bias: [heads][tokens][rows]; `nil` for none.
    package func products(
        with rows: HeadMap, bias: PackedWeight? = nil, into output: HeadMap, on runtime: Runtime
    ) {
        runtime.workspace.scope {
            let packed = runtime.workspace.floats(ck_gemm_packed_count(rows.tokens, dim))
            for b in 0..<batch {
                for h in 0..<heads {
                    ck_gemm_pack(rows.tokens, dim, rows.row(b, h, 0), rows.strides.row, packed)
                    var epilogue = ck_epilogue()
                    epilogue.residual = bias.map { $0.pointer + h * tokens * rows.tokens }
                    epilogue.residual_stride = rows.tokens
                    let arguments = ck_gemm_args(
                        rows: tokens, n: rows.tokens, k: dim, x: row(b, h, 0), x_stride: strides.row, norm_epsilon: 0,
                        norm_affine: .init(),
                        packed: packed, packed_bf16: nil, out: output.row(b, h, 0), out_stride: output.strides.row,
                        epilogue: epilogue)
                    runtime.run(arguments, in: "attention")
                }
            }
        }
    }
}

/// The unit vectors of some dimension as rows that all heads share. As queries they read the sums of a linear attention
/// out, as keys they make it multiply by its values.
package struct UnitRows: Sendable {
    private let count: Int
    private let matrix: PackedWeight

    package init(_ count: Int) {
        self.count = count
        matrix = PackedWeight(count: count * count) { matrix in
            for i in 0..<count * count { matrix[i] = i % (count + 1) == 0 ? 1 : 0 }
        }
    }

    /// As many rows as dimensions for every head of `map`.
    package func heads(of map: HeadMap) -> HeadMap {
        HeadMap(
            batch: map.batch, heads: map.heads, tokens: count, dim: count,
            strides: ck_head_strides(batch: 0, head: 0, row: count),
            base: UnsafeMutablePointer(mutating: matrix.pointer))
    }
}
