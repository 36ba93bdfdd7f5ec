/// How two results compare: the correctness gate that every benchmark passes before a speed is shown.
public struct Agreement: Sendable, Codable, Equatable {
    /// Kernels in float32 stay within a few 1e-6 of the double sums of `ref`; a wrong one misses by 1e-3 or more.
    static let kernelTolerance = 1e-5
    /// In bf16 a normalised input beside the middle of two numbers may be rounded either way, which moves it by 4e-3; one
    /// in ten thousand does.
    static let bf16KernelTolerance = 2e-4

    /// The instruction set that gave the expected values.
    public let reference: String
    /// ||actual - expected|| / ||expected||, in float64; infinite if anything is not finite.
    public let relativeError: Double
    /// What the relative error may be.
    public let tolerance: Double
    /// Whether a second run gave the same bits.
    public let repeatable: Bool

    public var passed: Bool { relativeError <= tolerance && repeatable }

    package init(reference: String, relativeError: Double, tolerance: Double, repeatable: Bool) {
        self.reference = reference
        self.relativeError = relativeError
        self.tolerance = tolerance
        self.repeatable = repeatable
    }

    package static func relativeError(_ actual: some Collection<Float>, _ expected: some Collection<Float>) -> Double {
        precondition(actual.count == expected.count)
        var difference = 0.0
        var norm = 0.0
        for (a, e) in zip(actual, expected) {
            guard a.isFinite, e.isFinite else { return .infinity }
            difference += (Double(a) - Double(e)) * (Double(a) - Double(e))
            norm += Double(e) * Double(e)
        }
        if difference == 0 { return 0 }
        return norm > 0 ? (difference / norm).squareRoot() : .infinity
    }

    /// Bitwise, so that NaN equals NaN and 0 differs from -0.
    package static func sameBits(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
    }

    /// In words, for the error of a red gate.
    public var description: String {
        let error = "relative error \(relativeError) against \(reference), tolerance \(tolerance)"
        return repeatable ? error : error + "; two runs differ"
    }
}
