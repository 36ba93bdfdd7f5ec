import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO

/// Operators of the catalogue from file to file, with parameters that are tensors.
@Suite struct CatalogueOperatorTests {
    private func golden(_ file: String) throws -> SafetensorsFile {
        try SafetensorsFile(path: Fixtures.path("operators/catalogue/\(file).case.safetensors"))
    }

    /// All cases of an operator in one file.
    private func writeInputs(of name: String, to path: String) throws {
        let (own, shared) = (try golden(name), try golden("inputs"))
        let shapes = try #require(
            try Fixtures.json(Fixtures.path("operators/catalogue/inputs.json"))["cases"] as? [String: [String: Any]])
        var writer = SafetensorsWriter()
        for tensor in own.names where !tensor.hasSuffix(".out") { writer.add(tensor, try own.tensor(tensor)) }
        for tensor in own.names where tensor.hasSuffix(".out") {
            let prefix = String(tensor.dropLast("out".count))
            for input in ["q", "k", "v"] { writer.add(prefix + input, try shared.tensor(prefix + input)) }
            let grid = try ["H", "W"].map { Int64(try #require(shapes[String(prefix.dropLast())]?[$0] as? Int)) }
            writer.add(prefix + "grid", shape: [2], grid)
        }
        try writer.write(to: path)
    }

    @Test(arguments: ["focused", "agent", "lion_s_snake", "block_diag4"])
    func fidelityFromFileToFile(name: String) throws {
        let folder = try TemporaryFolder()
        try writeInputs(of: name, to: folder.path("in.safetensors"))
        try zooSucceeds([
            "op", name, "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors"),
        ])
        let (expected, output) = (try golden(name), try SafetensorsFile(path: folder.path("out.safetensors")))
        #expect(output.names.sorted() == expected.names.filter { $0.hasSuffix(".out") }.sorted())
        for tensor in output.names {
            let (own, wanted) = (try output.tensor(tensor), try expected.tensor(tensor))
            #expect(own.shape == wanted.shape)
            #expect(relativeL2(own.values, wanted.values.map(Double.init)) < 2e-6, "\(tensor)")
        }
    }

    @Test func rejectsMoreTokensThanTheProjectionHasRows() throws {
        let folder = try TemporaryFolder()
        var writer = SafetensorsWriter()
        for name in ["q", "k", "v"] { writer.add(name, Tensor(zeros: [1, 2, 10, 4])) }
        for name in ["proj_k", "proj_v"] { writer.add(name, Tensor(zeros: [9, 3])) }
        try writer.write(to: folder.path("in.safetensors"))
        try zooFails(
            ["op", "linformer", "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors")],
            with: 65, mentioning: "proj_k", "at least 10 rows", "found 9")
    }

    @Test func withoutArgumentsListsTheOperators() throws {
        #expect(try zooSucceeds(["op"]).output == zooSucceeds(["op", "list"]).output)
    }
}
