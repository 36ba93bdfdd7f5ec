import CKernels
import ZooCore

/// The average or the maximum over square windows; pixels outside the image do not count.
package struct Pool: Sendable {
    package enum Kind: Sendable { case average, max }

    private let kind: Kind
    private let kernel: Int
    private let stride: Int
    private let padding: Int

    package init(_ kind: Kind, kernel: Int, stride: Int, padding: Int) {
        self.kind = kind
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
    }

    /// Rows or columns of the output over `size` rows or columns of input.
    package func outputSize(_ size: Int) -> Int { ck_conv_output(size, kernel, stride, 2 * padding) }

    /// Writes to `output`, [batch, outputSize(height), outputSize(width), C].
    package func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        let arguments = ck_pooling_args(
            batch: x.batch, height: x.height, width: x.width, channels: x.channels, kernel: kernel, stride: stride,
            padding: padding, kind: kind == .max ? CK_POOLING_MAX : CK_POOLING_AVERAGE, x: x.base, x_stride: x.stride,
            out: output.base, out_stride: output.stride)
        runtime.run(arguments, in: "pool")
    }
}
