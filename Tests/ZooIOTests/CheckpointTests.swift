import TestSupport
import Testing
import ZooCore
import ZooIO

/// Files written by PyTorch and the reference safetensors library; `make.py` beside them made them.
@Suite struct CheckpointTests {
    private static func open(_ file: String, key: String? = nil) throws -> Checkpoint {
        try Checkpoint.open(path: Fixtures.path("checkpoints/\(file)"), key: key)
    }

    @Test(arguments: [
        "types.pth", "views.pth", "training.pth", "parallel.pth", "parameters.pth", "detector.pth", "nested.pth",
        "protocol4.pth", "protocol5.pth", "sharded.safetensors.index.json",
    ])
    func fidelityOfValues(file: String) throws {
        let expected = try SafetensorsFile(path: Fixtures.path("checkpoints/expected.safetensors"))
        let checkpoint = try Self.open(file)
        let wanted = expected.names.filter { $0.hasPrefix(file + "/") && $0.split(separator: "/").count == 2 }
        #expect(checkpoint.names == wanted.map { String($0.dropFirst(file.count + 1)) }.sorted())
        for name in checkpoint.names {
            #expect(try checkpoint.float64s(of: name) == expected.float64s(of: "\(file)/\(name)"), "\(name)")
            #expect(checkpoint.info(name)?.shape == expected.info("\(file)/\(name)")?.shape, "\(name)")
        }
    }

    @Test func fidelityOfChosenContainer() throws {
        let expected = try SafetensorsFile(path: Fixtures.path("checkpoints/expected.safetensors"))
        let checkpoint = try Self.open("training.pth", key: "model_ema")
        #expect(checkpoint.container == ["model_ema"])
        for name in checkpoint.names {
            #expect(try checkpoint.float64s(of: name) == expected.float64s(of: "training.pth/model_ema/\(name)"))
        }
    }

    @Test func toleratesEntriesBesideTheWeights() throws {
        let checkpoint = try Self.open("training.pth")
        #expect(checkpoint.format == .torch)
        #expect(checkpoint.container == ["model"])
        let summaries = Dictionary(uniqueKeysWithValues: checkpoint.otherEntries.map { ($0.name, $0.summary) })
        #expect(summaries["epoch"] == "int 299")
        #expect(summaries["args"] == "argparse.Namespace (not read)")
        #expect(summaries["optimizer"] == "dict of 2")
        #expect(summaries["neg"] == "int -3")
        #expect(summaries["big"] == "int of more than 64 bits")
        #expect(summaries["size"] == "tuple of 2")
        #expect(summaries["dtype"] == "torch.float32 (not read)")
        #expect(summaries["rng"]?.hasPrefix("tensor [") == true)
        #expect(summaries.count == 17)
    }

    /// What training scripts write that keep a moving average, with a yacs configuration beside it: `model` alone, or both;
    /// DiT's writes `ema`.
    @Test(arguments: [
        ("model", ["model"]), ("state_dict_ema", ["model", "state_dict_ema"]), ("ema", ["model", "ema"]),
        ("model", ["model", "model_ema"]),
    ])
    func prefersTheMovingAverage(chosen: String, dictionaries: [String]) throws {
        typealias P = PickleBytes
        let values: [String: Float] = ["model": 1, "state_dict_ema": 2, "ema": 3, "model_ema": 4]
        var stream: [UInt8] = P.emptyDict + P.mark
        for name in dictionaries {
            let storage = P.storage(key: P.text(name), count: P.integer(1))
            stream += P.text(name)
            stream += P.dictionary(("norm.weight", P.tensor(storage, shape: [1], strides: [1])))
        }
        // An instance of a class that is a dictionary: items, then a state.
        stream += P.text("config") + P.global("yacs.config", "CfgNode") + P.emptyTuple
        stream.append(0x81)
        stream += P.mark + P.text("SEED") + P.integer(0) + P.setItems
        stream += P.dictionary(("__immutable__", [0x88])) + P.build
        stream += P.text("max_accuracy") + P.integer(84) + P.setItems
        let storages = dictionaries.map { name in
            (name, withUnsafeBytes(of: (values[name] ?? 0).bitPattern.littleEndian) { Array($0) })
        }
        let bytes = P.file(P.stream(stream), storages: storages)
        let checkpoint = try Checkpoint.open(ByteRegion(copying: bytes, name: "max_ema_acc.pth"))
        #expect(checkpoint.container == [chosen])
        #expect(try checkpoint.tensor("norm.weight").values == [values[chosen]])
        #expect(checkpoint.otherEntries.map(\.name).contains("config"))
    }

    @Test func unwrapsPrefixes() throws {
        #expect(try Self.open("parallel.pth").prefix == "module.")
        let detector = try Self.open("detector.pth")
        #expect(detector.prefix == "backbone.")
        #expect(detector.names == ["layer.bias", "layer.num_batches_tracked", "layer.weight"])
        #expect(detector.otherEntries.map(\.name) == ["meta", "head.bias", "neck.conv.weight"])
        #expect(try Self.open("nested.pth").container == ["ema", "module", "state_dict"])
    }

