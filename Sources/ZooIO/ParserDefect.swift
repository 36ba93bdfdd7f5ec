import ZooCore

/// The catalogue of what can be wrong with one kind of file: an enumeration whose raw values are the stable
/// `ZooError.code`s of its parser. Every case is produced by at least one test file.
public protocol ParserDefect: RawRepresentable<String>, CaseIterable, Sendable {}

extension ParserDefect {
    /// The thrown form of this defect. `location` names a tensor, an entry or a byte offset.
    func error(
        _ problem: String, at location: String? = nil, expected: String? = nil, found: String? = nil,
        hint: String? = nil, kind: ZooError.Kind = .badData
    ) -> ZooError {
        ZooError(
            kind, problem, at: location, expected: expected, found: found, hint: hint, code: rawValue)
    }
}

/// How error messages spell a position in a file.
func byteLocation(_ offset: Int) -> String { "byte \(offset)" }

/// Runs a parser and fills the file's name into the error it throws.
func naming<R>(_ file: String, _ body: () throws -> R) throws -> R {
    do {
        return try body()
    } catch let error as ZooError {
        throw error.naming(file: file)
    }
}
