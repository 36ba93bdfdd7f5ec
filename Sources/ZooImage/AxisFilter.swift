import Glibc
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
        from input: Int, to output: Int, window: Range<Int>, interpolation: Preprocessing.Interpolation,
        limits: ResourceLimits
    ) throws {
        if input == output {
            // Pillow skips the pass; one tap of weight one is the same.
            stride = 1
            first = window.map(Int32.init)
            taps = [Int32](repeating: 1, count: window.count)
            weights = [Int32](repeating: 1 << AxisFilter.fractionBits, count: window.count)
            return
        }
        let scale = Double(input) / Double(output)
        let filterScale = max(scale, 1)
        let support = interpolation.support * filterScale
        let stride = Int(support.rounded(.up)) * 2 + 1
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
            let center = (Double(i) + 0.5) * scale
            let low = max(Int(center - support + 0.5), 0)
            let count = min(Int(center + support + 0.5), input) - low
            var sum = 0.0
            for t in 0..<count {
                raw[t] = interpolation.weight((Double(t + low) - center + 0.5) * (1 / filterScale))
                sum += raw[t]
            }
            for t in 0..<count {
                let weight = (sum == 0 ? raw[t] : raw[t] / sum) * Double(1 << AxisFilter.fractionBits)
                weights[index * stride + t] = Int32(weight + (weight < 0 ? -0.5 : 0.5))
            }
            first.append(Int32(low))
            taps.append(Int32(count))
        }
    }

    static let fractionBits = 22
}

extension Preprocessing.Interpolation {
    /// Half the width of the filter at scale 1.
    var support: Double {
        switch self {
        case .bilinear: 1
        case .bicubic: 2
        case .lanczos: 3
        }
    }

    /// The filter's value at `x`. Operations in Pillow's order, for the last bit.
    func weight(_ x: Double) -> Double {
        let distance = abs(x)
        switch self {
        case .bilinear:
            return distance < 1 ? 1 - distance : 0
        case .bicubic:
            let a = -0.5
            if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
            if distance < 2 { return (((distance - 5) * distance + 8) * distance - 4) * a }
            return 0
        case .lanczos:
            return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0
        }
    }

    private func sinc(_ x: Double) -> Double {
        x == 0 ? 1 : sin(x * .pi) / (x * .pi)
    }
}
