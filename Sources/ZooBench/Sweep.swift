import ZooCore

/// The values of one swept option: a comma list of numbers and ranges, `1,2`, `1-4`, `16-64+16`, `196-3136*2`.
public struct Sweep: Sendable, Equatable, CustomStringConvertible {
    public let values: [Int]

    /// The most values of one option; beyond it a typing mistake is more likely than a wish.
    private static let limit = 1000

    public init(_ values: [Int]) { self.values = values }

    /// - Throws: `ZooError` of kind `usage` that names the part which is no positive number or range.
    public init(parsing text: String) throws(ZooError) {
        var values: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            values += try Self.range(part)
            guard values.count <= Self.limit else {
                throw ZooError(.usage, "too many values", expected: "at most \(Self.limit)", found: text)
            }
        }
        self.values = values
    }

    public var description: String { values.map(String.init).joined(separator: ",") }

    private static func range(_ part: Substring) throws(ZooError) -> [Int] {
        let invalid = ZooError(
            .usage, "not a list of positive numbers", expected: "such as 1,2 or 1-8 or 16-64+16 or 196-3136*2",
            found: String(part))
        let ends = part.split(separator: "-", omittingEmptySubsequences: false)
        guard let first = ends.first.flatMap(positive), ends.count <= 2 else { throw invalid }
        guard ends.count == 2 else { return [first] }
        let step = ends[1].firstIndex { $0 == "+" || $0 == "*" }
        guard let last = positive(ends[1][..<(step ?? ends[1].endIndex)]), last >= first else { throw invalid }
        let multiplies = step.map { ends[1][$0] == "*" } ?? false
        guard let by = step.map({ positive(ends[1][ends[1].index(after: $0)...]) }) ?? 1, by > (multiplies ? 1 : 0)
        else { throw invalid }
        var values = [first]
        while let previous = values.last, values.count <= limit {
            let next = multiplies ? previous.multipliedReportingOverflow(by: by) : previous.addingReportingOverflow(by)
            guard !next.overflow, next.partialValue <= last else { break }
            values.append(next.partialValue)
        }
        return values
    }

    private static func positive(_ text: Substring) -> Int? {
        guard let value = Int(text), value > 0, text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return value
    }
}
