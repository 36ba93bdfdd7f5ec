/// A table, printable for people, for a document or for a spreadsheet.
public struct Table: Sendable, Equatable {
    /// How a table is written.
    public enum Format: String, Sendable, CaseIterable {
        /// Aligned columns.
        case text
        /// A Markdown table.
        case markdown = "md"
        /// Comma-separated values with a header line (RFC 4180).
        case csv
    }

    public struct Column: Sendable, Equatable {
        public enum Alignment: Sendable { case left, right }

        public let title: String
        public let alignment: Alignment

        public init(_ title: String, _ alignment: Alignment = .right) {
            self.title = title
            self.alignment = alignment
        }
    }

    public let columns: [Column]
    public private(set) var rows: [[String]] = []
    private let hasTitles: Bool

    public init(_ columns: [Column]) {
        self.columns = columns
        hasTitles = true
    }

    /// Names and values, without a line of titles in its text form.
    public init(pairs: [(name: String, value: String)]) {
        columns = [Column("name", .left), Column("value", .left)]
        rows = pairs.map { [$0.name, $0.value] }
        hasTitles = false
    }

    /// - Precondition: one cell per column.
    public mutating func append(_ cells: [String]) {
        precondition(cells.count == columns.count, "a row has \(cells.count) cells for \(columns.count) columns")
        rows.append(cells)
    }

    /// The table with a line break after every line.
    public func rendered(_ format: Format) -> String {
        let titles = columns.map(\.title)
        switch format {
        case .text:
            return aligned((hasTitles ? [titles] : []) + rows.map { $0.map(\.printableLine) }, separator: "  ")
        case .markdown:
            let rules = columns.map { $0.alignment == .right ? "--:" : "---" }
            return ([titles, rules] + rows).map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
        case .csv:
            return ([titles] + rows).map { $0.map(Self.quoted).joined(separator: ",") + "\n" }.joined()
        }
    }

    private func aligned(_ lines: [[String]], separator: String) -> String {
        let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        let text = lines.map { cells in
            let padded = columns.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - cells[column].count)
                return columns[column].alignment == .right ? space + cells[column] : cells[column] + space
            }
            let line = padded.joined(separator: separator)
            return line[..<(line.lastIndex { $0 != " " }.map(line.index(after:)) ?? line.startIndex)] + "\n"
        }
        return text.joined()
    }

    private static func quoted(_ cell: String) -> String {
        guard cell.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return cell }
        return "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
