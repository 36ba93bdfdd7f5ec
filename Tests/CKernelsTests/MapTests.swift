import CKernels
import Foundation
import Testing

func sin64(_ x: Double) -> Double { sin(x) }
func cos64(_ x: Double) -> Double { cos(x) }

@Suite struct MapTests {
    private static func map(_ function: ck_function, _ x: [Float], _ isa: ck_isa, pool: TestPool? = nil) -> [Float] {
        let (source, out) = (GuardedMatrix(1, x.count, misalignment: 3), GuardedMatrix(1, x.count))
        source.update { _, column, _ in x[column] }
        var context = ck_context(isa: isa, pool: pool?.pool)
        var arguments = ck_map_args(function: function, count: x.count, x: source.pointer, out: out.pointer)
        #expect(ck_map_f32(&context, &arguments) == CK_OK)
        #expect(out.surroundingsIntact, "output overrun")
        return out.values
    }

    private static func sweep(_ range: ClosedRange<Float>, count: Int = 1 << 18) -> [Float] {
        (0..<count).map { range.lowerBound + (range.upperBound - range.lowerBound) * Float($0) / Float(count - 1) }
    }

    /// The largest distance from the exact value in units of `unit(x, exact)`.
    private static func worst(
        _ function: ck_function, over x: [Float], _ isa: ck_isa, exact: (Double) -> Double,
        unit: (_ x: Double, _ exact: Double) -> Double
    ) -> Double {
        zip(x, map(function, x, isa)).reduce(0) { worst, pair in
            let truth = exact(Double(pair.0))
            let error = abs(Double(pair.1) - truth) / unit(Double(pair.0), truth)
            return max(worst, error.isNaN ? .infinity : error)
        }
    }

    private static func ulp(_: Double, _ exact: Double) -> Double { Double(Float(exact).ulp) }

    @Test(arguments: runnableISAs)
    func fidelityOfExponentials(isa: ck_isa) {
        let error = Self.worst(CK_FUNCTION_EXP, over: Self.sweep(-87...88.7), isa, exact: exp, unit: Self.ulp)
        #expect(error < 2)
        let elu1 = { (x: Double) in x > 0 ? x + 1 : exp(x) }
        #expect(Self.worst(CK_FUNCTION_ELU1, over: Self.sweep(-87...20), isa, exact: elu1, unit: Self.ulp) < 2)
    }

    @Test(arguments: runnableISAs)
    func fidelityOfGELU(isa: ck_isa) {
        let gelu = { (x: Double) in x * erfc(-x / 2.0.squareRoot()) / 2 }
        func worst(_ range: ClosedRange<Float>, _ unit: (Double, Double) -> Double) -> Double {
            Self.worst(CK_FUNCTION_GELU, over: Self.sweep(range), isa, exact: gelu, unit: unit)
        }
        #expect(worst(-1...1) { _, _ in 9e-8 } < 1)
        #expect(worst(-12...12) { x, _ in 1.2e-7 * abs(x) + 1e-30 } < 1, "what 1 + erf may be off by")
        // The formula of the published models in float32 has an absolute error up to 4.5e-7 here.
        #expect(worst(-10...10) { _, _ in 2.5e-7 } < 1)
    }

    @Test(arguments: runnableISAs)
    func fidelityOfGELUWithTanh(isa: ck_isa) {
        let gelu = { (x: Double) in x / (1 + exp(-2 * (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x))) }
        for (range, unit) in [
            (-1...1, { _, _ in 1.1e-7 }), (-12...12, { x, _ in 1.4e-7 * abs(x) + 1e-30 }),
        ] as [(ClosedRange<Float>, (Double, Double) -> Double)] {
            #expect(Self.worst(CK_FUNCTION_GELU_TANH, over: Self.sweep(range), isa, exact: gelu, unit: unit) < 1)
        }
    }

    @Test(arguments: runnableISAs)
    func fidelityOfSiLU(isa: ck_isa) {
        let silu = { (x: Double) in x / (1 + exp(-x)) }
        #expect(
            Self.worst(CK_FUNCTION_SILU, over: Self.sweep(-80...80), isa, exact: silu) { _, y in
                Double(max(Float(abs(y)), 1e-30).ulp)
            } < 4)
    }

    @Test(
        arguments: runnableISAs,
        [CK_FUNCTION_EXP, CK_FUNCTION_ELU1, CK_FUNCTION_GELU, CK_FUNCTION_SILU, CK_FUNCTION_GELU_TANH])
    func limitsAndNaN(isa: ck_isa, function: ck_function) {
        let values = Self.map(function, [.nan, .infinity, -1e30, 1e30, 0, -0.0, -200, 1e-40, -1e-40], isa)
        #expect(values[0].isNaN)
        #expect(values[1] == .infinity)
        #expect(abs(values[2]) < 1e-15 && abs(values[6]) < 1e-15)
        let atZero: Float = function == CK_FUNCTION_EXP || function == CK_FUNCTION_ELU1 ? 1 : 0
        #expect(values[4] == atZero && values[5] == atZero)
        #expect(abs(values[7] - atZero) < 1e-39 && abs(values[8] - atZero) < 1e-39)
        #expect(values[3] == (function == CK_FUNCTION_EXP ? .infinity : 1e30))
    }

    @Test(arguments: runnableISAs)
    func determinismOverThreadsAndEveryLength(isa: ck_isa) throws {
        let x = Self.sweep(-9...9, count: 40_000)
        let whole = Self.map(CK_FUNCTION_GELU, x, isa)
        for threads in [2, 3, 8] {
            #expect(Self.map(CK_FUNCTION_GELU, x, isa, pool: try TestPool(threads: threads)) == whole)
        }
        for count in 1...40 {
            #expect(Self.map(CK_FUNCTION_GELU, Array(x[..<count]), isa) == Array(whole[..<count]))
        }
    }

    @Test func rejectsWhatItCannotCompute() {
        var value: Float = 0
        func status(_ isa: ck_isa, _ count: Int, _ function: ck_function, missing: Bool = false) -> ck_status {
            withUnsafeMutablePointer(to: &value) {
                var context = ck_context(isa: isa, pool: nil)
                var arguments = ck_map_args(function: function, count: count, x: $0, out: missing ? nil : $0)
                return ck_map_f32(&context, &arguments)
            }
        }
        #expect(status(CK_ISA_PORTABLE, 0, CK_FUNCTION_EXP) == CK_BAD_SHAPE)
        #expect(status(CK_ISA_PORTABLE, 1, ck_function(rawValue: 5)) == CK_BAD_ARGUMENT)
        #expect(status(CK_ISA_PORTABLE, 1, CK_FUNCTION_EXP, missing: true) == CK_BAD_ARGUMENT)
        #expect(status(CK_ISA_COUNT, 1, CK_FUNCTION_EXP) == CK_UNAVAILABLE)
    }
}
