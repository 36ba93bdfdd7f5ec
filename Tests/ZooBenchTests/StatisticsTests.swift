import Testing
import ZooBench

/// Against NumPy and SciPy.
@Suite struct StatisticsTests {
    @Test func fidelityOfSummary() {
        let statistics = Statistics([9, 2, 4, 11, 4, 7, 5])
        #expect(statistics.n == 7)
        #expect(statistics.min == 2)
        #expect(statistics.median == 5)
        #expect(statistics.mean == 6)
        #expect(abs(statistics.sd - 3.1622776601683795) < 1e-15)
        #expect(statistics.mad == 2)
        #expect(abs(statistics.p90 - 9.8) < 1e-12)
        #expect(abs(statistics.p95 - 10.4) < 1e-12)
        #expect(abs(statistics.p99 - 10.88) < 1e-12)
    }

    @Test func oneSampleIsItsOwnSummary() {
        let statistics = Statistics([3])
        #expect(
            [statistics.min, statistics.median, statistics.mean, statistics.p90, statistics.p99].allSatisfy { $0 == 3 })
        #expect(statistics.sd == 0 && statistics.mad == 0)
    }

    @Test func evenCountsInterpolate() {
        #expect(Statistics([1, 2, 3, 10]).median == 2.5)
        #expect(Statistics.quantile(0.25, ofSorted: [0, 10]) == 2.5)
    }

    @Test func modifiedZScoresRescaleTheMedianDeviation() {
        let scores = Statistics.modifiedZScores([1, 2, 3, 4, 5])
        #expect(scores[2] == 0)
        #expect(abs(scores[4] - 0.6745 * 2) < 1e-12)
        #expect(Statistics.modifiedZScores([5, 5, 5, 9]) == [0, 0, 0, 0])
    }

    private static let calm = (0..<50).map { 1 + 0.01 * Double($0 % 5) }

    @Test func warnsOfOutliersAndSlowStarts() {
        #expect(Statistics.warnings(Self.calm).isEmpty)
        #expect(Statistics.warnings([9] + Self.calm).map { $0.contains("first run") } == [true])
        #expect(Statistics.warnings(Self.calm + [9, 9]).map { $0.hasPrefix("2 of 52 runs") } == [true])
    }

    @Test func measurementHonoursItsPlan() throws {
        var runs = 0
        let measurement = Measurement(MeasurementPlan(warmup: 3, runs: 12, minTime: 0)) { runs += 1 }
        #expect(runs == 15)
        #expect(measurement.samples.count == 12 && measurement.runsPerSample == 1)
        let long = Measurement(MeasurementPlan(warmup: 0, runs: 1, minTime: 0.02)) { runs += 1 }
        #expect(long.samples.reduce(0, +) >= 0.02)
        let batched = Measurement(MeasurementPlan(warmup: 0, runs: 2, minTime: 0), shortest: 1e-4) { runs += 1 }
        #expect(batched.runsPerSample > 1)
    }

    @Test(arguments: [
        MeasurementPlan(warmup: -1), MeasurementPlan(runs: 0), MeasurementPlan(minTime: -1),
        MeasurementPlan(minTime: .nan), MeasurementPlan(minTime: .infinity),
    ])
    func rejectsPlan(_ plan: MeasurementPlan) {
        #expect(throws: ZooErrorOfUsage.self) { try asUsage { () throws in try plan.validate() } }
    }
}
