import ZooCore

/// An attention operator of the catalogue: a function from named tensors to one tensor, `out`.
///
/// `zoo op`, the kernel benchmarks and the golden tests read the same table, `Operator.all`; adding an operator is one
/// entry there.
public struct Operator: Sendable {
    /// A tensor that an operator reads.
    public struct Input: Sendable {
        /// What the elements are; real numbers are computed with in float32.
        public enum Element: Sendable {
            case real, integer
        }

        public let name: String
        /// The shape as people write it, `(B, heads, N, d)`.
        public let shape: String
        public let element: Element
        public let isRequired: Bool
        public let summary: String

        public init(
            _ name: String, shape: String, element: Element = .real, isRequired: Bool = true, summary: String
        ) {
            self.name = name
            self.shape = shape
            self.element = element
            self.isRequired = isRequired
            self.summary = summary
        }
    }

    /// A number or a choice that changes what an operator computes.
    public struct Parameter: Sendable {
        public enum Domain: Sendable {
            case number(ClosedRange<Double>, default: Double)
            case choice([String], default: String)
        }

        public let name: String
        public let domain: Domain
        public let summary: String

        public init(_ name: String, defaultValue: Double, in range: ClosedRange<Double>, summary: String) {
            self.name = name
            domain = .number(range, default: defaultValue)
            self.summary = summary
        }

        public init<Choice: CaseIterable & RawRepresentable<String>>(
            _ name: String, defaultValue: Choice, summary: String
        ) {
            self.name = name
            domain = .choice(Choice.allCases.map(\.rawValue), default: defaultValue.rawValue)
            self.summary = summary
        }

        /// `0.5 in 0.0...1.0` or `relu of identity, relu`.
        public var values: String {
            switch domain {
            case .number(let range, let value): "\(value) in \(range)"
            case .choice(let choices, let value): "\(value) of \(choices.joined(separator: ", "))"
            }
        }

        /// - Throws: `ZooError` of kind `usage` for a value outside the domain.
        fileprivate func check(_ text: String) throws(ZooError) {
            switch domain {
            case .number(let range, _):
                guard let number = Double(text) else {
                    throw ZooError(.usage, "parameter is not a number", at: name, expected: "\(range)", found: text)
                }
                guard range.contains(number) else {
                    throw ZooError(.usage, "parameter is out of range", at: name, expected: "\(range)", found: text)
                }
            case .choice(let choices, _):
                guard choices.contains(text) else {
                    throw ZooError(
                        .usage, "parameter has no such value", at: name, expected: choices.joined(separator: ", "),
                        found: text, hint: Suggestion.hint(for: text, among: choices))
                }
            }
        }
    }

    /// Lower case, as `zoo op` takes it.
    public let name: String
    /// One line: the formula.
    public let summary: String
    public let inputs: [Input]
    public let parameters: [Parameter]
    private let prepare: @Sendable (Arguments) throws(ZooError) -> Call

    /// - Parameter prepare: checks the arguments' shapes and returns the call that computes.
    package init(
        name: String, summary: String, inputs: [Input], parameters: [Parameter] = [],
        prepare: @escaping @Sendable (Arguments) throws(ZooError) -> Call
    ) {
        self.name = name
        self.summary = summary
        self.inputs = inputs
        self.parameters = parameters
        self.prepare = prepare
    }

    /// Checks tensors and parameters, so that the call can only compute.
    ///
    /// - Parameters:
    ///   - tensors: by input name; names the operator does not read are ignored.
    ///   - parameters: those that differ from their defaults, as people write them.
    /// - Throws: `ZooError` of kind `badData` for a missing or wrongly shaped tensor, `usage` for a parameter that does
    ///   not exist or a value it can't have.
    public func bind(_ tensors: [String: Tensor], parameters given: [String: String] = [:]) throws(ZooError) -> Call {
        for input in inputs where input.isRequired && tensors[input.name] == nil {
            throw ZooError(.badData, "tensor is missing", at: input.name, expected: input.shape)
        }
        for (name, value) in given.sorted(by: { $0.key < $1.key }) {
            guard let parameter = parameters.first(where: { $0.name == name }) else {
                let known = parameters.map(\.name).joined(separator: ", ")
                throw ZooError(
                    .usage, "operator \(self.name) has no parameter '\(name)'", expected: known.isEmpty ? "none" : known
                )
            }
            try parameter.check(value)
        }
        return try prepare(Arguments(tensors: tensors, parameters: parameters, given: given))
    }

