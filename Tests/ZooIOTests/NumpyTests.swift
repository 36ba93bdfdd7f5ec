import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO

@Suite struct NumpyTests {
    /// The elements of an array as numbers.
    private func numbers(_ file: some TensorFile, _ name: String) throws -> [Double] { try file.float64s(of: name) }

    @Test(arguments: ["mini-samples", "mini-ref", "mini-fortran"])
    func fidelityOfStoredDeflatedAndFortranArrays(file: String) throws {
        let golden = try SafetensorsFile(path: Fixtures.path("metrics/mini-npz.case.safetensors"))
        let archive = try NumpyArchive(path: Fixtures.path("metrics/\(file).npz"))
        let expected = [
            "mini-samples": ["arr_0"], "mini-ref": ["arr_0", "mu", "mu_s", "sigma", "sigma_s"],
            "mini-fortran": ["arr_0", "label"],
        ]
        #expect(archive.names == expected[file])
        for name in archive.names where (file, name) != ("mini-ref", "arr_0") && name != "label" {
            #expect(archive.info(name) == golden.info(name), "\(name)")
            #expect(try numbers(archive, name) == numbers(golden, name), "\(name)")
        }
        if file == "mini-fortran" { #expect(try archive.int64s(of: "label") == [0, 1, 2, 3, 4]) }
    }

    @Test func fidelityOfEveryKindOfBlock() throws {
        let archive = try NumpyArchive(path: Fixtures.path("metrics/deflate.npz"))
        func random(_ count: Int, _ byte: (UInt64) -> Int) -> [UInt8] {
            var state: UInt64 = 1
            return (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(byte(state))
            }
        }
        func period(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 * $0 % 251) } }
        #expect(try archive.uint8s(of: "zeros") == [UInt8](repeating: 0, count: 40_000))
        #expect(try archive.uint8s(of: "geometric") == random(20_000) { $0.leadingZeroBitCount })
        #expect(try archive.uint8s(of: "noise") == random(3000) { Int($0 >> 56) })
        #expect(try archive.uint8s(of: "stored") == period(3000))
        #expect(try archive.uint8s(of: "tiny") == [1, 2, 3])
        #expect(try archive.uint8s(of: "period") == period(70_000))
    }

    @Test func writesWhatItReads() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/arrays.npz"
            try NumpyWriter.write(to: path) { writer in
                try writer.add("mu", shape: [3], [1.5, -2, 3])
                try writer.add("arr_0", shape: [2, 1, 2, 3], (0..<12).map { UInt8($0) })
                try writer.add("scalar", shape: [], [Float(7)])
                try writer.add("empty", shape: [0, 4], [Int64]())
                try writer.add("pieces", shape: [4], Int32.self) { write in
                    for value in [Int32(1), 2, 3, 4] { try withUnsafeBytes(of: value) { try write($0) } }
                }
            }
            let archive = try NumpyArchive(path: path)
            #expect(archive.names == ["arr_0", "empty", "mu", "pieces", "scalar"])
            #expect(archive.info("mu") == TensorInfo(shape: [3], dtype: .float64))
            #expect(archive.info("arr_0") == TensorInfo(shape: [2, 1, 2, 3], dtype: .uint8))
            #expect(archive.info("scalar") == TensorInfo(shape: [], dtype: .float32))
            #expect(archive.info("empty") == TensorInfo(shape: [0, 4], dtype: .int64))
            #expect(try numbers(archive, "mu") == [1.5, -2, 3])
            #expect(try numbers(archive, "arr_0") == (0..<12).map(Double.init))
            #expect(try numbers(archive, "scalar") == [7])
            #expect(try numbers(archive, "empty") == [])
            #expect(try archive.int64s(of: "pieces") == [1, 2, 3, 4])
            #expect(throws: ZooError.self) {
                try NumpyWriter.write(to: path) { writer in
                    try writer.add("twice", shape: [1], [1.0])
                    try writer.add("twice", shape: [1], [2.0])
                }
            }
            #expect(try NumpyArchive(path: path).names.count == 5, "a failed writing leaves the file as it was")
        }
    }

    /// An archive with one array, whose header is `dictionary` and whose elements are four bytes.
    private static func archive(
        _ dictionary: String, magic: [UInt8] = [0x93] + Array("NUMPY".utf8), version: [UInt8] = [1, 0],
        length: Int? = nil, name: String = "a.npy"
    ) -> [UInt8] {
        let text = Array(dictionary.utf8)
        let count = length ?? text.count
        let size = version[0] == 1 ? le(UInt16(count)) : le(UInt32(count))
        return ZipImage([ZipImage.Entry(name, magic + version + size + text + [1, 2, 3, 4])]).bytes
    }

    private static func header(_ descr: String = "'|u1'", _ order: String = "False", _ shape: String = "(4,)") -> String
    {
        "{'descr': \(descr), 'fortran_order': \(order), 'shape': \(shape), }\n"
    }

    private static let malformed: [Malformed] =
        [
            Malformed("other entry", NumpyDefect.unknownEntry, at: "a.txt", archive(header(), name: "a.txt")),
            Malformed("no magic", NumpyDefect.badMagic, at: "a.npy", archive(header(), magic: Array("NUMPYX".utf8))),
            Malformed("version 0", NumpyDefect.badVersion, at: "a.npy", archive(header(), version: [0, 0])),
            Malformed("version 4", NumpyDefect.badVersion, at: "a.npy", archive(header(), version: [4, 0])),
            Malformed("header beyond the entry", NumpyDefect.badHeader, at: "a.npy", archive(header(), length: 9000)),
            Malformed(
                "header of 4 GiB", NumpyDefect.badHeader, at: "a.npy",
                archive(header(), version: [2, 0], length: Int(UInt32.max))),
            Malformed("empty entry", NumpyDefect.badHeader, at: "a.npy", ZipImage([.init("a.npy")]).bytes),
            Malformed("object", NumpyDefect.objects, at: "a.npy", archive(header("'|O'"))),
            Malformed("objects of 8 bytes", NumpyDefect.objects, at: "a.npy", archive(header("'|O8'"))),
            Malformed("too large", NumpyDefect.wrongSize, at: "a.npy", archive(header("'|u1'", "False", "(5,)"))),
            Malformed("too small", NumpyDefect.wrongSize, at: "a.npy", archive(header("'|u1'", "False", "(3,)"))),
            Malformed("wider", NumpyDefect.wrongSize, at: "a.npy", archive(header("'<f8'", "False", "(4,)"))),
            Malformed(
                "overflow", NumpyDefect.badShape, at: "a.npy",
                archive(header("'|u1'", "False", "(4294967296, 4294967296, 4294967296)"))),
            Malformed(
                "overflow of bytes", NumpyDefect.badShape, at: "a.npy",
                archive(header("'<f8'", "False", "(4611686018427387904,)"))),
            Malformed(
                "40 dimensions", NumpyDefect.badShape, at: "a.npy",
                archive(header("'|u1'", "False", "(" + String(repeating: "1,", count: 40) + ")"))),
        ]
        + ["'>f4'", "'<c8'", "'<U3'", "'<u4'", "'|V8'", "'<M8[ns]'", "''", "[('x', '<f4')]"].map {
            Malformed("type \($0)", NumpyDefect.unsupportedType, at: "a.npy", archive(header($0)))
        }
        + [
            "", "{", "{}", "[]", "{'descr': '|u1'}", "{'descr': '|u1', 'descr': '|u1'}", "{'other': 1}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (4,)} x", header("'|u1'", "0"), header("|u1"),
            header("'|u1'", "False", "4"), header("'|u1'", "False", "(4"), header("'|u1'", "False", "(-4,)"),
            header("'|u1'", "False", "(4.0,)"), header("'|u1'", "False", "(99999999999999999999,)"),
            "{'descr': __import__('os'), 'fortran_order': False, 'shape': (4,)}",
            "{'" + String(repeating: "x", count: 100) + "': 1}",
        ].map { Malformed("header \($0)", NumpyDefect.badHeader, at: "a.npy", archive($0)) }

    @Test(arguments: malformed)
    func rejects(file: Malformed) {
        file.expectRefusal { _ = try NumpyArchive($0).float64s(of: "a") }
    }

    @Test func readsWhatLiesBesideUnreadableArrays() throws {
        let bytes = Self.archive(Self.header("'|O'"))
        let archive = try NumpyArchive(ByteRegion(copying: bytes, name: "file"))
        #expect(archive.names.isEmpty && archive.info("a") == nil)
    }

    @Test func malformedFilesCoverEveryDefect() {
        let produced = Set(Self.malformed.map(\.code))
        for defect in NumpyDefect.allCases { #expect(produced.contains(defect.rawValue), "\(defect)") }
    }

    @Test func readsVersionsTwoAndThree() throws {
        for version: UInt8 in [2, 3] {
            let bytes = Self.archive(Self.header(), version: [version, 0])
            let archive = try NumpyArchive(ByteRegion(copying: bytes, name: "file"))
            #expect(try archive.uint8s(of: "a") == [1, 2, 3, 4])
        }
    }

    /// Whatever is done to a file, reading it ends in an error or in the right numbers, and nothing else.
    @Test(arguments: ["mini-ref", "mini-samples"])
    func damagedBytesEndInErrors(file: String) throws {
        let golden = try SafetensorsFile(path: Fixtures.path("metrics/mini-npz.case.safetensors"))
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: Fixtures.path("metrics/\(file).npz"))))
        func read(_ bytes: [UInt8]) {
            do {
                let archive = try NumpyArchive(ByteRegion(copying: bytes, name: "file"))
                for name in archive.names where golden.info(name) == archive.info(name) {
                    #expect(try numbers(archive, name) == numbers(golden, name))
                }
            } catch let error as ZooError {
                #expect(error.kind == .badData || error.kind == .limit, "\(error)")
                #expect(error.file == "file")
            } catch {
                Issue.record("threw \(error)")
            }
        }
        for position in bytes.indices {
            for change: UInt8 in [1, 0x80, 0xFF] {
                var damaged = bytes
                damaged[position] ^= change
                read(damaged)
            }
        }
        for count in stride(from: 0, to: bytes.count, by: 3) { read(Array(bytes.prefix(count))) }
    }

    @Test func rejectsCompressedEntriesThatAreTooLarge() throws {
        let region = try ByteRegion(path: Fixtures.path("metrics/deflate.npz"))
        var limits = NumpyArchive.limits
        limits.maxInflatedBytes = 50_000
        let error = expectDefect(ZipDefect.tooLarge) { _ = try NumpyArchive(region, limits: limits) }
        #expect(error?.location == "period.npy" && error?.kind == .limit)
    }

    @Test func rejectsDamagedCompression() throws {
        let path = Fixtures.path("metrics/deflate.npz")
        var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        // The first block of the first entry gets the type that does not exist.
        let start = 30 + "zeros.npy".utf8.count
        bytes[start] |= 6
        let error = expectDefect(ZipDefect.badDeflate) {
            _ = try NumpyArchive(ByteRegion(copying: bytes, name: "file"))
        }
        #expect(error?.file == "file" && error?.location?.contains("zeros.npy") == true)
    }
}
