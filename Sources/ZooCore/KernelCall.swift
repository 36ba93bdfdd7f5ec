import CKernels

/// What a kernel does, as a profile groups it.
package enum KernelKind: Int, Sendable, CaseIterable {
    /// Linear layers and 1x1 convolutions, with the norms and activations fused into them.
    case gemm
    /// Dense convolutions.
    case convolution
    case depthwise
    /// Norms that stand alone.
    case norm
    /// Attention cores.
    case attention
    /// Global pooling.
    case pooling
    /// Predicting an image's own filters.
    case filters
}

/// A kernel's arguments, ready to run: what a layer hands to the runtime, and what profiles and benchmarks see of it.
package protocol KernelCall {
    var kind: KernelKind { get }
    /// What tells this call's work from another's of the same kind, for people: sizes and fused parts.
    var shape: String { get }
    /// Multiply-adds of one run.
    var multiplyAdds: Int { get }
    /// Bytes that have to be read and written at least.
    var bytes: Int { get }
    /// Bytes of scratch memory that a run needs.
    func scratch(_ context: UnsafePointer<ck_context>) -> Int
    func callAsFunction(_ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer) -> ck_status
}

/// Sees every kernel call of a runtime.
package protocol KernelObserver: AnyObject {
    /// - Parameters:
    ///   - call: pointers in it are valid only now.
    ///   - layer: the scope of the layer's weights in the checkpoint, or a word for a layer without weights.
    func observe(_ call: some KernelCall, layer: String, nanoseconds: UInt64)
}

extension ck_gemm_args: KernelCall {
    package var kind: KernelKind { .gemm }
    package var shape: String {
        "\(rows)x\(k)x\(n)" + (packed_bf16 == nil ? "" : " bf16") + (norm_epsilon > 0 ? " norm" : "")
            + (norm_affine.scale == nil ? "" : " affine") + epilogue.shape
    }
    package var multiplyAdds: Int { rows * n * k }
    package var bytes: Int {
        4 * rows * (k + n) + (packed_bf16 == nil ? 4 : 2) * n * k + epilogue.bytes(rows: rows, columns: n)
    }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_gemm_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_gemm_f32(context, $0, scratch) }
    }
}

extension ck_epilogue {
    fileprivate var shape: String {
        var text = ""
        switch activation {
        case CK_ACTIVATION_GELU: text += " gelu"
        case CK_ACTIVATION_SILU: text += " silu"
        case CK_ACTIVATION_GELU_TANH: text += " gelu_tanh"
        case CK_ACTIVATION_RELU: text += " relu"
        default: break
        }
        if scale != nil { text += " scale" }
        if residual != nil { text += " residual" }
        return text
    }

    fileprivate func bytes(rows: Int, columns: Int) -> Int {
        let vectors = (bias == nil ? 0 : 1) + (scale == nil ? 0 : 1)
        return 4 * columns * (vectors + (residual == nil ? 0 : rows))
    }
}

extension ck_conv_args: KernelCall {
    package var kind: KernelKind { .convolution }
    package var shape: String {
        "\(batch)x\(height)x\(width)x\(channels)->\(out_channels) k\(kernel_height)x\(kernel_width) s\(stride)"
            + (packed_bf16 == nil ? "" : " bf16") + (isWinograd ? " winograd" : "")
            + (factor == nil ? "" : " norm silu") + epilogue.shape
    }

    private var isWinograd: Bool { winograd != 0 || packed_winograd != nil }

    /// Pixels of all outputs.
    package var outputPixels: Int {
        batch * ck_conv_output(height, kernel_height, stride, padding.top + padding.bottom)
            * ck_conv_output(width, kernel_width, stride, padding.left + padding.right)
    }

    /// Those that are computed: Winograd's convolution takes 16 for a tile of four outputs that are defined by 36.
    package var multiplyAdds: Int {
        guard isWinograd else { return outputPixels * out_channels * channels * kernel_height * kernel_width }
        let rows = ck_conv_output(height, kernel_height, stride, padding.top + padding.bottom)
        let columns = ck_conv_output(width, kernel_width, stride, padding.left + padding.right)
        return batch * ((rows + 1) / 2) * ((columns + 1) / 2) * 16 * out_channels * channels
    }
    package var bytes: Int {
        let weights = out_channels * channels * kernel_height * kernel_width
        return 4 * (batch * height * width * channels + outputPixels * out_channels)
            + (packed_bf16 == nil ? 4 : 2) * weights + epilogue.bytes(rows: outputPixels, columns: out_channels)
    }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_conv_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_conv_f32(context, $0, scratch) }
    }
}

