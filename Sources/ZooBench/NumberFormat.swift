import Foundation

extension Int {
    /// A power-of-two size in bytes with its unit.
    var binaryBytes: String { self >= 1 << 20 ? "\(self >> 20) MiB" : "\(self >> 10) KiB" }

    /// A number of threads: 1 thread, 2 threads.
    var threadCount: String { self == 1 ? "1 thread" : "\(self) threads" }
}

/// How benchmarks print numbers: the digits that a reader can use, no more.
extension Double {
    /// With `digits` after the point.
    func fixed(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }

    /// Three significant digits without an exponent: 0.0123, 4.56, 78.9, 1234.
    var threeDigits: String {
        guard isFinite, self != 0 else { return self == 0 ? "0" : "\(self)" }
        let magnitude = Int(Foundation.log10(abs(self)).rounded(.down))
        return fixed(Swift.max(0, 2 - magnitude))
    }

    /// Two digits with an exponent, for errors.
    var scientific: String { String(format: "%.1e", self) }

    /// Seconds in milliseconds.
    var milliseconds: String { (self * 1e3).threeDigits }

    /// A share as a percentage.
    var percent: String { (self * 100).fixed(1) + " %" }
}
