import ArgumentParser
import Foundation
import ZooCore
import ZooEval
import ZooImage
import ZooModels

/// `zoo doctor`: what a bug report needs, in one block.
struct DoctorCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Show CPU, kernels, threads, libraries and folders, for bug reports.")

    static let examples = ["zoo doctor", "zoo doctor --json"]

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var compute: ComputeOptions

    func run() throws {
        let diagnosis = Diagnosis(try compute.runtime())
        if json {
            try JSONReport(command: "doctor", content: diagnosis).write()
        } else {
            try Output.write(diagnosis.text)
        }
    }
}

/// The state of machine and installation.
private struct Diagnosis: Encodable {
    struct Libraries: Encodable {
        let png: String
        let jpeg: String
    }

    struct Folder: Encodable {
        let path: String
        let exists: Bool

        init(_ path: String) {
            var isFolder: ObjCBool = false
            self.path = path
            exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
        }

        var text: String { exists ? path : "\(path) (not there)" }
    }

    let environment: Environment
    /// The instruction set that every kernel runs on.
    let kernels: String
    /// How products of bf16 weights are computed.
    let bf16Products: String
    let threads: Int
    /// Logical processors in the affinity mask.
    let affinity: [Int]
    /// Processors that the control group allows, `nil` for no limit.
    let cgroupProcessors: Double?
    let memoryBytes: Int?
    let cgroupMemoryBytes: Int?
    let libraries: Libraries
    let weightsFolder: Folder
    let datasetsFolder: Folder
    /// Models whose weights are at hand, and where.
    let weightsFound: [String: String]
    /// The environment variables that change what zoo does, where set.
    let variables: [String: String]

    init(_ runtime: Runtime) {
        environment = .current
        kernels = runtime.instructionSet.rawValue
        bf16Products =
            Precision.bf16.isNative(on: runtime.instructionSet)
            ? "dot product of the processor" : "widened to float32, no faster than it"
        threads = runtime.threads
        affinity = Processor.allowed
        cgroupProcessors = Processor.cgroupQuota
        memoryBytes = SystemMemory.total
        cgroupMemoryBytes = SystemMemory.cgroupLimit
        libraries = Libraries(png: ImageLibraries.png, jpeg: ImageLibraries.jpeg)
        weightsFolder = Folder(ZooHome.current.weights)
        datasetsFolder = Folder(ZooHome.current.datasets)
        let states = Registry.cards.map { ($0.name, WeightsState($0, WeightsResolver())) }
        weightsFound = Dictionary(
            uniqueKeysWithValues: states.filter { $0.1.status != .notFound }.map { ($0.0, $0.1.text) })
        let names = ["ZOO_HOME", "ZOO_ISA", "ZOO_BF16", "NO_COLOR"]
        variables = ProcessInfo.processInfo.environment.filter { names.contains($0.key) }
    }

    var text: String {
        func gibibytes(_ bytes: Int?) -> String {
            bytes.map { String(format: "%.1f GiB", Double($0) / 1_073_741_824) } ?? "unknown"
        }
        func list(_ pairs: [String: String]) -> String {
            pairs.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        }
        let quota = cgroupProcessors.map { String(format: "%.2f", $0) } ?? "none"
        return Table(pairs: [
            ("zoo", environment.zoo),
            ("compiler", environment.compiler),
            ("system", environment.system),
            ("cpu", environment.cpu),
            ("instruction sets", environment.instructionSets.joined(separator: ", ")),
            ("kernels", "\(kernels) in every family"),
            ("bf16 products", bf16Products),
            ("threads", "\(threads), usable physical cores \(environment.usableCores)"),
            (
                "affinity",
                affinity.isEmpty ? "unknown" : "processors \(affinity.map(String.init).joined(separator: ","))"
            ),
            (
                "cgroup",
                "processors \(quota), memory \(cgroupMemoryBytes == nil ? "no limit" : gibibytes(cgroupMemoryBytes))"
            ),
            ("memory", gibibytes(memoryBytes)),
            ("governor", environment.governor ?? "unknown"),
            ("load", environment.loadAverage.map { String(format: "%.2f", $0) }.joined(separator: " ")),
            ("libpng", libraries.png),
            ("libjpeg", libraries.jpeg),
            ("weights folder", weightsFolder.text),
            ("datasets folder", datasetsFolder.text),
            ("weights found", list(weightsFound)),
            ("variables", variables.isEmpty ? "none set" : list(variables)),
        ]).rendered(.text)
    }
}
