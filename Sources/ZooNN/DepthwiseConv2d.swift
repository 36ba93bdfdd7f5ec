import CKernels
import ZooCore

/// A depthwise convolution, stride 1, same size, optionally with the residual connection around it:
/// `y = x + dwconv(x)`.
package struct DepthwiseConv2d: Sendable {
    private let name: String
    private let channels: Int
    private let kernel: Int
    private let residual: Bool
    private let weight: PackedWeight
    private let bias: PackedWeight

    /// Reads `weight` [channels, 1, kernel, kernel] and `bias` [channels].
    package init(_ w: Weights, channels: Int, kernel: Int, residual: Bool) {
        self.init(
            w.path, weight: w.tensor("weight", [channels, 1, kernel, kernel]), bias: w.tensor("bias", [channels]),
            channels: channels, kernel: kernel, residual: residual)
    }

    /// - Parameters:
    ///   - weight: [channels][kernel][kernel].
    ///   - bias: [channels].
    package init(
        _ name: String, weight: [Float], bias: [Float], channels: Int, kernel: Int, residual: Bool = false
    ) {
        self.name = name
        self.channels = channels
        self.kernel = kernel
        self.residual = residual
        self.weight = PackedWeight(Self.tapMajor(weight, channels: channels))
        self.bias = PackedWeight(bias)
    }

    /// [channels][taps] to [taps][channels], the layout of the kernel.
    static func tapMajor(_ weight: [Float], channels: Int) -> [Float] {
        let taps = weight.count / channels
        return weight.indices.map { weight[$0 % channels * taps + $0 / channels] }
    }

    /// Writes to `output`, which has the shape of `x` and must not overlap it.
    ///
    /// - Parameter window: cuts the map into windows that do not see each other; `nil` for one whole map.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, window: (height: Int, width: Int)? = nil, on runtime: Runtime
    ) {
        let arguments = ck_dwconv_args(
            batch: x.batch, height: x.height, width: x.width, channels: channels, kernel: kernel,
            window_height: window?.height ?? x.height, window_width: window?.width ?? x.width, x: x.base,
            x_stride: x.stride, weight: weight.pointer, bias: bias.pointer, add_input: residual ? 1 : 0,
            out: output.base, out_stride: output.stride)
        runtime.run(arguments, in: name)
    }

    /// Multiply-adds over `pixels` pixels.
    package func cost(pixels: Int) -> Cost { Cost(convolutions: pixels * channels * kernel * kernel) }
}
