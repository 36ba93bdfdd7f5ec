/// The folder where zoo looks for weights and datasets that the user put there: `$ZOO_HOME`, else `~/.cache/zoo`.
public struct ZooHome: Sendable, Equatable {
    public let path: String

    public init(path: String) {
        self.path = path
    }

    /// The folder that the environment names.
    public static var current: ZooHome {
        if let path = Processor.environment("ZOO_HOME"), !path.isEmpty { return ZooHome(path: path) }
        return ZooHome(path: (Processor.environment("HOME") ?? ".") + "/.cache/zoo")
    }

    /// Checkpoints, found by the model's name.
    public var weights: String { path + "/weights" }
    /// Datasets, one folder each.
    public var datasets: String { path + "/datasets" }
    /// Results of series of evaluations, one folder each.
    public var results: String { path + "/results" }
    /// Journals of evaluations that wrote no file of their own.
    public var journals: String { path + "/journals" }
}
