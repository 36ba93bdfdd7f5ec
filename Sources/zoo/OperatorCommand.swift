import ArgumentParser
import ZooCore
import ZooIO
import ZooNN

/// `zoo op`: one attention operator on given tensors.
struct OperatorCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "op", abstract: "Run one attention operator on given tensors.",
        discussion: """
            Reads the operator's inputs from a safetensors file and writes `out`. Several cases may lie in one file: \
            a prefix `case.` before each name is carried over to the output. `zoo op list` shows inputs and parameters.

            Operators: \(Operator.all.map(\.name).joined(separator: ", "))
            """)

    static let examples = [
        "zoo op list",
        "zoo explain ravlt-nano sample:digits/3/1460.png --block 0 --output block.safetensors && "
            + "zoo op rala --input block.safetensors --output out.safetensors",
    ]

    @Argument(
        help: "The operator's name, or list for all of them.", completion: .list(Operator.all.map(\.name) + ["list"]))
    var `operator` = "list"

    @Option(help: "Safetensors file with the inputs.", completion: .file(extensions: ["safetensors"]))
    var input: String?

    @Option(help: "Safetensors file to write.", completion: .file(extensions: ["safetensors"]))
    var output: String?

    @Option(name: .customLong("param"), help: "A parameter of the operator, NAME=VALUE; may be repeated.")
    var parameters: [String] = []

    @OptionGroup var compute: ComputeOptions

    func validate() throws {
        guard self.operator == "list", input != nil || output != nil || !parameters.isEmpty else { return }
        throw ValidationError("--input, --output and --param belong to an operator, and none is named")
    }

    func run() throws {
        guard self.operator != "list" else { return try Output.write(Self.table + "\n") }
        let `operator` = try Operator.named(self.operator)
        guard let input else { throw ValidationError("Missing expected argument '--input <input>'") }
        guard let output else { throw ValidationError("Missing expected argument '--output <output>'") }
        let values = try parsedParameters()
        let runtime = try compute.runtime()
        let file = try SafetensorsFile(path: input)
        var writer = SafetensorsWriter(metadata: ["operator": `operator`.name])
        let cases = OperatorCases(names: file.names, inputs: `operator`.inputs)
        if let first = cases.ignored.first {
            let more = cases.ignored.count > 1 ? " and \(cases.ignored.count - 1) more" : ""
            Output.note("\(input): not an input of \(`operator`.name) and ignored: \(first)\(more)")
        }
        guard !cases.prefixes.isEmpty else {
            throw ZooError(
                .badData, "no input of operator \(`operator`.name)", file: input,
                expected: `operator`.inputs.filter(\.isRequired).map(\.name).joined(separator: ", "))
        }
        try Output.check(file: output)
        for prefix in cases.prefixes {
            writer.add(
                prefix + "out", try Self.compute(`operator`, file, prefix: prefix, parameters: values, on: runtime))
        }
        try writer.write(to: output)
    }

    private static func compute(
        _ operator: Operator, _ file: SafetensorsFile, prefix: String, parameters: [String: String],
        on runtime: Runtime
    ) throws -> Tensor {
        var tensors: [String: Tensor] = [:]
        for input in `operator`.inputs {
            guard let info = file.info(prefix + input.name) else { continue }
            guard info.dtype.isFloatingPoint == (input.element == .real) else {
                throw ZooError(
                    .badData, "tensor has an unsuitable element type", file: file.name, at: prefix + input.name,
                    expected: input.element == .real ? "a floating-point type" : "an integer type",
                    found: info.dtype.rawValue)
            }
            tensors[input.name] = try file.tensor(prefix + input.name)
        }
        do throws(ZooError) {
            return try `operator`.bind(tensors, parameters: parameters)(on: runtime)
        } catch {
            guard error.kind == .badData else { throw error }
            var located = error.naming(file: file.name)
            located.location = error.location.map { prefix + $0 }
            throw located
        }
    }

    private func parsedParameters() throws -> [String: String] {
        var result: [String: String] = [:]
        for text in parameters {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw ZooError(.usage, "--param is malformed", expected: "NAME=VALUE", found: text)
            }
            let name = String(text[..<equals])
            guard result.updateValue(String(text[text.index(after: equals)...]), forKey: name) == nil else {
                throw ZooError(.usage, "--param is given twice", at: name)
            }
        }
        return result
    }

    /// Every operator with its inputs and parameters.
    private static var table: String {
        Operator.all.map { entry in
            let inputs = entry.inputs.map {
                "    \($0.name) \($0.shape)\($0.isRequired ? "" : ", optional"): \($0.summary)"
            }
            let parameters = entry.parameters.map { "    --param \($0.name)=\($0.values): \($0.summary)" }
            return ([entry.name, "  \(entry.summary)"] + inputs + parameters).joined(separator: "\n")
        }.joined(separator: "\n\n")
    }
}

/// The cases of an operator's input file: the prefixes before the names of its inputs.
private struct OperatorCases {
    /// `""` or `case.`, sorted.
    let prefixes: [String]
    /// Tensors that are not inputs of the operator.
    let ignored: [String]

    init(names: [String], inputs: [Operator.Input]) {
        var prefixes = Set<String>()
        ignored = names.filter { name in
            let input = inputs.first { name == $0.name || name.hasSuffix("." + $0.name) }
            if let input { prefixes.insert(String(name.dropLast(input.name.count))) }
            return input == nil
        }
        self.prefixes = prefixes.sorted()
    }
}
