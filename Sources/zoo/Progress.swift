import Foundation
import ZooCore
import ZooEval

/// Tells on standard error how far a long command is: a bar on a terminal, else a line every ten seconds.
final class ProgressReporter {
    private let unit: String
    private let isQuiet: Bool
    private let isTerminal = Output.isTerminal
    private let start = ContinuousClock.now
    private var first: Int?
    private var last: ContinuousClock.Instant?
    private var hasBar = false

    /// - Parameter unit: what is counted, in the plural.
    init(unit: String, isQuiet: Bool) {
        self.unit = unit
        self.isQuiet = isQuiet
    }

    /// Reports `done` of `total`, if it is time.
    func update(done: Int, total: Int) {
        guard !isQuiet else { return }
        let now = ContinuousClock.now
        guard let begin = first, let last else {
            first = done
            last = now
            return
        }
        guard now - last >= (isTerminal ? .milliseconds(100) : .seconds(10)) else { return }
        self.last = now
        let seconds = (now - start).seconds
        let rate = Double(done - begin) / seconds
        let left = rate > 0 ? Self.clock(Double(total - done) / rate) : "?"
        let numbers = "\(done)/\(total) \(unit), \(fixed(rate, 1))/s, \(left) left"
        if isTerminal {
            hasBar = true
            let width = 24
            let filled = total > 0 ? width * done / total : width
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
            Output.raw("\r\u{1B}[K\(bar) \(numbers)")
        } else {
            Output.raw("zoo: \(numbers)\n")
        }
    }

    /// Removes the bar.
    func finish() {
        if hasBar { Output.raw("\r\u{1B}[K") }
    }

    private static func clock(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 359_999))
        let parts = whole < 3600 ? [whole / 60, whole % 60] : [whole / 3600, whole % 3600 / 60, whole % 60]
        return parts.enumerated().map { index, part in
            index > 0 && part < 10 ? "0\(part)" : "\(part)"
        }.joined(separator: ":")
    }
}
