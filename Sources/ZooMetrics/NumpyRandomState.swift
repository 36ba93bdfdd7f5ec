/// numpy's legacy generator, `RandomState(seed)`: MT19937 (Matsumoto and Nishimura 1998), as far as the metrics' random
/// subsets and shuffles need it.
package struct NumpyRandomState {
    private var state: [UInt32]
    private var next: Int

    package init(seed: UInt32) {
        state = [seed]
        for index in 1..<624 {
            let last = state[index - 1]
            state.append(1_812_433_253 &* (last ^ last >> 30) &+ UInt32(index))
        }
        next = 624
    }

    /// A random order of `0..<count`.
    package mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(last, Int(number(through: UInt32(last))))
        }
        return order
    }

    /// `subset` of `0..<count` without repetition: `choice(count, subset, replace=False)`.
    mutating func choice(_ subset: Int, of count: Int) -> ArraySlice<Int> { permutation(count).prefix(subset) }

    /// A number in 0...highest: masked draws until one fits.
    private mutating func number(through highest: UInt32) -> UInt32 {
        let mask = UInt32.max >> UInt32(highest.leadingZeroBitCount)
        while true {
            let value = word() & mask
            if value <= highest { return value }
        }
    }

    private mutating func word() -> UInt32 {
        if next == 624 { refill() }
        var y = state[next]
        next += 1
        y ^= y >> 11
        y ^= y << 7 & 0x9D2C_5680
        y ^= y << 15 & 0xEFC6_0000
        return y ^ y >> 18
    }

    private mutating func refill() {
        for index in 0..<624 {
            let y = state[index] & 0x8000_0000 | state[(index + 1) % 624] & 0x7FFF_FFFF
            state[index] = state[(index + 397) % 624] ^ y >> 1 ^ (y & 1 == 0 ? 0 : 0x9908_B0DF)
        }
        next = 0
    }
}
