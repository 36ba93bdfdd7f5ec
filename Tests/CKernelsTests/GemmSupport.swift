import CKernels
import Foundation
import Testing
import ZooCore

/// Every instruction set this processor can run, the specification included.
let runnableISAs: [ck_isa] = (0..<CK_ISA_COUNT.rawValue).map { ck_isa(rawValue: $0) }.filter(ck_isa_available)

extension ck_isa: @retroactive CustomTestStringConvertible {
    public var testDescription: String { String(cString: ck_isa_name(self)) }
}

/// Reproducible noise (SplitMix64).
struct Noise: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(bitPattern: Int64(seed)) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func float() -> Float { Float.random(in: -1...1, using: &self) }
}

/// A matrix whose rows are `stride` apart, inside 64 guard floats on either side. Guards and the gaps between rows hold
/// a marked NaN: a kernel that reads them poisons its result, one that writes them is found by `surroundingsIntact`.
final class GuardedMatrix {
    static let guardFloats = 64
    private static let mark = UInt32(0x7FC0_5EED)

    let rows: Int
    let columns: Int
    let stride: Int
    private let storage: UnsafeMutablePointer<Float>
    private let first: Int
    private let count: Int

    /// - Parameter misalignment: floats by which the matrix misses a 64-byte boundary.
    init(_ rows: Int, _ columns: Int, stride: Int? = nil, misalignment: Int = 0) {
        self.rows = rows
        self.columns = columns
        self.stride = stride ?? columns
        first = Self.guardFloats + misalignment
        count = first + rows * self.stride + Self.guardFloats
        storage = UnsafeMutableRawPointer.allocate(byteCount: count * 4, alignment: 64)
            .bindMemory(to: Float.self, capacity: count)
        for index in 0..<count { storage[index] = Float(bitPattern: Self.mark) }
    }

    deinit { storage.deallocate() }

    var pointer: UnsafeMutablePointer<Float> { storage + first }

    func fill(_ noise: inout Noise, around mean: Float = 0) {
        for row in 0..<rows { for column in 0..<columns { pointer[row * stride + column] = mean + noise.float() } }
    }

    func copyValues(from other: GuardedMatrix) {
        for row in 0..<rows {
            for column in 0..<columns { pointer[row * stride + column] = other.pointer[row * other.stride + column] }
        }
    }

    var surroundingsIntact: Bool {
        (0..<count).allSatisfy { index in
            let (row, column) = (index - first).quotientAndRemainder(dividingBy: max(stride, 1))
            let inside = index >= first && row < rows && column < columns
            return inside || storage[index].bitPattern == Self.mark
        }
    }

    /// The bits of the matrix itself, row by row.
    var bits: [UInt32] {
        (0..<rows).flatMap { row in (0..<columns).map { pointer[row * stride + $0].bitPattern } }
    }
}

/// A pool that ends with its owner.
final class TestPool {
    let pool: OpaquePointer

    init(threads: Int) throws {
        var created: OpaquePointer?
        #expect(ck_pool_create(threads, &created) == CK_OK)
        pool = try #require(created)
    }

    deinit { ck_pool_destroy(pool) }
}

/// Which ends a test case asks of a product.
struct Ends: CustomTestStringConvertible {
    enum Residual: CaseIterable { case none, separate, output }

    var bias = false
    var activation = CK_ACTIVATION_NONE
    var scale = false
    var residual = Residual.none

    static let all: [Ends] = [false, true].flatMap { bias in
        [
            CK_ACTIVATION_NONE, CK_ACTIVATION_GELU, CK_ACTIVATION_SILU, CK_ACTIVATION_GELU_TANH, CK_ACTIVATION_RELU,
        ].flatMap { activation in
            [false, true].flatMap { scale in
                Residual.allCases.map { Ends(bias: bias, activation: activation, scale: scale, residual: $0) }
            }
        }
    }

    var testDescription: String { "bias \(bias), activation \(activation.rawValue), scale \(scale), \(residual)" }
}

/// The vectors and matrices behind a case's ends, and the output they end in.
struct EndOperands {
    let ends: Ends
    let bias: GuardedMatrix
    let scale: GuardedMatrix
    let residual: GuardedMatrix
    let out: GuardedMatrix

    init(_ ends: Ends, rows: Int, n: Int, padding: Int, misalignment: Int, noise: inout Noise) {
        self.ends = ends
        bias = GuardedMatrix(1, n, misalignment: misalignment)
        scale = GuardedMatrix(1, n, misalignment: misalignment)
        residual = GuardedMatrix(rows, n, stride: n + 2 * padding, misalignment: misalignment)
        out = GuardedMatrix(rows, n, stride: n + padding, misalignment: misalignment)
        bias.fill(&noise)
        scale.fill(&noise)
        residual.fill(&noise)
        if ends.residual == .output { out.copyValues(from: residual) }
    }