    @Test func keepsElementTypes() throws {
        let checkpoint = try Self.open("types.pth")
        let types: [String: DType] = [
            "f16": .float16, "bf16": .bfloat16, "f32": .float32, "f64": .float64, "i64": .int64, "i32": .int32,
            "i16": .int16, "i8": .int8, "u8": .uint8, "bool": .bool,
        ]
        for (name, dtype) in types { #expect(checkpoint.info(name) == TensorInfo(shape: [2, 3], dtype: dtype)) }
        #expect(try checkpoint.int64s(of: "i8").map(Double.init) == checkpoint.float64s(of: "i8"))
        #expect(try checkpoint.uint8s(of: "u8").map(Double.init) == checkpoint.float64s(of: "u8"))
    }

    @Test func fidelityOfNanoTorchFile() throws {
        let torch = try Self.open("ravlt-nano-digits.pth")
        let safetensors = try Checkpoint.open(path: Fixtures.inPackage("Models/Checkpoints/ravlt-nano.safetensors"))
        #expect(torch.names == safetensors.names)
        for name in torch.names {
            #expect(torch.info(name) == safetensors.info(name))
            #expect(try bytes(torch, name) == bytes(safetensors, name), "\(name)")
        }
    }

    private func bytes(_ file: Checkpoint, _ name: String) throws -> [UInt8] {
        try file.withBytes(of: name) { _, bytes in [UInt8](bytes) }
    }

    @Test(arguments: [ByteRegion.Access.mapped, .read])
    func digestIsThatOfTheFile(access: ByteRegion.Access) throws {
        let checkpoint = try Checkpoint.open(
            path: Fixtures.path("checkpoints/ravlt-nano-digits.pth"), access: access)
        #expect(checkpoint.byteCount == 738_059)
        #expect(checkpoint.sha256() == "50a4f70b71a963a341c7c1d5c2c97a64c875789c5ba7b36e7be1252058eae2bd")
    }

    @Test func rejectsLegacyFile() {
        expectDefect(CheckpointDefect.legacyPickle) { _ = try Self.open("legacy.pth") }
    }

    @Test func rejectsUnknownKeyNamingTheChoices() throws {
        let error = expectDefect(TorchDefect.unknownKey) { _ = try Self.open("training.pth", key: "modle") }
        #expect(error?.kind == .usage)
        #expect(error?.expected?.contains("model_ema") == true)
        expectDefect(CheckpointDefect.unknownKey) {
            _ = try Checkpoint.open(path: Fixtures.path("checkpoints/expected.safetensors"), key: "layer")
        }
    }

    @Test func safetensorsKeyChoosesByFirstNamePart() throws {
        try withTemporaryFolder { folder in
            var writer = SafetensorsWriter()
            writer.add("model.a", shape: [1], [Float(1)])
            writer.add("ema.a", shape: [1], [Float(2)])
            try writer.write(to: "\(folder)/two.safetensors")
            let checkpoint = try Checkpoint.open(path: "\(folder)/two.safetensors", key: "ema")
            #expect(checkpoint.names == ["a"])
            #expect(try checkpoint.tensor("a").values == [2])
            #expect(checkpoint.otherEntries.map(\.name) == ["model.a"])
        }
    }

    @Test(arguments: [
        ("an empty file", ""), ("GGUF", "GGUF version 3"), ("HDF5", "\u{89}HDF 5"), ("web page", "<!DOCTYPE html>"),
        ("Git LFS pointer", "version https://git-lfs.github.com/spec/v1"), ("begins with bytes", "hello"),
    ])
    func rejectsOtherFormatsSayingWhatTheyAre(found: String, content: String) {
        let bytes = content.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        let error = expectDefect(CheckpointDefect.unknownFormat) {
            _ = try Checkpoint.open(ByteRegion(copying: bytes, name: "file"))
        }
        #expect(error?.found?.contains(found) == true)
        #expect(error?.file == "file")
    }

    @Test func rejectsCheckpointWithoutTensors() {
        expectDefect(CheckpointDefect.noTensors) {
            _ = try Checkpoint.open(ByteRegion(copying: [2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8), name: "empty"))
        }
    }

    @Test func readChecksNameShapeAndType() throws {
        let checkpoint = try Self.open("types.pth")
        func read(_ tensor: String, _ shape: [Int]) throws -> [Float] {
            var values = [Float](repeating: .nan, count: 6)
            try values.withUnsafeMutableBufferPointer { try checkpoint.read(tensor, shape: shape, into: $0) }
            return values
        }
        #expect(try read("f64", [2, 3]) == checkpoint.float64s(of: "f64").map { Float($0) })
        expectDefect(TensorDefect.missing) { _ = try read("f", [2, 3]) }
        let error = expectDefect(TensorDefect.wrongShape) { _ = try read("f32", [3, 2]) }
        #expect(error?.location == "f32")
        #expect(error?.expected == "[3, 2]")
        #expect(error?.found == "[2, 3]")
        expectDefect(TensorDefect.wrongType) { _ = try read("i64", [2, 3]) }
        expectDefect(TensorDefect.wrongType) { _ = try checkpoint.int64s(of: "f32") }
        expectDefect(TensorDefect.wrongType) { _ = try checkpoint.uint8s(of: "i8") }
    }

    @Test func rejectsWhatIsNoRegularFile() throws {
        try withTemporaryFolder { folder in
            let missing = expectDefect(FileDefect.missing) {
                _ = try Checkpoint.open(path: "\(folder)/none.pth")
            }
            #expect(missing?.kind == .missingInput)
            expectDefect(FileDefect.notRegular) { _ = try Checkpoint.open(path: folder) }
            expectDefect(FileDefect.notRegular) { _ = try Checkpoint.open(path: "/dev/null") }
            let tooLong = String(repeating: "x", count: 5000)
            expectDefect(FileDefect.unreadable) { _ = try Checkpoint.open(path: "\(folder)/\(tooLong)") }
        }
    }
}
