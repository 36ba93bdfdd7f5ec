import ZooCore

/// A gate on a result: `top1=83.2±0.3`.
public struct Expectation: Sendable, Equatable {
    /// What can be expected.
    public enum Metric: String, Sendable, CaseIterable {
        /// Percent.
        case top1
        /// Percent.
        case top5
        /// Nats.
        case loss
    }

    public let metric: Metric
    public let value: Double
    public let tolerance: Double

    /// Parses `METRIC=VALUE±TOLERANCE`; `+-` and `+/-` stand for `±`. Without a tolerance it is half a unit of the last
    /// digit given.
    ///
    /// - Throws: `ZooError` of kind `usage`.
    public init(_ text: String) throws(ZooError) {
        let refusal = ZooError(
            .usage, "not an expectation", at: "--expect", expected: "METRIC=VALUE±TOLERANCE such as top1=83.2±0.3",
            found: text, hint: "metrics are " + Metric.allCases.map(\.rawValue).joined(separator: ", "))
        guard let equals = text.firstIndex(of: "="), let metric = Metric(rawValue: String(text[..<equals])) else {
            throw refusal
        }
        let number = text[text.index(after: equals)...].replacing("+/-", with: "±").replacing("+-", with: "±")
        let parts = number.split(separator: "±", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let value = Double(parts[0]), value.isFinite else { throw refusal }
        if parts.count == 2 {
            guard let tolerance = Double(parts[1]), tolerance.isFinite, tolerance >= 0 else { throw refusal }
            self.tolerance = tolerance
        } else {
            let decimals = parts[0].firstIndex(of: ".").map { parts[0][$0...].count - 1 } ?? 0
            tolerance = (0..<decimals).reduce(0.5) { half, _ in half / 10 }
        }
        self.metric = metric
        self.value = value
    }

    /// Whether the result fulfils the expectation; a metric that could not be measured does not.
    public func isMet(by metrics: Metrics) -> Bool {
        // The allowance keeps 83.5 inside 83.2 ± 0.3 although neither number is exact in binary.
        measured(metrics).map { abs($0 - value) <= tolerance + 1e-9 } ?? false
    }

    /// - Throws: `ZooError` of kind `gateFailed` that shows what was expected and what was found.
    public func check(_ metrics: Metrics) throws(ZooError) {
        guard !isMet(by: metrics) else { return }
        throw ZooError(
            .gateFailed, "the expectation is not met", at: metric.rawValue, expected: "\(value) ± \(tolerance)",
            found: measured(metrics).map { "\($0)" } ?? "nothing measured", code: "eval.expectation")
    }

    private func measured(_ metrics: Metrics) -> Double? {
        switch metric {
        case .top1: metrics.top1.percent
        case .top5: metrics.top5.percent
        case .loss: metrics.loss
        }
    }
}