    var epilogue: ck_epilogue {
        let source = ends.residual == .output ? out : residual
        return ck_epilogue(
            bias: ends.bias ? UnsafePointer(bias.pointer) : nil, activation: ends.activation,
            scale: ends.scale ? UnsafePointer(scale.pointer) : nil,
            residual: ends.residual == .none ? nil : UnsafePointer(source.pointer), residual_stride: source.stride)
    }

    /// The exact output at a place whose product is `product`, and the error that single precision may make.
    ///
    /// With eps = 2^-24, `magnitude` the sum of the absolute terms and k their number, a chain of fused multiply-adds is
    /// allowed `(4 + 2 sqrt k) * eps * magnitude`, which the activations (slope at most 1.13) and the scale pass on, and
    /// the elementary functions and roundings after it 16 eps of the value.
    ///
    /// - Parameter slack: what the product may be off besides, in every implementation.
    func expected(
        row: Int, column: Int, product: Double, magnitude: Double, k: Int, exact: Bool, slack: Double = 0
    ) -> (Double, Double) {
        let eps = 0x1p-24
        var (value, size) = (product, magnitude)
        if ends.bias {
            value += Double(bias.pointer[column])
            size += Double(abs(bias.pointer[column]))
        }
        var bound = ((exact ? 0 : (4 + 2 * Double(k).squareRoot()) * eps * size) + slack) * 1.13
        if ends.activation == CK_ACTIVATION_GELU { value *= 0.5 * (1 + erf(value / 2.0.squareRoot())) }
        if ends.activation == CK_ACTIVATION_SILU { value /= 1 + exp(-value) }
        if ends.activation == CK_ACTIVATION_GELU_TANH {
            value *= 0.5 * (1 + tanh((2 / Double.pi).squareRoot() * (value + 0.044715 * value * value * value)))
        }
        if ends.activation == CK_ACTIVATION_RELU { value = max(value, 0) }
        if ends.scale {
            value *= Double(scale.pointer[column])
            bound *= Double(abs(scale.pointer[column]))
        }
        bound += 16 * eps * abs(value)
        if ends.residual != .none {
            let added = Double(residual.pointer[row * residual.stride + column])
            value += added
            bound += 2 * eps * abs(added)
        }
        return (value, bound + 1e-9 * eps)
    }
}

/// Scratch of exactly the size that was asked for, filled with NaN and guarded.
func guardedScratch(bytes: Int) -> GuardedMatrix {
    #expect(bytes % 4 == 0)
    return GuardedMatrix(1, bytes / 4)
}

extension Precision: CustomTestStringConvertible {
    public var testDescription: String { rawValue }

    /// A factor as products of this precision take it.
    func rounded(_ value: Float) -> Double { Double(self == .fp32 ? value : nearestBF16(value)) }
}

/// The nearest float whose lower 16 bits are zero, the even one of two: found by trying both neighbours.
func nearestBF16(_ value: Float) -> Float {
    guard value.isFinite else { return value }
    let below = Float(bitPattern: value.bitPattern & 0xFFFF_0000)
    let next = below.bitPattern &+ 0x1_0000
    // Behind the largest bf16 stands 2^128, which rounds like the number it is and then is infinite.
    let above = next & 0x7FFF_FFFF == 0x7F80_0000 ? copysign(0x1p128, Double(value)) : Double(Float(bitPattern: next))
    let (down, up) = (abs(Double(value) - Double(below)), abs(above - Double(value)))
    let isEven = below.bitPattern & 0x1_0000 == 0
    return down < up || (down == up && isEven) ? below : Float(above)
}

/// A packed weight in one of the two forms.
struct PackedOperand {
    let precision: Precision
    let storage: GuardedMatrix

    /// - Parameter weight: [n][taps * channels], row by row.
    init(_ weight: GuardedMatrix, taps: Int = 1, precision: Precision) {
        self.precision = precision
        let (n, channels) = (weight.rows, weight.columns / taps)
        switch precision {
        case .fp32:
            storage = GuardedMatrix(1, ck_gemm_packed_count(n, weight.columns))
            ck_gemm_pack(n, weight.columns, weight.pointer, weight.stride, storage.pointer)
        case .bf16:
            storage = GuardedMatrix(1, ck_gemm_packed_bf16_count(n, taps, channels) / 2)
            let packed = UnsafeMutableRawPointer(storage.pointer).assumingMemoryBound(to: ck_bf16.self)
            ck_gemm_pack_bf16(n, taps, channels, weight.pointer, weight.stride, packed)
        }
    }

    var fp32: UnsafePointer<Float>? { precision == .fp32 ? UnsafePointer(storage.pointer) : nil }
    var bf16: UnsafePointer<ck_bf16>? {
        precision == .bf16 ? UnsafeRawPointer(storage.pointer).assumingMemoryBound(to: ck_bf16.self) : nil
    }
}
