/// What a user may have meant by a name that does not exist.
package enum Suggestion {
    /// The candidates with the smallest edit distance to `name`, nearest first, equal ones in alphabetical order.
    package static func nearest(to name: String, among candidates: [String], count: Int = 3) -> [String] {
        candidates.map { (distance: editDistance($0, name), name: $0) }
            .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
            .prefix(count).map(\.name)
    }

    /// The hint `did you mean a, b, c?`.
    package static func hint(for name: String, among candidates: [String]) -> String {
        "did you mean \(nearest(to: name, among: candidates).joined(separator: ", "))?"
    }

    /// Levenshtein's distance.
    private static func editDistance(_ a: String, _ b: String) -> Int {
        let b = Array(b)
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let substitution = diagonal + (x == b[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}
