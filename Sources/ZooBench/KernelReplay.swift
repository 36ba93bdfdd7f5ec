import CKernels
import ZooCore
import ZooIO

/// A kernel with inputs of its own, ready to be checked and timed.
package protocol PreparedKernel {
    /// Multiply-adds of one run.
    var multiplyAdds: Int { get }
    /// Bytes that have to be read and written at least.
    var bytes: Int { get }
    /// What a run writes.
    var output: PackedFloats { get }
    func run(on runtime: Runtime)
}

/// A kernel call that can be repeated outside the network it was seen in.
protocol ReplayableCall: KernelCall {
    /// The same call on memory of its own. Pointers of `self` tell only which optional parts there are.
    ///
    /// - Parameter noise: gives reproducible values in -1..<1, one array per call, kept alive by the replay.
    func replayed(output: UnsafeMutablePointer<Float>, noise: (Int) -> UnsafeMutablePointer<Float>) -> Self
    /// Floats of the output, whose rows a replay writes without gaps.
    var outputCount: Int { get }
}

/// A call seen in a network, on memory of its own.
final class KernelReplay: PreparedKernel {
    package let output: PackedFloats
    private let call: any ReplayableCall
    private let inputs: [PackedFloats]

    init(of call: any ReplayableCall) {
        var inputs: [PackedFloats] = []
        output = PackedFloats(count: call.outputCount)
        self.call = call.replayed(output: output.base) { count in
            let values = PackedFloats(SeededSource.uniform("input.\(inputs.count)", shape: [count]).values)
            inputs.append(values)
            return values.base
        }
        self.inputs = inputs
    }

    package var multiplyAdds: Int { call.multiplyAdds }
    package var bytes: Int { call.bytes }

    package func run(on runtime: Runtime) { runtime.run(call, in: "") }
}

extension ck_epilogue {
    /// The residual stays apart from the output, so that every run computes the same.
    fileprivate func replayed(
        rows: Int, columns: Int, noise: (Int) -> UnsafeMutablePointer<Float>
    ) -> ck_epilogue {
        var copy = self
        if bias != nil { copy.bias = UnsafePointer(noise(columns)) }
        if scale != nil { copy.scale = UnsafePointer(noise(columns)) }
        if residual != nil { copy.residual = UnsafePointer(noise(rows * residual_stride)) }
        return copy
    }
}

/// Makes packed weights of the kind that a call has out of noise.
///
/// - Parameter count: of elements.
private func packedNoise(
    _ count: Int, bf16: Bool, _ noise: (Int) -> UnsafeMutablePointer<Float>
) -> (fp32: UnsafePointer<Float>?, bf16: UnsafePointer<ck_bf16>?) {
    guard bf16 else { return (UnsafePointer(noise(count)), nil) }
    let words = noise((count + 1) / 2)
    for index in 0..<(count + 1) / 2 {
        let upper = words[index].bitPattern >> 16
        words[index] = Float(bitPattern: upper << 16 | upper)
    }
    return (nil, UnsafeRawPointer(words).assumingMemoryBound(to: ck_bf16.self))
}

extension ck_gemm_args: ReplayableCall {
    var outputCount: Int { rows * n }

    func replayed(
        output: UnsafeMutablePointer<Float>, noise: (Int) -> UnsafeMutablePointer<Float>
    ) -> ck_gemm_args {
        var copy = self
        copy.x = UnsafePointer(noise(rows * x_stride))
        let count = packed_bf16 == nil ? ck_gemm_packed_count(n, k) : ck_gemm_packed_bf16_count(n, 1, k)
        (copy.packed, copy.packed_bf16) = packedNoise(count, bf16: packed_bf16 != nil, noise)
        if norm_affine.scale != nil {
            copy.norm_affine = ck_norm_affine(scale: noise(k), shift: noise(k), rows: 0, stride: 0)
        }
        copy.out = output
        copy.out_stride = n
        copy.epilogue = epilogue.replayed(rows: rows, columns: n, noise: noise)
        return copy
    }
}

extension ck_conv_args: ReplayableCall {
    var outputCount: Int { outputPixels * out_channels }

    func replayed(
        output: UnsafeMutablePointer<Float>, noise: (Int) -> UnsafeMutablePointer<Float>
    ) -> ck_conv_args {
        var copy = self
        copy.x = UnsafePointer(noise(batch * height * width * x_stride))
        if factor != nil {
            copy.factor = UnsafePointer(noise(batch * channels))
            copy.offset = UnsafePointer(noise(batch * channels))
        }
        copy.out_line_stride = 0
        let taps = kernel_height * kernel_width
        if packed_winograd != nil {
            copy.packed_winograd = UnsafePointer(noise(ck_winograd_packed_count(out_channels, channels)))
        } else {
            let count =
                packed_bf16 == nil
                ? ck_gemm_packed_count(out_channels, taps * channels)
                : ck_gemm_packed_bf16_count(out_channels, taps, channels)
            (copy.packed, copy.packed_bf16) = packedNoise(count, bf16: packed_bf16 != nil, noise)
        }
        copy.out = output
        copy.out_stride = out_channels
        copy.epilogue = epilogue.replayed(rows: outputPixels, columns: out_channels, noise: noise)
        return copy
    }
}

extension ck_dwconv_args: ReplayableCall {
    var outputCount: Int { batch * height * width * channels }

    func replayed(
        output: UnsafeMutablePointer<Float>, noise: (Int) -> UnsafeMutablePointer<Float>
    ) -> ck_dwconv_args {
        var copy = self
        copy.x = UnsafePointer(noise(batch * height * width * x_stride))
        copy.weight = UnsafePointer(noise(kernel * kernel * channels))
        if bias != nil { copy.bias = UnsafePointer(noise(channels)) }
        copy.out = output
        copy.out_stride = channels
        return copy
    }
}

extension ck_layer_norm_args: ReplayableCall {
    var outputCount: Int { rows * channels }

    func replayed(
        output: UnsafeMutablePointer<Float>, noise: (Int) -> UnsafeMutablePointer<Float>
    ) -> ck_layer_norm_args {
        var copy = self
        copy.x = UnsafePointer(noise(rows * x_stride))
        copy.gamma = UnsafePointer(noise(channels))
        copy.beta = UnsafePointer(noise(channels))
        if residual != nil { copy.residual = UnsafePointer(noise(rows * residual_stride)) }
        copy.out = output
        copy.out_stride = channels
        return copy
    }
}
