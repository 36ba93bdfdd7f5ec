import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels

/// `zoo inspect` and `zoo convert`.
@Suite struct CheckpointCommandTests {
    let nano = Fixtures.inPackage("Models/Checkpoints/ravlt-nano.safetensors")

    @Test func inspectTellsEveryTensor() throws {
        let object = try zooSucceeds(["inspect", nano, "--json"]).json()
        let file = try SafetensorsFile(path: nano)
        #expect(object["format"] as? String == "safetensors")
        #expect(object["sha256"] as? String == (try ByteRegion(path: nano).sha256()))
        let tensors = try #require(object["tensors"] as? [[String: Any]])
        #expect(tensors.map { $0["name"] as? String } == file.names)
        for tensor in tensors {
            let name = try #require(tensor["name"] as? String)
            let info = try #require(file.info(name))
            #expect(tensor["shape"] as? [Int] == info.shape)
            #expect(tensor["dtype"] as? String == info.dtype.rawValue)
            #expect(tensor["bytes"] as? Int == info.count * info.dtype.size)
        }
        let text = try zooSucceeds(["inspect", nano]).output
        for name in file.names { #expect(text.contains("\n\(name) ")) }
        #expect(text.contains("\(file.names.count) tensors"))
    }

    @Test func rejectsWhatIsNoCheckpoint() throws {
        let folder = try TemporaryFolder()
        try zooFails(["inspect", folder.path("none.pth")], with: 66, mentioning: "none.pth")
        let bytes = try Data(contentsOf: URL(filePath: nano))
        for length in [0, 1, 8, 9, 1000, bytes.count / 2, bytes.count - 1] {
            let path = folder.path("part.safetensors")
            try bytes.prefix(length).write(to: URL(filePath: path))
            try zooFails(["inspect", path], with: 65, mentioning: "part.safetensors")
            try zooFails(["convert", path, folder.path("out.safetensors")], with: 65, mentioning: "part.safetensors")
        }
        try zooFails(["inspect", nano, "--weights-key", "ema"], with: 64, mentioning: "ema")
    }

    @Test(arguments: [("fp32", DType.float32, 0), ("fp16", .float16, 0x1p-11), ("bf16", .bfloat16, 0x1p-8)])
    func convertRounds(precision: String, dtype: DType, tolerance: Double) throws {
        let folder = try TemporaryFolder()
        let output = folder.path("out.safetensors")
        try zooSucceeds(["convert", nano, output, "--precision", precision, "--model", "ravlt-nano"])
        let (before, after) = try (SafetensorsFile(path: nano), SafetensorsFile(path: output))
        #expect(after.metadata["model"] == "ravlt-nano")
        let expected = try Registry.tensors(of: try Registry.card(named: "ravlt-nano")).map(\.name).sorted()
        #expect(after.names == expected)
        for name in after.names {
            #expect(after.info(name)?.dtype == dtype)
            let (a, b) = try (after.tensor(name), before.tensor(name))
            // Half a unit in the last place of the type, and of the smallest half-precision number.
            let wrong = zip(a.values, b.values).count { x, y in
                abs(Double(x - y)) > tolerance * Double(abs(y)) + (tolerance > 0 ? 3e-8 : 0)
            }
            #expect(wrong == 0, "\(name)")
        }
    }

    @Test func convertKeepsEverythingWithoutAModel() throws {
        let folder = try TemporaryFolder()
        let output = folder.path("out.safetensors")
        try zooSucceeds(["convert", nano, output])
        let (before, after) = try (SafetensorsFile(path: nano), SafetensorsFile(path: output))
        #expect(after.names == before.names)
        for name in after.names {
            #expect(after.info(name) == before.info(name))
            #expect(try after.withBytes(of: name) { Array($1) } == before.withBytes(of: name) { Array($1) })
        }
    }

    @Test func rejectsAModelThatDoesNotFit() throws {
        let folder = try TemporaryFolder()
        let output = folder.path("out.safetensors")
        try zooFails(["convert", nano, output, "--model", "ravlt-t"], with: 65, mentioning: nano, "problems")
        #expect(!FileManager.default.fileExists(atPath: output))
        let nowhere = folder.path("no/folder/out.safetensors")
        try zooFails(["convert", nano, nowhere], with: 73, mentioning: nowhere)
        try zooFails(["convert", nano, folder.path("out.bin")], with: 64, mentioning: "out.bin", ".safetensors")
    }

    /// Weights stored in bf16 are widened when they are read, and serve models of either precision.
    @Test(arguments: ["fp32", "bf16"], ["bf16", "fp16"])
    func convertedCheckpointsRun(precision: String, stored: String) throws {
        let folder = try TemporaryFolder()
        let checkpoint = folder.path("nano.safetensors")
        let input = Fixtures.path("models/input.safetensors")
        try zooSucceeds(["convert", nano, checkpoint, "--precision", stored])
        func logits(_ weights: String, _ precision: String) throws -> Tensor {
            let output = folder.path("out.safetensors")
            try zooSucceeds([
                "run", "ravlt-nano", "--weights", weights, "--input", input, "--output", output, "--precision",
                precision,
            ])
            let file = try SafetensorsFile(path: output)
            #expect(file.metadata["precision"] == precision)
            return try file.tensor("logits")
        }
        let error = try relativeL2(
            logits(checkpoint, precision).values, logits(nano, "fp32").values.map(Double.init))
        #expect(error > 0 && error < 0.03, "\(error)")
    }
}
