import Foundation
import Testing
import ZooCore
import ZooEval

@Suite struct MetricsTests {
    /// Expected ends from the textbook formula in another language's float64.
    @Test(arguments: [
        (353, 360, 96.04137617991286, 99.05498835245159), (0, 10, 0.0, 27.75327998628892),
        (10, 10, 72.24672001371107, 100.0), (1, 2, 9.453120573423073, 90.54687942657694),
    ])
    func fidelityWilsonInterval(_ count: Int, _ total: Int, _ low: Double, _ high: Double) throws {
        let interval = try #require(Proportion(count: count, total: total).wilson95)
        #expect(abs(interval.lowerBound - low) < 1e-9)
        #expect(abs(interval.upperBound - high) < 1e-9)
    }

    @Test func proportionOfNothingIsNoNumber() {
        let proportion = Proportion(count: 0, total: 0)
        #expect(proportion.percent == nil)
        #expect(proportion.wilson95 == nil)
    }

    private func score(_ logits: [Float], label: Int, among: [Int]? = nil) -> Score {
        logits.withUnsafeBufferPointer { Score($0, label: label, among: among) }
    }

    @Test func tiesGoToTheLowerIndex() {
        let logits: [Float] = [1, 3, 3, 2, 3, 0, 3]
        #expect(score(logits, label: 1).top == [1, 2, 4, 6, 3])
        #expect(score(logits, label: 1).rank == 0)
        #expect(score(logits, label: 4).rank == 2)
        #expect(score(logits, label: 5).rank == 6)
        #expect(score([Float](repeating: 0.5, count: 10), label: 5).rank == 5)
    }

    @Test func nanCountsAsTheLargestAndLeavesNoLoss() {
        let result = score([1, .nan, 2], label: 2)
        #expect(result.top == [1, 2, 0])
        #expect(result.rank == 1)
        #expect(result.loss == nil)
        #expect(score([1, .infinity], label: 0).loss == nil)
    }

    @Test func fidelityLossIsCrossEntropyInFloat64() throws {
        let logits: [Float] = [2, -1, 0.5, 7]
        let expected = log(logits.reduce(0) { $0 + exp(Double($1)) }) - 0.5
        #expect(abs(try #require(score(logits, label: 2).loss) - expected) < 1e-14)
        // No overflow where the plain formula has one.
        #expect(score([3000, 0], label: 1).loss == 3000)
    }

    @Test func fewerThanFiveClassesAreRankedWhole() {
        #expect(score([1, 2], label: 0).top == [1, 0])
    }

    @Test func candidatesRestrictRankAndLoss() throws {
        let logits: [Float] = [5, 1, 2, 9]
        let result = score(logits, label: 2, among: [1, 2])
        #expect(result.top == [2, 1])
        #expect(result.rank == 0)
        #expect(abs(try #require(result.loss) - log(1 + exp(-1.0))) < 1e-14)
    }

    private func outcome(
        _ index: Int, label: Int, top: [Int], status: DecodingStatus = .ok, loss: Double? = 1
    ) -> ImageOutcome {
        let failed = status == .failed
        return ImageOutcome(
            index: index, status: status, problem: status == .ok ? nil : "broken", label: label, top: failed ? [] : top,
            rank: failed ? nil : top.firstIndex(of: label) ?? 5, loss: failed ? nil : loss)
    }

    private func metrics(_ policy: BadImagePolicy) -> Metrics {
        var metrics = Metrics(policy: policy)
        metrics.add(outcome(0, label: 1, top: [1, 2, 3, 4, 5], loss: 0.5), id: "a")
        metrics.add(outcome(1, label: 1, top: [2, 1, 3, 4, 5], loss: 1.5), id: "b")
        metrics.add(outcome(2, label: 2, top: [], status: .failed), id: "c")
        metrics.add(outcome(3, label: 2, top: [1, 3, 4, 5, 6], status: .warned, loss: 4), id: "d")
        return metrics
    }

    @Test func failedImagesCountAsWrongByDefault() {
        let metrics = metrics(.wrong)
        #expect(metrics.top1 == Proportion(count: 1, total: 4))
        #expect(metrics.top5 == Proportion(count: 2, total: 4))
        #expect(metrics.loss == 2)
        #expect(metrics.statuses == [.ok: 2, .warned: 1, .failed: 1])
        #expect(metrics.badImages.map(\.id) == ["c", "d"])
        #expect(metrics.perClass.map(\.top1) == [Proportion(count: 1, total: 2), Proportion(count: 0, total: 2)])
    }

    @Test func skippedImagesLeaveTheDenominatorButNotTheList() {
        let metrics = metrics(.skip)
        #expect(metrics.top1 == Proportion(count: 1, total: 3))
        #expect(metrics.images == 4)
        #expect(metrics.badImages.count == 2)
    }

    @Test func confusionsAreSortedByNumberThenClass() {
        let confusions = metrics(.wrong).confusions(limit: 5)
        #expect(confusions.map(\.label) == [1, 2])
        #expect(confusions.map(\.predicted) == [2, 1])
        #expect(metrics(.wrong).confusions(limit: 1).count == 1)
    }

    @Test func oneNonFiniteLossLeavesNoMean() {
        var metrics = Metrics(policy: .wrong)
        metrics.add(outcome(0, label: 0, top: [0], loss: 1), id: "a")
        metrics.add(outcome(1, label: 0, top: [0], loss: nil), id: "b")
        #expect(metrics.loss == nil)
    }
}

@Suite struct ExpectationTests {
    @Test(arguments: ["top1=83.2±0.3", "top1=83.2+-0.3", "top1=83.2+/-0.3"])
    func acceptsEverySpellingOfPlusMinus(_ text: String) throws {
        let expectation = try Expectation(text)
        #expect(expectation.metric == .top1)
        #expect(expectation.value == 83.2)
        #expect(expectation.tolerance == 0.3)
    }

    @Test func withoutToleranceTheLastDigitCounts() throws {
        #expect(abs(try Expectation("top5=98.06").tolerance - 0.005) < 1e-12)
        #expect(try Expectation("loss=2").tolerance == 0.5)
    }

    @Test(arguments: [
        "", "top1", "top1=", "top1=x", "top2=3", "top1=3±", "top1=3±-1", "top1=3±nan", "top1=nan", "top1=1±2±3", "=3",
    ])
    func rejects(_ text: String) {
        #expect(throws: ZooError.self) { try Expectation(text) }
    }

    @Test func edgesBelongToTheInterval() throws {
        var metrics = Metrics(policy: .wrong)
        for index in 0..<4 {
            metrics.add(
                ImageOutcome(
                    index: index, status: .ok, problem: nil, label: 0, top: [0], rank: index == 0 ? 1 : 0, loss: 0),
                id: "")
        }
        #expect(try Expectation("top1=74.7±0.3").isMet(by: metrics))
        #expect(try !Expectation("top1=74.6±0.3").isMet(by: metrics))
        #expect(throws: ZooError.self) { try Expectation("top1=10±1").check(metrics) }
    }
}
