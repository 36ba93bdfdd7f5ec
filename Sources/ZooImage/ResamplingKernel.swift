import Glibc
import ZooCore

/// A filter by which Pillow resamples an axis.
struct ResamplingKernel: Sendable {
    /// Half its width at scale 1.
    let support: Double
    /// Its value at a distance. Operations in Pillow's order, for the last bit.
    let weight: @Sendable (Double) -> Double

    /// The mean of the samples under an output sample: Pillow's BOX.
    static let box = ResamplingKernel(support: 0.5) { x in -0.5 < x && x <= 0.5 ? 1 : 0 }

    static let bilinear = ResamplingKernel(support: 1) { x in abs(x) < 1 ? 1 - abs(x) : 0 }

    static let bicubic = ResamplingKernel(support: 2) { x in
        let (a, distance) = (-0.5, abs(x))
        if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
        if distance < 2 { return (((distance - 5) * distance + 8) * distance - 4) * a }
        return 0
    }

    static let lanczos = ResamplingKernel(support: 3) { x in -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0 }

    init(support: Double, weight: @escaping @Sendable (Double) -> Double) {
        self.support = support
        self.weight = weight
    }

    init(_ interpolation: Preprocessing.Interpolation) {
        self =
            switch interpolation {
            case .bilinear: .bilinear
            case .bicubic: .bicubic
            case .lanczos: .lanczos
            }
    }

    /// The taps of a resize from `input` to `output` samples: for each output sample the first input sample and the
    /// weights, which add up to 1.
    func taps(from input: Int, to output: Int) -> Taps { Taps(self, from: input, to: output) }

    struct Taps {
        private let kernel: ResamplingKernel
        private let scale: Double
        private let filterScale: Double
        private let input: Int
        /// Weights of one output sample at most.
        let most: Int

        fileprivate init(_ kernel: ResamplingKernel, from input: Int, to output: Int) {
            self.kernel = kernel
            self.input = input
            scale = Double(input) / Double(output)
            filterScale = max(scale, 1)
            most = Int((kernel.support * filterScale).rounded(.up)) * 2 + 1
        }

        /// Writes the weights of output sample `index` and returns where they begin and how many they are.
        func weights(of index: Int, into weights: inout [Double]) -> (first: Int, count: Int) {
            let support = kernel.support * filterScale
            let center = (Double(index) + 0.5) * scale
            let low = max(Int(center - support + 0.5), 0)
            let count = min(Int(center + support + 0.5), input) - low
            var sum = 0.0
            for tap in 0..<count {
                weights[tap] = kernel.weight((Double(tap + low) - center + 0.5) * (1 / filterScale))
                sum += weights[tap]
            }
            if sum != 0 { for tap in 0..<count { weights[tap] /= sum } }
            return (low, count)
        }
    }
}

private func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
