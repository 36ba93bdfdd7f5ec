import ZooCore

/// A network's hyper-parameters as a user's file gives them (`--config`): names of the specifications, plain values.
///
/// A family reads what it knows, with bounds; a name that nobody asked for is an error.
public struct Hyperparameters: Sendable {
    /// A value of the file.
    public indirect enum Value: Sendable, Equatable {
        case bool(Bool)
        case number(Double)
        case text(String)
        case list([Value])
        case object([String: Value])
        case null
    }

    private let values: [String: Value]
    private var known = Set<String>()

    public init(_ values: [String: Value]) {
        self.values = values
    }

    /// The first of `names` that is present.
    private mutating func value(_ names: [String]) -> Value? {
        known.formUnion(names)
        return names.lazy.compactMap { [values] in values[$0] }.first
    }

    /// Accepts names that say nothing the network needs, such as training settings.
    package mutating func ignore(_ names: String...) { known.formUnion(names) }

    package mutating func integer(_ names: String..., in range: ClosedRange<Int>) throws(ZooError) -> Int? {
        guard let value = value(names) else { return nil }
        return try Self.integer(value, names[0], range)
    }

    package mutating func number(_ names: String..., in range: ClosedRange<Double>) throws(ZooError) -> Double? {
        guard let value = value(names) else { return nil }
        guard case .number(let number) = value, range.contains(number) else {
            throw Self.bad(names[0], "a number in \(range)", value)
        }
        return number
    }

    package mutating func bool(_ names: String...) throws(ZooError) -> Bool? {
        guard let value = value(names) else { return nil }
        guard case .bool(let flag) = value else { throw Self.bad(names[0], "true or false", value) }
        return flag
    }

    package mutating func text(_ names: String...) throws(ZooError) -> String? {
        guard let value = value(names) else { return nil }
        guard case .text(let text) = value else { throw Self.bad(names[0], "a text", value) }
        return text
    }

    package mutating func integers(
        _ names: String..., in range: ClosedRange<Int>, count: Int? = nil
    ) throws(ZooError) -> [Int]? {
        guard let list = try list(names, count) else { return nil }
        return try Self.map(list) { (value) throws(ZooError) in try Self.integer(value, names[0], range) }
    }

    /// The same where one number stands for `count` equal ones.
    package mutating func integersOrOne(
        _ names: String..., in range: ClosedRange<Int>, count: Int
    ) throws(ZooError) -> [Int]? {
        guard let value = value(names) else { return nil }
        guard case .list(let list) = value, list.count == count else {
            return [Int](repeating: try Self.integer(value, names[0], range), count: count)
        }
        return try Self.map(list) { (value) throws(ZooError) in try Self.integer(value, names[0], range) }
    }

    package mutating func numbers(
        _ names: String..., in range: ClosedRange<Double>, count: Int? = nil
    ) throws(ZooError) -> [Double]? {
        guard let list = try list(names, count) else { return nil }
        return try Self.map(list) { (value) throws(ZooError) in
            guard case .number(let number) = value, range.contains(number) else {
                throw Self.bad(names[0], "numbers in \(range)", value)
            }
            return number
        }
    }

    package mutating func bools(_ names: String..., count: Int) throws(ZooError) -> [Bool]? {
        guard let list = try list(names, count) else { return nil }
        return try Self.map(list) { (value) throws(ZooError) in
            guard case .bool(let flag) = value else { throw Self.bad(names[0], "true or false", value) }
            return flag
        }
    }

    /// A list of lists of words out of `choices`.
    package mutating func words(
        _ names: String..., choices: [String], count: Int
    ) throws(ZooError) -> [[String]]? {
        guard let list = try list(names, count) else { return nil }
        return try Self.map(list) { (row) throws(ZooError) in
            guard case .list(let words) = row else { throw Self.bad(names[0], "a list of lists", row) }
            return try Self.map(words) { (word) throws(ZooError) in
                guard case .text(let text) = word, choices.contains(text) else {
                    throw Self.bad(names[0], choices.joined(separator: ", "), word)
                }
                return text
            }
        }
    }

    /// - Throws: `ZooError` that names the hyper-parameters nobody asked for.
    package func finish() throws(ZooError) {
        let unknown = values.keys.filter { !known.contains($0) }.sorted()
        guard unknown.isEmpty else {
            throw ZooError(
                .badData, "unknown hyper-parameter", at: unknown.joined(separator: ", "),
                expected: known.sorted().joined(separator: ", "))
        }
    }

    /// For conditions that tie several hyper-parameters together.
    ///
    /// - Throws: `ZooError` of kind `badData` that names the first of them to mend.
    package static func require(_ condition: Bool, _ name: String, _ expected: String) throws(ZooError) {
        guard condition else {
            throw ZooError(.badData, "hyper-parameters contradict each other", at: name, expected: expected)
        }
    }

    private mutating func list(_ names: [String], _ count: Int?) throws(ZooError) -> [Value]? {
        guard let value = value(names) else { return nil }
        guard case .list(let list) = value, count == nil || list.count == count, (1...64).contains(list.count) else {
            throw Self.bad(names[0], "a list of \(count.map(String.init) ?? "1...64") values", value)
        }
        return list
    }

    private static func integer(_ value: Value, _ name: String, _ range: ClosedRange<Int>) throws(ZooError) -> Int {
        guard case .number(let number) = value, let integer = Int(exactly: number), range.contains(integer) else {
            throw bad(name, "integers in \(range)", value)
        }
        return integer
    }

    private static func map<T>(_ list: [Value], _ body: (Value) throws(ZooError) -> T) throws(ZooError) -> [T] {
        var result: [T] = []
        for value in list { result.append(try body(value)) }
        return result
    }

    private static func bad(_ name: String, _ expected: String, _ found: Value) -> ZooError {
        ZooError(.badData, "hyper-parameter has an unusable value", at: name, expected: expected, found: "\(found)")
    }
}
