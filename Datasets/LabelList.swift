import ZooCore
import ZooIO

/// A text file that gives images their labels, one per line.
///
/// Either `NAME LABEL` (separated by white space, a comma or a tab), or the label alone, line n for the n-th image in
/// natural order. Empty lines and lines that begin with `#` do not count. The solution file of Kaggle's ImageNet
/// competition (`NAME,WNID BOX...`) is understood as well.
struct LabelList {
    struct Line {
        /// Counted from 1, for error messages.
        let number: Int
        let name: String?
        let label: String
    }

    let path: String
    let lines: [Line]

    /// The largest list that is read: ten million short lines.
    private static let maximumBytes = 256 << 20

    /// - Throws: `ZooError` that names the file and the line.
    init(path: String) throws {
        let region = try ByteRegion(path: path, access: .read)
        guard region.count <= Self.maximumBytes else {
            throw ZooError(
                .limit, "the list is too large", file: path, expected: "at most \(Self.maximumBytes) bytes",
                found: "\(region.count)", code: "dataset.list-too-large")
        }
        guard let text = region.withBytes({ String(validating: $0, as: UTF8.self) }) else {
            throw ZooError(.badData, "the list is not UTF-8 text", file: path, code: "dataset.list-not-text")
        }
        self.path = path
        var lines: [Line] = []
        for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = raw.trimmed
            if line.isEmpty || line.hasPrefix("#") || line == "ImageId,PredictionString" { continue }
            lines.append(Self.parse(line, number: index + 1))
        }
        guard let first = lines.first else {
            throw ZooError(.badData, "the list is empty", file: path, code: "dataset.list-empty")
        }
        if let odd = lines.first(where: { ($0.name == nil) != (first.name == nil) }) {
            throw ZooError(
                .badData, "the line has another form than line \(first.number)", file: path, at: "line \(odd.number)",
                expected: first.name == nil ? "LABEL" : "NAME LABEL", code: "dataset.list-mixed")
        }
        self.lines = lines
    }

    private static func parse(_ line: Substring, number: Int) -> Line {
        for separator in ["\t", ","] as [Character] {
            guard let cut = line.firstIndex(of: separator) else { continue }
            let label = line[line.index(after: cut)...].trimmed
            let head = label.prefix { !$0.isWhitespace }
            return Line(number: number, name: String(line[..<cut].trimmed), label: String(isWnid(head) ? head : label))
        }
        guard let cut = line.lastIndex(where: \.isWhitespace) else {
            return Line(number: number, name: nil, label: String(line))
        }
        return Line(
            number: number, name: String(line[..<cut].trimmed), label: String(line[line.index(after: cut)...]))
    }

    private static func isWnid(_ text: Substring) -> Bool {
        text.count == 9 && text.first == "n" && text.dropFirst().allSatisfy { $0.isASCII && $0.isNumber }
    }
}

extension Substring {
    var trimmed: Substring {
        var text = drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
