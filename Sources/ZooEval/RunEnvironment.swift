import ZooCore

/// Where and with what a result was computed: the machine's `Environment` and the choices of this run, one JSON object.
public struct RunEnvironment: Codable, Sendable, Equatable {
    public let machine: Environment
    public let instructionSet: String
    /// Of the model's weights and products.
    public let precision: Precision
    /// Threads of the model.
    public let threads: Int
    /// Threads that decode and preprocess beside them.
    public let decodeThreads: Int

    private enum CodingKeys: String, CodingKey { case instructionSet, precision, threads, decodeThreads }

    public init(instructionSet: InstructionSet, precision: Precision, threads: Int, decodeThreads: Int) {
        machine = .current
        self.instructionSet = instructionSet.rawValue
        self.precision = precision
        self.threads = threads
        self.decodeThreads = decodeThreads
    }

    public init(from decoder: any Decoder) throws {
        machine = try Environment(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        instructionSet = try container.decode(String.self, forKey: .instructionSet)
        precision = try container.decode(Precision.self, forKey: .precision)
        threads = try container.decode(Int.self, forKey: .threads)
        decodeThreads = try container.decode(Int.self, forKey: .decodeThreads)
    }

    public func encode(to encoder: any Encoder) throws {
        try machine.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(instructionSet, forKey: .instructionSet)
        try container.encode(precision, forKey: .precision)
        try container.encode(threads, forKey: .threads)
        try container.encode(decodeThreads, forKey: .decodeThreads)
    }
}
