import Foundation
import ZooCore

/// PyTorch's CPU random number generator (`torch.manual_seed`): the 32-bit Mersenne twister of Matsumoto and Nishimura,
/// and the way PyTorch makes normal and integer tensors of it.
///
/// Source: `aten/src/ATen/core/MT19937RNGEngine.h`, `aten/src/ATen/native/cpu/DistributionTemplates.h` of PyTorch.
public struct TorchGenerator: Sendable {
    private static let size = 624
    private static let middle = 397
    private var state: [UInt32]
    private var position = Self.size
    /// The second half of a pair of normal numbers that is still to be given out.
    private var pending: Double?

    /// The generator after `torch.manual_seed(seed)`: the twister takes the lower 32 bits.
    public init(seed: UInt64) {
        state = [UInt32(truncatingIfNeeded: seed)]
        state.reserveCapacity(Self.size)
        for index in 1..<Self.size {
            let last = state[index - 1]
            state.append(1_812_433_253 &* (last ^ (last >> 30)) &+ UInt32(index))
        }
    }

    /// 32 random bits.
    public mutating func next() -> UInt32 {
        if position == Self.size { twist() }
        var bits = state[position]
        position += 1
        bits ^= bits >> 11
        bits ^= (bits << 7) & 0x9D2C_5680
        bits ^= (bits << 15) & 0xEFC6_0000
        return bits ^ (bits >> 18)
    }

    private mutating func twist() {
        for index in 0..<Self.size {
            let mixed = (state[index] & 0x8000_0000) | (state[(index + 1) % Self.size] & 0x7FFF_FFFF)
            let turned = (mixed >> 1) ^ (mixed & 1 == 0 ? 0 : 0x9908_B0DF)
            state[index] = state[(index + Self.middle) % Self.size] ^ turned
        }
        position = 0
    }

    /// `torch.randint(0, bound, (count,))`.
    ///
    /// - Precondition: `bound` is positive.
    public mutating func integers(below bound: UInt32, count: Int) -> [Int] {
        (0..<count).map { _ in Int(next() % bound) }
    }

    /// `torch.randn(shape)` in float32.
    public mutating func normal(_ shape: [Int]) -> Tensor {
        let count = shape.reduce(1, *)
        return Tensor(shape: shape, values: count < Self.block ? scalars(count) : blocks(count))
    }

    private static let block = 16
    /// Rounded to nearest, which `Float.pi` is not.
    private static let turn = Float(2 * Double.pi)

    /// Below 16 elements PyTorch draws one number at a time, in double.
    private mutating func scalars(_ count: Int) -> [Float] {
        (0..<count).map { _ in
            if let second = pending {
                pending = nil
                return Float(second)
            }
            let angle = 2 * Double.pi * uniform53()
            let radius = (-2 * log1p(-uniform53())).squareRoot()
            pending = radius * sin(angle)
            return Float(radius * cos(angle))
        }
    }

    private mutating func uniform53() -> Double {
        let (high, low) = (UInt64(next()), UInt64(next()))
        return Double((high << 32 | low) & ((1 << 53) - 1)) * 0x1p-53
    }

    /// From 16 elements on, uniform numbers fill the tensor and blocks of 16 become 8 pairs of normal ones; a rest that
    /// fills no block makes the last 16 elements be drawn anew.
    private mutating func blocks(_ count: Int) -> [Float] {
        var values = (0..<count).map { _ in uniform24() }
        for first in stride(from: 0, through: count - Self.block, by: Self.block) { transform(&values, from: first) }
        if !count.isMultiple(of: Self.block) {
            let first = count - Self.block
            for index in first..<count { values[index] = uniform24() }
            transform(&values, from: first)
        }
        return values
    }

    private mutating func uniform24() -> Float { Float(next() & 0xFF_FFFF) * 0x1p-24 }

    private func transform(_ values: inout [Float], from first: Int) {
        let half = Self.block / 2
        for index in first..<first + half {
            let radius = (-2 * TorchMath.log(1 - values[index])).squareRoot()
            let (sine, cosine) = TorchMath.sineAndCosine(Self.turn * values[index + half])
            values[index] = radius * cosine
            values[index + half] = radius * sine
        }
    }
}
