/// The one error type of the package: what went wrong, where, what was expected and what was found.
///
/// Libraries throw it, only the command line prints it. User data never traps: whatever a file or a flag
/// contains ends in a value of this type.
public struct ZooError: Error, Sendable, Equatable {
    /// What sort of failure this is.
    public enum Kind: Int32, Sendable {
        /// A gate failed: `--expect`, a benchmark's correctness check, a comparison.
        case gateFailed = 1
        /// The request itself makes no sense: unknown name, contradicting options.
        case usage = 64
        /// A file's content is malformed or does not fit the model.
        case badData = 65
        /// An input does not exist.
        case missingInput = 66
        /// An instruction set or feature that this machine or build does not have.
        case unavailable = 69
        /// A defect in zoo itself.
        case `internal` = 70
        /// An output could not be created.
        case cannotCreate = 73
        /// Reading or writing failed half way.
        case inputOutput = 74
        /// A file asks for more than a configured resource limit allows.
        case limit = 75
        /// The user interrupted the run.
        case interrupted = 130

        /// The exit code of the command line (`sysexits.h` numbers): the raw value, but a file beyond the limits is
        /// bad data to whoever calls the program.
        public var exitCode: Int32 { self == .limit ? Kind.badData.rawValue : rawValue }
    }

    public let kind: Kind
    /// One sentence without a full stop: what is wrong.
    public let problem: String
    /// The file concerned, as the user named it.
    public var file: String?
    /// The tensor, flag, or `byte 1234` inside the file.
    public var location: String?
    public var expected: String?
    public var found: String?
    /// What the user can do about it.
    public var hint: String?
    /// A stable identifier of the defect, such as `safetensors.duplicate-key`; tests assert it.
    public var code: String?

    public init(
        _ kind: Kind, _ problem: String, file: String? = nil, at location: String? = nil, expected: String? = nil,
        found: String? = nil, hint: String? = nil, code: String? = nil
    ) {
        self.kind = kind
        self.problem = problem
        self.file = file
        self.location = location
        self.expected = expected
        self.found = found
        self.hint = hint
        self.code = code
    }

    /// The same error with the file's name filled in, for parsers that only see bytes.
    public func naming(file: String) -> ZooError {
        var copy = self
        copy.file = self.file ?? file
        return copy
    }
}

extension ZooError: CustomStringConvertible {
    /// One line: `FILE: LOCATION: problem (expected X, found Y); hint`.
    public var description: String {
        var text = ""
        if let file { text += "\(file): " }
        if let location { text += "\(location): " }
        text += problem
        switch (expected, found) {
        case (let expected?, let found?): text += " (expected \(expected), found \(found))"
        case (let expected?, nil): text += " (expected \(expected))"
        case (nil, let found?): text += " (found \(found))"
        case (nil, nil): break
        }
        if let hint { text += "; \(hint)" }
        return text.printableLine
    }
}

extension String {
    /// The text with `?` for every control character: names in files come from strangers, and what is printed should
    /// neither break its line nor steer the terminal.
    var printableLine: String {
        String(unicodeScalars.map { $0.value < 0x20 || 0x7F...0x9F ~= $0.value ? "?" : Character($0) })
    }
}
