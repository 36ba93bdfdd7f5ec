extension DecodingError {
    /// What is wrong with a JSON text, for people: the field that is missing or wrong.
    package static func reason(_ error: any Error) -> String {
        // Keys as the file has them: in snake case.
        func name(_ key: any CodingKey) -> String {
            key.stringValue.map { $0.isUppercase ? "_\($0.lowercased())" : "\($0)" }.joined()
        }
        func path(_ context: Context) -> String {
            context.codingPath.map { key in key.intValue.map { "[\($0)]" } ?? ".\(name(key))" }.joined()
                .drop { $0 == "." }.description
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            let place = path(context)
            return "'\(place.isEmpty ? "" : place + ".")\(name(key))' is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            return "'\(path(context))' has the wrong type"
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            return "'\(path(context))' is malformed"
        default: return "no JSON"
        }
    }
}
