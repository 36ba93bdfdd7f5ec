import ZooCore

/// The resampling weights of one axis, in Pillow's fixed point: 22 fractional bits, antialiased when shrinking.
struct AxisFilter {
    /// The first input sample of each output sample.
    private(set) var first: [Int32] = []
    /// How many input samples each output sample takes.
    private(set) var taps: [Int32] = []
    /// The weights, `stride` per output sample.
    private(set) var weights: [Int32] = []
    let stride: Int

    /// The input samples that the outputs need together.
    var inputRange: Range<Int> {
        guard let low = first.first, let start = first.last, let length = taps.last else { return 0..<0 }
        return Int(low)..<Int(start + length)
    }

    /// Weights for the outputs in `window` of a resize from `input` to `output` samples.
    ///
    /// - Throws: `ZooError` if the table would exceed `limits.maxDecodeBytes`.
    init(
        from input: Int, to output: Int, window: Range<Int>, kernel: ResamplingKernel, limits: ResourceLimits
    ) throws {
        if input == output {
            // Pillow skips the pass; one tap of weight one is the same.
            stride = 1
            first = window.map(Int32.init)
            taps = [Int32](repeating: 1, count: window.count)
            weights = [Int32](repeating: 1 << AxisFilter.fractionBits, count: window.count)
            return
        }
        let filter = kernel.taps(from: input, to: output)
        let stride = filter.most
        let size = Double(stride) * Double(window.count) * Double(MemoryLayout<Int32>.size)
        guard size <= Double(limits.maxDecodeBytes) else {
            throw ImageDefect.tooMuchMemory.error(
                expected: "at most \(limits.maxDecodeBytes) bytes",
                found: "a resize from \(input) to \(output) pixels")
        }
        self.stride = stride
        first.reserveCapacity(window.count)
        taps.reserveCapacity(window.count)
        weights = [Int32](repeating: 0, count: window.count * stride)
        var raw = [Double](repeating: 0, count: stride)
        for (index, i) in window.enumerated() {
            let (low, count) = filter.weights(of: i, into: &raw)
            for t in 0..<count {
                let weight = raw[t] * Double(1 << AxisFilter.fractionBits)
                weights[index * stride + t] = Int32(weight + (weight < 0 ? -0.5 : 0.5))
            }
            first.append(Int32(low))
            taps.append(Int32(count))
        }
    }

    static let fractionBits = 22
}
