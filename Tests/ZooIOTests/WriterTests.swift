import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO

@Suite struct WriterTests {
    private static func sample() -> SafetensorsWriter {
        var writer = SafetensorsWriter(metadata: ["quote \" and \\": "line\nand tête 😀", "format": "pt"])
        writer.add("image", shape: [2, 3], [UInt8]([0, 1, 2, 3, 4, 255]))
        writer.add("b", Tensor(shape: [2], values: [1.5, -.infinity]))
        writer.add("a \"quoted\" \u{1}name", shape: [], [Double.pi])
        writer.add("labels", shape: [2], [Int64.min, Int64.max])
        writer.add("counts", shape: [1], [Int32(-7)])
        writer.add("empty", Tensor(zeros: [0, 4]))
        return writer
    }

    @Test func roundTrip() throws {
        try withTemporaryFolder { folder in
            try Self.sample().write(to: "\(folder)/x.safetensors")
            let file = try SafetensorsFile(path: "\(folder)/x.safetensors")
            #expect(file.metadata == ["quote \" and \\": "line\nand tête 😀", "format": "pt"])
            #expect(try file.uint8s(of: "image") == [0, 1, 2, 3, 4, 255])
            #expect(try file.tensor("b") == Tensor(shape: [2], values: [1.5, -.infinity]))
            #expect(try file.float64s(of: "a \"quoted\" \u{1}name") == [.pi])
            #expect(try file.int64s(of: "labels") == [.min, .max])
            #expect(try file.int64s(of: "counts") == [-7])
            #expect(file.info("empty") == TensorInfo(shape: [0, 4], dtype: .float32))
            #expect(file.info("image") == TensorInfo(shape: [2, 3], dtype: .uint8))
        }
    }

    @Test func determinismOfBytes() throws {
        try withTemporaryFolder { folder in
            try Self.sample().write(to: "\(folder)/1")
            try Self.sample().write(to: "\(folder)/2")
            #expect(try readAll("\(folder)/1") == readAll("\(folder)/2"))
        }
    }

    @Test func tensorsAreAligned() throws {
        try withTemporaryFolder { folder in
            try Self.sample().write(to: "\(folder)/x")
            let file = try SafetensorsFile(path: "\(folder)/x")
            for name in file.names {
                try file.withBytes(of: name) { info, bytes in
                    let address = UInt(bitPattern: bytes.baseAddress)
                    #expect(bytes.isEmpty || address.isMultiple(of: UInt(info.dtype.size)), "\(name)")
                }
            }
        }
    }

    @Test(arguments: ["twice", "__metadata__"])
    func rejectsNamesThatCannotBeTold(name: String) throws {
        try withTemporaryFolder { (folder: String) throws in
            var writer = SafetensorsWriter()
            writer.add(name, shape: [1], [Float(1)])
            writer.add("twice", shape: [1], [Float(1)])
            #expect(throws: ZooError.self) { try writer.write(to: "\(folder)/x") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
        }
    }

    @Test func replacesWholeFilesOnly() throws {
        try withTemporaryFolder { folder in
            let path = "\(folder)/result"
            try AtomicFile.write(to: path) { try $0.write("first".utf8) }
            #expect(try readAll(path) == Array("first".utf8))
            struct Interruption: Error {}
            #expect(throws: Interruption.self) {
                try AtomicFile.write(to: path) { sink in
                    try sink.write("half".utf8)
                    throw Interruption()
                }
            }
            #expect(try readAll(path) == Array("first".utf8))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["result"])
        }
    }

    @Test func keepsLinksAndPermissions() throws {
        try withTemporaryFolder { folder in
            let (path, link) = ("\(folder)/real", "\(folder)/link")
            try AtomicFile.write(to: path) { try $0.write("1".utf8) }
            try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "real")
            try AtomicFile.write(to: link) { try $0.write("2".utf8) }
            #expect(try readAll(path) == Array("2".utf8))
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "real")
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o640)
        }
    }

    @Test func reportsWhatCannotBeWritten() throws {
        let missing = expectDefect(OutputDefect.cannotCreate) {
            try AtomicFile.write(to: "/nowhere/at/all") { _ in }
        }
        #expect(missing?.kind == .cannotCreate)
        #expect(missing?.file == "/nowhere/at/all")
        expectDefect(OutputDefect.cannotCreate) { try AtomicFile.write(to: "/tmp") { _ in } }
        let full = expectDefect(OutputDefect.writeFailed) {
            try AtomicFile.write(to: "/dev/full") { try $0.write([UInt8](repeating: 0, count: 1 << 20)) }
        }
        #expect(full?.kind == .inputOutput)
    }

    @Test func devicesAreWrittenNotReplaced() throws {
        try AtomicFile.write(to: "/dev/null") { try $0.write("x".utf8) }
        let type = try FileManager.default.attributesOfItem(atPath: "/dev/null")[.type] as? FileAttributeType
        #expect(type == .typeCharacterSpecial)
    }
}
