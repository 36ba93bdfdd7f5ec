import ZooCore

/// What can be wrong with a `seeded:` specification.
public enum SeededDefect: String, ParserDefect {
    case badSeed = "seeded.bad-seed"
    case badFactor = "seeded.bad-factor"
}

/// Reproducible weights without a file: every tensor is a function of the seed and its own name.
///
/// For tensor `name` of n elements, version 1 of the rule is
///
///     state   = FNV-1a-64(name as UTF-8) XOR seed
///     bits(i) = splitmix64 mix of state + (i+1)·0x9E3779B97F4A7C15        for i in 0..<n
///     s(i)    = 2·(bits(i) >> 40)·2⁻²⁴ − 1                                 in [−1, 1)
///
/// and the values, by the last part of the name and the shape: `running_var` 1 + 0.5 s; `running_mean` 0.1 s;
/// `…gamma…`, `ls1`, `ls2` 0.5 + 0.2 s; two or more dimensions s·√(3 / fan-in) with fan-in the product of
/// `shape[1...]`; else `weight` 1 + 0.2 s; else 0.1 s. Then each given factor multiplies the tensors whose names
/// end in its suffix. The rule serves tests and benchmarks; nothing about it is trained.
public struct SeededSource: TensorSource {
    /// `seeded:SEED[,SUFFIX=FACTOR...]`.
    public let name: String
    public let seed: UInt64
    /// What multiplies the tensors whose names end in a suffix.
    public let factors: [(suffix: String, factor: Float)]

    public init(seed: UInt64, factors: [(suffix: String, factor: Float)] = []) {
        self.seed = seed
        self.factors = factors
        name = "seeded:\(seed)" + factors.map { ",\($0.suffix)=\($0.factor)" }.joined()
    }

    /// Parses `seeded:SEED[,SUFFIX=FACTOR...]`; `nil` if `specification` does not begin with `seeded:`.
    ///
    /// - Throws: `SeededDefect` usage errors.
    public init?(specification: String) throws {
        guard specification.hasPrefix("seeded:") else { return nil }
        let parts = specification.dropFirst("seeded:".count).split(separator: ",", omittingEmptySubsequences: false)
        guard let seed = UInt64(parts[0]) else {
            throw SeededDefect.badSeed.error(
                "the seed must be a non-negative integer", at: specification, found: String(parts[0]),
                hint: "the form is seeded:SEED[,SUFFIX=FACTOR...]", kind: .usage)
        }
        let factors = try parts.dropFirst().map { part in
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, !sides[0].isEmpty, let factor = Float(sides[1]), factor.isFinite else {
                throw SeededDefect.badFactor.error(
                    "a factor must have the form SUFFIX=NUMBER", at: specification, found: String(part), kind: .usage)
            }
            return (suffix: String(sides[0]), factor: factor)
        }
        self.init(seed: seed, factors: factors)
    }

    /// `nil`: the rule answers any name.
    public var tensorNames: [String]? { nil }

    /// `nil`: the shape is the caller's choice.
    public func info(_ tensor: String) -> TensorInfo? { nil }

    public func read(_ tensor: String, shape: [Int], into destination: UnsafeMutableBufferPointer<Float>) throws {
        precondition(destination.count == checkedProduct(shape), "destination does not fit shape \(shape)")
        Self.fillUniform(destination, name: tensor, seed: seed)
        let (offset, scale) = Self.range(tensor, shape)
        for index in destination.indices { destination[index] = offset + scale * destination[index] }
        for (suffix, factor) in factors where tensor.hasSuffix(suffix) {
            for index in destination.indices { destination[index] *= factor }
        }
    }

    /// The plain values s(i) in [−1, 1) of the rule: the inputs of golden cases are made this way.
    public static func uniform(_ name: String, shape: [Int], seed: UInt64 = 1) -> Tensor {
        var tensor = Tensor(zeros: shape)
        tensor.withUnsafeMutableValues { fillUniform($0, name: name, seed: seed) }
        return tensor
    }

    /// Centre and half-width of the values of one tensor. A centre of zero adds exactly.
    private static func range(_ tensor: String, _ shape: [Int]) -> (offset: Float, scale: Float) {
        let last = tensor[(tensor.lastIndex(of: ".").map(tensor.index(after:)) ?? tensor.startIndex)...]
        if last == "running_var" { return (1, 0.5) }
        if last == "running_mean" { return (0, 0.1) }
        if last.contains("gamma") || last == "ls1" || last == "ls2" { return (0.5, 0.2) }
        if shape.count >= 2 {
            let fanIn = shape.dropFirst().reduce(1.0) { $0 * Double($1) }
            return (0, Float((3 / fanIn).squareRoot()))
        }
        return last == "weight" ? (1, 0.2) : (0, 0.1)
    }

    private static func fillUniform(
        _ destination: UnsafeMutableBufferPointer<Float>, name: String, seed: UInt64
    ) {
        let state = fnv1a64(name) ^ seed
        for index in destination.indices {
            var z = state &+ UInt64(truncatingIfNeeded: index &+ 1) &* 0x9E37_79B9_7F4A_7C15
            z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
            z ^= z >> 31
            // 24 bits are exact in float32, and so are the doubling and the subtraction.
            destination[index] = Float(Int32(truncatingIfNeeded: z >> 40)) * 0x1p-23 - 1
        }
    }

    private static func fnv1a64(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}
