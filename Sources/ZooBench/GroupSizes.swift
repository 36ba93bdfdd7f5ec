import ZooCore
import ZooIO

/// How the rows of a scattered operator fall into groups: all of one size, `1000`, or of sizes drawn evenly from a range,
/// `1-2000`.
public struct GroupSizes: Sendable, Hashable, CustomStringConvertible {
    public let range: ClosedRange<Int>

    public init(_ range: ClosedRange<Int>) { self.range = range }

    /// - Throws: `ZooError` of kind `usage` for what is neither a positive number nor a range of them.
    public init(parsing text: some StringProtocol) throws(ZooError) {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
        guard let first = ends.first ?? nil, let last = ends.last ?? nil, 1 <= first, first <= last,
            text.allSatisfy({ $0 == "-" || $0.isASCII && $0.isNumber })
        else {
            throw ZooError(.usage, "not a size of groups", expected: "such as 1000 or 1-2000", found: String(text))
        }
        range = first...last
    }

    /// A comma list.
    public static func list(parsing text: String) throws(ZooError) -> [GroupSizes] {
        var list: [GroupSizes] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            list.append(try GroupSizes(parsing: part))
        }
        return list
    }

    public var description: String {
        range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
    }

    /// The same sizes every time; the last group takes what is left of `rows`.
    package func counts(rows: Int) -> [Int] {
        let most = (rows + range.lowerBound - 1) / range.lowerBound
        let noise = SeededSource.uniform("groups", shape: [most]).values
        var counts: [Int] = []
        var left = rows
        while left > 0 {
            let position = (noise[counts.count] + 1) / 2 * Float(range.count)
            let size = range.lowerBound + min(Int(position), range.count - 1)
            counts.append(min(size, left))
            left -= counts[counts.count - 1]
        }
        return counts
    }
}
