import CKernels
import ZooCore

/// A linear map of every row of every head, without bias: one matrix for all heads or one for each.
package struct HeadProjection: Sendable {
    package let outputs: Int
    private let inputs: Int
    private let matrices: [PackedMatrix]

    /// - Parameters:
    ///   - matrices: one [outputs][inputs] per head, or a single one for all.
    ///   - scale: multiplied into them.
    package init(_ matrices: [[Float]], inputs: Int, outputs: Int, scale: Float = 1) {
        self.inputs = inputs
        self.outputs = outputs
        self.matrices = matrices.map { matrix in
            PackedMatrix(
                scale == 1 ? matrix : matrix.map { $0 * scale }, n: outputs, channels: inputs, precision: .fp32)
        }
    }

    /// Writes to `output`, which has the rows of `x`, `outputs` wide.
    package func callAsFunction(_ x: HeadMap, into output: HeadMap, on runtime: Runtime) {
        for head in 0..<x.heads {
            let matrix = matrices[matrices.count == 1 ? 0 : head]
            for batch in 0..<x.batch {
                let arguments = ck_gemm_args(
                    rows: x.tokens, n: outputs, k: inputs, x: x.row(batch, head, 0), x_stride: x.strides.row,
                    norm_epsilon: 0, norm_affine: .init(), packed: matrix.pointer, packed_bf16: nil,
                    out: output.row(batch, head, 0),
                    out_stride: output.strides.row, epilogue: ck_epilogue())
                runtime.run(arguments, in: "features")
            }
        }
    }

    /// Multiply-adds over all heads of one image.
    package func cost(tokens: Int, heads: Int) -> Int { tokens * heads * inputs * outputs }
}
