import Testing
import ZooBench

/// Against `scipy.stats.mannwhitneyu` and the published tables.
@Suite struct MannWhitneyTests {
    struct Case: Sendable {
        let a: [Double]
        let b: [Double]
        let u: Double
        let p: Double
    }

    @Test(arguments: [
        Case(a: [1, 2, 3, 4], b: [5, 6, 7, 8], u: 0, p: 2.0 / 70),
        Case(a: [19, 22, 16, 29, 24], b: [20, 11, 17, 12], u: 17, p: 0.1111111111111111),
        Case(a: [1, 2, 3, 4, 10], b: [5, 6, 7, 8, 9], u: 5, p: 0.15079365079365079),
        // With ties and with more pairs than the exact distribution serves: SciPy's asymptotic method.
        Case(
            a: [1, 2, 2, 3, 3, 3, 4, 5, 6, 7], b: [2, 3, 4, 4, 5, 6, 6, 7, 8, 9], u: 26.5, p: 0.07933818125207155),
        Case(
            a: (0..<40).map { (Double($0) * 0.37).truncatingRemainder(dividingBy: 1) },
            b: (0..<40).map { 0.2 + (Double($0) * 0.61).truncatingRemainder(dividingBy: 1) }, u: 509,
            p: 0.005184555030159499),
    ])
    func fidelity(_ example: Case) {
        let test = MannWhitney(example.a, example.b)
        #expect(test.u == example.u)
        #expect(abs(test.p - example.p) < 1e-12 * max(1, example.p) || abs(test.p / example.p - 1) < 1e-9)
        let mirrored = MannWhitney(example.b, example.a)
        #expect(mirrored.u == Double(example.a.count * example.b.count) - example.u)
        #expect(abs(mirrored.p - test.p) < 1e-12)
    }

    /// Critical values of U at 5 %, two-sided (Mann and Whitney's tables): significant there, not one above.
    @Test(arguments: [(5, 5, 2), (6, 6, 5), (7, 7, 8), (8, 8, 13), (10, 10, 23), (20, 20, 127)])
    func criticalValues(_ m: Int, _ n: Int, _ critical: Int) {
        #expect(p(m, n, u: critical) <= 0.05)
        #expect(p(m, n, u: critical + 1) > 0.05)
    }

    /// The p value of some samples without ties whose U is `u`.
    private func p(_ m: Int, _ n: Int, u: Int) -> Double {
        // a's samples lie below all of b's, then climb over one of them at a time.
        var over = [Int](repeating: 0, count: m)
        for step in 0..<u { over[m - 1 - step % m] += 1 }
        let b = (1...n).map { Double($0) }
        let a = over.sorted().enumerated().map { Double($0.element) + 0.5 + Double($0.offset) * 1e-3 }
        let test = MannWhitney(a, b)
        #expect(test.u == Double(u))
        return test.p
    }

    @Test func equalSetsDoNotDiffer() {
        #expect(MannWhitney([1, 1, 1], [1, 1, 1]).p == 1)
    }

    @Test func bootstrapCoversTheRatioAndRepeats() {
        let before = (0..<30).map { 1 + 0.01 * Double($0 % 7) }
        let after = before.map { $0 * 1.2 }
        let interval = Bootstrap.medianRatio(before, after)
        #expect(interval.contains(1.2))
        #expect(interval.lowerBound > 1.1 && interval.upperBound < 1.3)
        #expect(interval == Bootstrap.medianRatio(before, after))
    }
}
