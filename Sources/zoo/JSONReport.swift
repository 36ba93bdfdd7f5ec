import ZooEval

/// What `--json` prints: one object with `schema_version`, `command` and the content's own keys beside them.
struct JSONReport<Content: Encodable>: Encodable {
    let command: String
    let content: Content

    private enum CodingKeys: String, CodingKey {
        case schemaVersion, command
    }

    func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(1, forKey: .schemaVersion)
        try container.encode(command, forKey: .command)
        try content.encode(to: encoder)
    }

    /// Prints the object.
    ///
    /// - Throws: `ZooError` if standard output cannot be written.
    func write() throws {
        try Output.write(jsonText(self))
    }
}