extension ck_dwconv_args: KernelCall {
    package var kind: KernelKind { .depthwise }
    package var shape: String {
        "\(batch)x\(height)x\(width)x\(channels) k\(kernel)x\(kernel)" + (add_input != 0 ? " residual" : "")
    }
    package var multiplyAdds: Int { batch * height * width * channels * kernel * kernel }
    package var bytes: Int { 4 * channels * (2 * batch * height * width + kernel * kernel + (bias == nil ? 0 : 1)) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int { 0 }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_dwconv_f32(context, $0) }
    }
}

extension ck_layer_norm_args: KernelCall {
    package var kind: KernelKind { .norm }
    package var shape: String { "\(rows)x\(channels)" }
    /// One for each of mean, variance, normalisation and affine part.
    package var multiplyAdds: Int { 4 * rows * channels }
    package var bytes: Int { 4 * channels * (2 * rows + 2) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int { 0 }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_layer_norm_f32(context, $0) }
    }
}

extension ck_group_norm_args: KernelCall {
    package var kind: KernelKind { .norm }
    package var shape: String { "\(batch)x\(pixels)x\(channels) g\(groups)" + (silu != 0 ? " silu" : "") }
    /// One for each of mean, variance and affine part.
    package var multiplyAdds: Int { 3 * batch * pixels * channels }
    package var bytes: Int { 4 * channels * (2 * batch * pixels + 2) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_group_norm_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_group_norm_f32(context, $0, scratch) }
    }
}

extension ck_group_norm_factors_args: KernelCall {
    package var kind: KernelKind { .norm }
    package var shape: String { norm.shape + " factors" }
    /// One for each of mean and variance.
    package var multiplyAdds: Int { 2 * norm.batch * norm.pixels * norm.channels }
    package var bytes: Int { 4 * norm.channels * (norm.batch * (norm.pixels + 2) + 2) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_group_norm_factors_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_group_norm_factors_f32(context, $0, scratch) }
    }
}

extension ck_pooling_args: KernelCall {
    package var kind: KernelKind { .pooling }
    package var shape: String { "\(batch)x\(height)x\(width)x\(channels) k\(kernel)x\(kernel) s\(stride)" }
    private var outputPixels: Int {
        batch * ck_conv_output(height, kernel, stride, 2 * padding) * ck_conv_output(width, kernel, stride, 2 * padding)
    }
    package var multiplyAdds: Int { outputPixels * channels * kernel * kernel }
    package var bytes: Int { 4 * channels * (batch * height * width + outputPixels) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int { 0 }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_pooling_f32(context, $0) }
    }
}

extension ck_mean_args: KernelCall {
    package var kind: KernelKind { .pooling }
    package var shape: String { "\(batch)x\(tokens)x\(channels)" }
    package var multiplyAdds: Int { batch * tokens * channels }
    package var bytes: Int { 4 * batch * channels * (tokens + 1) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int { 0 }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_mean_f32(context, $0) }
    }
}

extension ck_norm_mean_args: KernelCall {
    package var kind: KernelKind { .pooling }
    package var shape: String { "\(batch)x\(tokens)x\(channels) norm" }
    /// One for each of mean, variance, normalisation and sum.
    package var multiplyAdds: Int { 4 * batch * tokens * channels }
    package var bytes: Int { 4 * batch * channels * (tokens + 1) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_norm_mean_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_norm_mean_f32(context, $0, scratch) }
    }
}

extension ck_filters_args: KernelCall {
    package var kind: KernelKind { .filters }
    package var shape: String { "\(batch)x\(groups)x\(group_channels)" }
    package var multiplyAdds: Int { batch * weights }
    package var bytes: Int { 4 * (weights + 10 * groups * group_channels * (batch + 1)) }
    private var weights: Int { (1 + Int(CK_FILTER_TAPS)) * groups * group_channels * group_channels }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int { 0 }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_filters_f32(context, $0) }
    }
}