    /// What an operator's `prepare` reads.
    package struct Arguments {
        let tensors: [String: Tensor]
        fileprivate let parameters: [Parameter]
        fileprivate let given: [String: String]

        /// The value of a number that the operator declares.
        func number(_ name: String) -> Double {
            guard case .number(_, let value)? = parameters.first(where: { $0.name == name })?.domain else {
                preconditionFailure("operator declares no number \(name)")
            }
            return given[name].flatMap(Double.init) ?? value
        }

        /// The value of a choice that the operator declares.
        func choice<Choice: RawRepresentable<String>>(_ name: String, of type: Choice.Type) -> Choice {
            guard case .choice(_, let value)? = parameters.first(where: { $0.name == name })?.domain,
                let choice = Choice(rawValue: given[name] ?? value)
            else { preconditionFailure("operator declares no choice \(name)") }
            return choice
        }

        /// A tensor of known rank without an empty dimension.
        func tensor(_ name: String, rank: Int, shape: String) throws(ZooError) -> Tensor {
            guard let tensor = tensors[name] else {
                throw ZooError(.badData, "tensor is missing", at: name, expected: shape)
            }
            guard tensor.shape.count == rank, tensor.count > 0 else {
                throw ZooError(
                    .badData, "tensor has another shape", at: name, expected: shape, found: "\(tensor.shape)")
            }
            return tensor
        }

        /// The token grid (height, width) of `tokens` tokens, `nil` where none is given.
        func grid(tokens: Int) throws(ZooError) -> (height: Int, width: Int)? {
            guard let grid = tensors["grid"] else { return nil }
            guard grid.shape == [2] else {
                throw ZooError(
                    .badData, "tensor has another shape", at: "grid", expected: "[2]", found: "\(grid.shape)")
            }
            guard let height = Int(exactly: grid.values[0]), let width = Int(exactly: grid.values[1]),
                height > 0, width > 0, height.multipliedReportingOverflow(by: width) == (tokens, false)
            else {
                throw ZooError(
                    .badData, "grid does not fit the tokens", at: "grid",
                    expected: "height and width with the product \(tokens)",
                    found: "\(grid.values[0]) x \(grid.values[1])")
            }
            return (height, width)
        }
    }

    /// An operator with checked arguments.
    public struct Call {
        public let outputShape: [Int]
        /// Multiply-adds of one run.
        public let cost: Cost
        private let body: (UnsafeMutablePointer<Float>, Runtime) -> Void

        package init(
            outputShape: [Int], cost: Cost, body: @escaping (UnsafeMutablePointer<Float>, Runtime) -> Void
        ) {
            self.outputShape = outputShape
            self.cost = cost
            self.body = body
        }

        /// Computes into memory for the output's elements; a second run allocates nothing.
        public func callAsFunction(into output: UnsafeMutablePointer<Float>, on runtime: Runtime) {
            body(output, runtime)
        }

        /// Computes into a new tensor.
        public func callAsFunction(on runtime: Runtime) -> Tensor {
            var output = Tensor(zeros: outputShape)
            output.withUnsafeMutableValues { values in
                if let base = values.baseAddress { self(into: base, on: runtime) }
            }
            return output
        }
    }
}

extension Operator {
    /// Finds an operator by its name; case does not matter and `-` is read as `_`.
    ///
    /// - Throws: `ZooError` of kind `usage` that names the nearest three.
    public static func named(_ name: String) throws(ZooError) -> Operator {
        let wanted = String(name.lowercased().map { $0 == "-" ? "_" : $0 })
        guard let found = all.first(where: { $0.name == wanted }) else {
            throw ZooError(
                .usage, "unknown operator '\(name)'", hint: Suggestion.hint(for: wanted, among: all.map(\.name)),
                code: "operator.unknown")
        }
        return found
    }
}
