import ArgumentParser
import Foundation
import ZooCore
import ZooIO

/// `zoo inspect`: what a checkpoint holds, whatever model it belongs to.
struct InspectCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Print a checkpoint's tensors without loading a model.")

    static let examples = [
        "zoo inspect embedded:ravlt-nano",
        "zoo inspect embedded:mavit-nano --json",
    ]

    @Argument(help: "\(CheckpointArgument.help)", completion: .file())
    var file: String

    @Option(help: "Which state dictionary of the file to take.")
    var weightsKey: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    /// What `--json` prints.
    private struct Content: Encodable {
        struct Entry: Encodable {
            let name: String
            let shape: [Int]
            let dtype: String
            let bytes: Int
        }

        struct Other: Encodable {
            let name: String
            let summary: String
        }

        let file: String
        let format: String
        let fileBytes: Int
        let sha256: String
        let container: [String]
        let prefix: String
        let metadata: [String: String]
        let tensors: [Entry]
        let elements: Int
        let tensorBytes: Int
        let otherEntries: [Other]

        init(_ checkpoint: Checkpoint) {
            file = checkpoint.name
            format = checkpoint.format.rawValue
            fileBytes = checkpoint.byteCount
            sha256 = checkpoint.sha256()
            container = checkpoint.container
            prefix = checkpoint.prefix
            metadata = checkpoint.metadata
            let infos = checkpoint.names.compactMap { name in checkpoint.info(name).map { (name, $0) } }
            tensors = infos.map { name, info in
                Entry(
                    name: name, shape: info.shape, dtype: info.dtype.rawValue, bytes: info.count * info.dtype.size)
            }
            elements = infos.reduce(0) { $0 &+ $1.1.count }
            tensorBytes = tensors.reduce(0) { $0 &+ $1.bytes }
            otherEntries = checkpoint.otherEntries.map { Other(name: $0.name, summary: $0.summary) }
        }
    }

    func run() throws {
        let content = Content(try CheckpointArgument.open(file, key: weightsKey))
        if json {
            try JSONReport(command: "inspect", content: content).write()
        } else {
            try Output.write(describe(content))
        }
    }

    private func describe(_ content: Content) -> String {
        let head = Table(
            pairs: [
                ("file", content.file),
                ("format", content.format),
                ("bytes", "\(content.fileBytes)"),
                ("sha256", content.sha256),
                ("container", content.container.joined(separator: " > ")),
                ("prefix", content.prefix),
            ].filter { !$0.1.isEmpty } + content.metadata.sorted { $0.key < $1.key }.map { ("metadata \($0)", $1) })
        var tensors = Table([.init("TENSOR", .left), .init("SHAPE", .left), .init("TYPE", .left), .init("BYTES")])
        for tensor in content.tensors {
            tensors.append([tensor.name, "\(tensor.shape)", tensor.dtype, "\(tensor.bytes)"])
        }
        var parts = [
            head.rendered(.text), tensors.rendered(.text),
            "\(content.tensors.count) tensors, \(content.elements) elements, \(content.tensorBytes) bytes\n",
        ]
        if !content.otherEntries.isEmpty {
            var others = Table([.init("OTHER ENTRY", .left), .init("CONTENT", .left)])
            for entry in content.otherEntries { others.append([entry.name, entry.summary]) }
            parts.append(others.rendered(.text))
        }
        return parts.joined(separator: "\n")
    }
}
