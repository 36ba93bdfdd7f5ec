import TestSupport
import Testing
import ZooCore
import ZooIO

/// Every way in which the pickle stream of a PyTorch file can be wrong, and the file around it.
@Suite struct TorchMalformedTests {
    private typealias P = PickleBytes

    /// A file whose stream, up to the defect, is well formed.
    private static func stream(_ name: String, _ defect: PickleDefect, _ body: [UInt8]) -> Malformed {
        Malformed(name, defect, at: "data.pkl byte", P.file(P.proto + body))
    }

    private static func value(_ name: String, _ defect: PickleDefect, _ value: [UInt8]) -> Malformed {
        stream(name, defect, value + P.stop)
    }

    private static func raw(_ name: String, _ defect: PickleDefect, at location: String, _ bytes: [UInt8]) -> Malformed
    {
        Malformed(name, defect, at: location, P.file(bytes))
    }

    private static let frame: [Malformed] = [
        raw("empty stream", .truncated, at: "byte 0", []),
        raw("protocol opcode only", .truncated, at: "byte 1", [0x80]),
        raw("no protocol", .badProtocol, at: "byte 0", Array("N.".utf8)),
        raw("protocol 0", .badProtocol, at: "byte 0", [0x80, 0] + P.none + P.stop),
        raw("protocol 1", .badProtocol, at: "byte 0", [0x80, 1] + P.none + P.stop),
        raw("protocol 6", .badProtocol, at: "byte 0", [0x80, 6] + P.none + P.stop),
        value("second protocol 255", .badProtocol, [0x80, 255]),
        raw("no stop", .truncated, at: "byte 3", P.proto + P.none),
        raw("cut integer", .truncated, at: "byte 3", P.proto + Array("J\u{1}\u{1}".utf8)),
        raw("cut short integer", .truncated, at: "byte 3", P.proto + Array("M\u{1}".utf8)),
        raw("cut float", .truncated, at: "byte 3", P.proto + Array("G1234567".utf8)),
        raw("cut long", .truncated, at: "byte 4", P.proto + [0x8A, 9, 1]),
        raw("cut long4", .truncated, at: "byte 7", P.proto + [0x8B, 0xFF, 0xFF, 0xFF, 0x7F]),
        raw("cut text", .truncated, at: "byte 7", P.proto + Array("X".utf8) + le(UInt32(9)) + [65]),
        raw("cut bytes", .truncated, at: "byte 4", P.proto + Array("C".utf8) + [9, 65]),
        raw("cut global", .truncated, at: "byte", P.proto + Array("ccollections\nOrdered".utf8)),
        raw("cut frame", .truncated, at: "byte 3", P.proto + [0x95, 1, 0, 0]),
        raw("cut memo index", .truncated, at: "byte 4", P.proto + P.none + Array("q".utf8)),
        stream("bytes after stop", .trailingBytes, P.none + P.stop + [0]),
        stream("two streams", .trailingBytes, P.none + P.stop + P.stream(P.none)),
    ]

    private static let opcodes: [Malformed] =
        [
            ("INST", 0x69), ("OBJ", 0x6F), ("EXT1", 0x82), ("EXT2", 0x83), ("EXT4", 0x84), ("PERSID", 0x50),
            ("GET", 0x67), ("PUT", 0x70), ("INT", 0x49), ("LONG", 0x4C), ("FLOAT", 0x46), ("STRING", 0x53),
            ("UNICODE", 0x56), ("NEXT_BUFFER", 0x97), ("READONLY_BUFFER", 0x98), ("zero", 0), ("255", 255),
        ].map { stream("opcode \($0.0)", .unsupportedOpcode, [$0.1, 1, 1, 1, 1]) }

    private static let limits: [Malformed] = [
        stream("4 000 001 opcodes", .tooManyOpcodes, [UInt8](repeating: 0x29, count: 4_000_001)),
        value(
            "copies of copies", .tooManyOpcodes,
            P.mark + [UInt8](repeating: 0x4E, count: 3000) + P.tuple + Array("q\u{1}0".utf8)
                + (0..<2000).flatMap { _ in P.global("torch", "Size") + Array("h\u{1}".utf8) + [0x85] + P.reduce }),
        value("200 000 nested tuples", .tooDeep, P.none + [UInt8](repeating: 0x85, count: 200_000)),
        value(
            "100 nested lists", .tooDeep,
            [UInt8](repeating: 0x5D, count: 100) + [UInt8](repeating: 0x61, count: 99)),
        value(
            "100 nested dictionaries", .tooDeep,
            (0..<100).flatMap { _ in P.emptyDict + P.none } + P.none + (0..<100).flatMap { _ in P.setItem }),
        stream("65 open marks", .tooDeep, [UInt8](repeating: 0x28, count: 65)),
        value("1 000 001 memo entries", .tooManyMemoEntries, P.none + [UInt8](repeating: 0x94, count: 1_000_001)),
        stream("text of 4 GiB", .stringTooLong, Array("X".utf8) + le(UInt32.max)),
        stream("text of 2^63 bytes", .stringTooLong, [0x8D] + le(UInt64(1) << 63)),
        stream("text of 2^64-1 bytes", .stringTooLong, [0x8D] + le(UInt64.max)),
        stream("bytes of 2^40", .stringTooLong, [0x8E] + le(UInt64(1) << 40)),
        stream("byte array of 2^62", .stringTooLong, [0x96] + le(UInt64(1) << 62)),
        stream("endless module name", .stringTooLong, Array("c".utf8) + [UInt8](repeating: 65, count: 1 << 20 + 1)),
        value("text in Latin-1", .badString, Array("X".utf8) + le(UInt32(1)) + [0xE9]),
        value("surrogate in text", .badString, Array("X".utf8) + le(UInt32(3)) + [0xED, 0xA0, 0x80]),
        value("name in Latin-1", .badString, Array("cos\n".utf8) + [0xE9, 0x0A]),
    ]

    private static let stack: [Malformed] = [
        stream("stop on nothing", .stackUnderflow, P.stop), stream("POP of nothing", .stackUnderflow, P.op("0")),
        stream("DUP of nothing", .stackUnderflow, P.op("2")), stream("TUPLE1 of nothing", .stackUnderflow, [0x85]),
        stream("TUPLE2 of one", .stackUnderflow, P.none + [0x86]),
        stream("TUPLE3 of two", .stackUnderflow, P.none + P.none + [0x87]),
        stream("APPEND of one", .stackUnderflow, P.none + P.append),
        stream("SETITEM of two", .stackUnderflow, P.emptyDict + P.none + P.setItem),
        stream("REDUCE of one", .stackUnderflow, P.emptyTuple + P.reduce),
        stream("NEWOBJ of one", .stackUnderflow, P.emptyTuple + [0x81]),
        stream("NEWOBJ_EX of two", .stackUnderflow, P.emptyTuple + P.emptyTuple + [0x92]),
        stream("BUILD of one", .stackUnderflow, P.none + P.build),
        stream("BINPERSID of nothing", .stackUnderflow, P.persistentID),
        stream("BINPUT of nothing", .stackUnderflow, Array("q\u{1}".utf8)),
        stream("MEMOIZE of nothing", .stackUnderflow, [0x94]),
        stream("STACK_GLOBAL of one", .stackUnderflow, P.text("os") + [0x93]),
        stream("reach below a mark", .stackUnderflow, P.none + P.none + P.mark + [0x86]),
        stream("stop at a mark", .stackUnderflow, P.none + P.mark + P.stop),
        stream("APPENDS to nothing", .stackUnderflow, P.mark + P.none + P.op("e")),
        stream("SETITEMS to nothing", .stackUnderflow, P.mark + P.none + P.none + P.setItems),
        stream("TUPLE without mark", .missingMark, P.none + P.tuple),
        stream("LIST without mark", .missingMark, P.none + P.op("l")),
        stream("DICT without mark", .missingMark, P.none + P.op("d")),
        stream("APPENDS without mark", .missingMark, P.emptyList + P.op("e")),
        stream("SETITEMS without mark", .missingMark, P.emptyDict + P.setItems),
        stream("POP_MARK without mark", .missingMark, P.none + P.op("1")),
        stream("FROZENSET without mark", .missingMark, P.none + [0x91]),
        stream("ADDITEMS without mark", .missingMark, [0x8F, 0x90]),
        stream("BINGET of nothing", .missingMemo, Array("h\u{0}".utf8)),
        stream("LONG_BINGET of nothing", .missingMemo, Array("j".utf8) + le(UInt32.max)),
        value("three items in SETITEMS", .oddItems, P.emptyDict + P.mark + P.none + P.none + P.none + P.setItems),
        value("one item in DICT", .oddItems, P.mark + P.none + P.op("d")),
        value("APPEND to None", .wrongType, P.none + P.none + P.append),
        value("APPEND to a tuple", .wrongType, P.emptyTuple + P.none + P.append),
        value("ADDITEMS to a dictionary", .wrongType, P.emptyDict + P.mark + [0x90]),
        value("SETITEM in a list", .wrongType, P.emptyList + P.none + P.none + P.setItem),
        value("BUILD on an integer", .wrongType, P.integer(1) + P.emptyDict + P.build),
        value("REDUCE of a text", .wrongType, P.text("os.system") + P.emptyTuple + P.reduce),
        value("REDUCE with a list", .wrongType, P.global("torch", "Size") + P.emptyList + P.reduce),
        value("NEWOBJ of None", .wrongType, P.none + P.emptyTuple + [0x81]),
        value("STACK_GLOBAL of integers", .wrongType, P.integer(1) + P.integer(2) + [0x93]),
    ]

    /// The ways to make Python run something that attacks on pickle loaders use.
    private static let refused: [Malformed] =
        [
            ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("builtins", "exec"),
            ("__builtin__", "eval"), ("builtins", "compile"), ("builtins", "getattr"), ("builtins", "__import__"),
            ("builtins", "open"), ("builtins", "print"), ("builtins", "dict.get"), ("subprocess", "Popen"),
            ("subprocess", "check_output"), ("runpy", "_run_code"), ("functools", "partial"),
            ("operator", "attrgetter"), ("operator", "methodcaller"), ("torch", "load"), ("torch.hub", "load"),
            ("torch.jit", "load"), ("torch.serialization", "load"), ("torch._inductor.codecache", "compile_file"),
            ("torch.utils.collect_env", "run"), ("numpy", "load"), ("numpy.testing._private.utils", "runstring"),
            ("importlib", "import_module"), ("pip", "main"), ("webbrowser", "open"), ("socket", "socket"),
            ("shutil", "rmtree"), ("pickle", "loads"), ("marshal", "loads"), ("types", "CodeType"), ("ctypes", "CDLL"),
            ("timeit", "timeit"), ("asyncio.unix_events", "_UnixSubprocessTransport._start"), ("os.path", "join"),
            ("collections", "OrderedDict.update"), ("collections.os", "system"), ("argparse", "open"),
            ("torch._utils", "_rebuild_tensor_v2.__globals__"), ("torch", "FloatStorage"), ("", ""),
        ].map { value("call of \($0.0).\($0.1)", .refusedGlobal, P.call($0.0, $0.1, P.text("id"))) }
        + [
            value(
                "STACK_GLOBAL call", .refusedGlobal, P.text("os") + P.text("system") + [0x93] + P.emptyTuple + P.reduce),
            value("NEWOBJ of a refused class", .refusedGlobal, P.global("subprocess", "Popen") + P.emptyTuple + [0x81]),
            value(
                "NEWOBJ_EX of a refused class", .refusedGlobal,
                P.global("subprocess", "Popen") + P.emptyTuple + P.emptyDict + [0x92]),
            value("BUILD on a refused class", .refusedGlobal, P.global("os", "environ") + P.emptyDict + P.build),
            value("BUILD on a plain class", .refusedGlobal, P.global("argparse", "Namespace") + P.emptyDict + P.build),
            value(
                "refused class through a reconstructor", .refusedGlobal,
                P.call(
                    "copyreg", "_reconstructor", P.global("subprocess", "Popen"), P.global("builtins", "object"), P.none
                )),
            value(
                "call hidden in an argument", .refusedGlobal,
                P.call("argparse", "Namespace", P.call("os", "system", P.text("id")))),
            value(
                "call hidden in a key", .refusedGlobal,
                P.emptyDict + P.call("os", "system", P.text("id")) + P.none + P.setItem),
            value("call thrown away", .refusedGlobal, P.call("os", "system", P.text("id")) + P.op("0") + P.emptyDict),
        ]

    private static let arguments: [Malformed] = [
        value("tensor of nothing", .badArguments, P.call("torch._utils", "_rebuild_tensor_v2")),
        value(
            "tensor without strides", .badArguments,
            P.call("torch._utils", "_rebuild_tensor_v2", P.storage(), P.integer(0), P.integers([6]))),
        value("tensor of a text", .badArguments, P.tensor(P.text("storage"))),
        value(
            "tensor offset text", .badArguments,
            P.call("torch._utils", "_rebuild_tensor_v2", P.storage(), P.text("0"), P.integers([6]), P.integers([1]))),
        value(
            "shape is a list", .badArguments,
            P.call("torch._utils", "_rebuild_tensor_v2", P.storage(), P.integer(0), P.emptyList, P.integers([1]))),
        value(
            "shape of texts", .badArguments,
            P.call(
                "torch._utils", "_rebuild_tensor_v2", P.storage(), P.integer(0), P.text("6") + [0x85], P.integers([1]))),
        value(
            "shape of huge integers", .badArguments,
            P.call(
                "torch._utils", "_rebuild_tensor_v2", P.storage(), P.integer(0),
                [0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x85], P.integers([1]))),
        value("parameter of an integer", .badArguments, P.call("torch._utils", "_rebuild_parameter", P.integer(1))),
        value("parameter of nothing", .badArguments, P.call("torch._utils", "_rebuild_parameter")),
        value(
            "typed tensor by another function", .badArguments,
            P.call("torch._tensor", "_rebuild_from_type_v2", P.global("os", "system"), P.none, P.emptyTuple, P.none)),
        value("typed tensor of nothing", .badArguments, P.call("torch._tensor", "_rebuild_from_type_v2")),
        value("dictionary of an integer", .badArguments, P.call("collections", "OrderedDict", P.integer(1))),
        value(
            "dictionary of single items", .badArguments,
            P.call("collections", "OrderedDict", P.emptyList + P.emptyList + P.append)),
        value("size of an integer", .badArguments, P.call("torch", "Size", P.integer(1))),
        value("size of two", .badArguments, P.call("torch", "Size", P.emptyTuple, P.emptyTuple)),
        value("set of a text", .badArguments, P.call("builtins", "set", P.text("ab"))),
    ]

    private static let storages: [Malformed] = [
        value("storage is a text", .badStorage, P.text("0") + P.persistentID),
        value("storage is an empty tuple", .badStorage, P.emptyTuple + P.persistentID),
        value("storage tag", .badStorage, P.storage(tag: P.text("module"))),
        value("storage class is a text", .badStorage, P.storage(P.text("FloatStorage"))),
        value("storage class is another", .badStorage, P.storage(P.global("os", "system"))),
        value("storage class of another module", .badStorage, P.storage(P.global("numpy", "FloatStorage"))),
        value("storage key is an integer", .badStorage, P.storage(key: P.integer(0))),
        value("storage device is None", .badStorage, P.storage(device: P.none)),
        value("storage count is negative", .badStorage, P.storage(count: P.integer(-1))),
        value("storage count is a text", .badStorage, P.storage(count: P.text("6"))),
        value("storage count is missing", .badStorage, P.storage(count: [])),
        value("storage with a view", .badStorage, P.storage(more: P.none)),
        value("storage of two types", .badStorage, P.storage() + P.storage(P.global("torch", "IntStorage"))),
        value("storage of two sizes", .badStorage, P.storage() + P.storage(count: P.integer(5))),
    ]

    private static let tensors: [Malformed] = [
        value("negative offset", .badTensor, P.tensor(offset: -1)),
        value("negative stride", .badTensor, P.tensor(offset: 5, strides: [-3, -1])),
        value("negative size", .badTensor, P.tensor(shape: [-2, 3])),
        value("two negative sizes", .badTensor, P.tensor(shape: [-2, -3])),
        value("fewer strides than dimensions", .badTensor, P.tensor(strides: [1])),
        value("more strides than dimensions", .badTensor, P.tensor(strides: [6, 3, 1])),
        value(
            "nine dimensions", .badTensor,
            P.tensor(shape: [Int](repeating: 1, count: 9), strides: [Int](repeating: 1, count: 9))),
        value("shape overflow", .badTensor, P.tensor(shape: [1 << 32, 1 << 32], strides: [0, 0])),
        value(
            "shape overflow hidden by zero", .badTensor, P.tensor(shape: [1 << 32, 1 << 32, 0], strides: [0, 0, 0])),
        value("one element beyond", .badTensor, P.tensor(shape: [7], strides: [1])),
        value("offset one beyond", .badTensor, P.tensor(offset: 1)),
        value("offset at the end", .badTensor, P.tensor(offset: 6, shape: [1], strides: [1])),
        value("offset 2^63-1", .badTensor, P.tensor(offset: .max)),
        value("scalar beyond", .badTensor, P.tensor(offset: 6, shape: [], strides: [])),
        value("stride one beyond", .badTensor, P.tensor(shape: [2], strides: [6])),
        value("stride overflow", .badTensor, P.tensor(shape: [3], strides: [.max])),
        value("sum of strides overflow", .badTensor, P.tensor(shape: [2, 2], strides: [.max, .max])),
        value("expanded to terabytes", .badTensor, P.tensor(shape: [1 << 40], strides: [0])),
        value("expanded over the limit", .badTensor, P.tensor(shape: [1 << 20 + 1], strides: [0])),
        value(
            "tensor in an empty storage", .badTensor, P.tensor(P.storage(count: P.integer(0)), shape: [1], strides: [1])
        ),
    ]

    private static let weights = P.dictionary(("w", P.tensor()))

    private static func torch(
        _ name: String, _ defect: TorchDefect, at location: String?, _ value: [UInt8],
        storages: [(String, [UInt8])] = [("0", [UInt8](repeating: 0, count: 24))], more: [(String, [UInt8])] = []
    ) -> Malformed {
        Malformed(name, defect, at: location, P.file(P.stream(value), storages: storages, more: more))
    }

    private static func archive(_ entries: String...) -> [UInt8] {
        ZipImage(entries.map { ZipImage.Entry($0, P.stream(P.emptyDict)) }).bytes
    }

    private static let files: [Malformed] = [
        Malformed("empty archive", TorchDefect.noPickle, at: nil, archive()),
        Malformed("no pickle", TorchDefect.noPickle, at: nil, archive("a/version", "a/data/0")),
        Malformed("pickle at the top", TorchDefect.noPickle, at: nil, archive("data.pkl")),
        Malformed("pickle too deep", TorchDefect.noPickle, at: nil, archive("a/b/data.pkl")),
        Malformed("two pickles", TorchDefect.noPickle, at: nil, archive("a/data.pkl", "b/data.pkl")),
        Malformed("numpy archive", TorchDefect.noPickle, at: nil, archive("arr_0.npy")),
        Malformed("TorchScript", TorchDefect.torchScript, at: nil, archive("a/data.pkl", "a/constants.pkl")),
        torch("big endian", .bigEndian, at: "byteorder", weights, more: [("byteorder", Array("big".utf8))]),
        torch("empty byte order", .bigEndian, at: "byteorder", weights, more: [("byteorder", [])]),
        torch(
            "little endian with newline", .bigEndian, at: "byteorder", weights,
            more: [("byteorder", Array("little\n".utf8))]),
        torch("storage missing", .missingStorage, at: "data/0", weights, storages: []),
        torch("storage under another key", .missingStorage, at: "data/0", weights, storages: [("00", [])]),
        torch(
            "storage key with a path", .missingStorage, at: "data/../0",
            P.dictionary(("w", P.tensor(P.storage(key: P.text("../0")))))),
        torch(
            "storage one byte short", .storageSize, at: "data/0", weights,
            storages: [("0", [UInt8](repeating: 0, count: 23))]),
        torch(
            "storage one byte long", .storageSize, at: "data/0", weights,
            storages: [("0", [UInt8](repeating: 0, count: 25))]),
        torch("storage empty", .storageSize, at: "data/0", weights, storages: [("0", [])]),
        torch(
            "storage of another type", .storageSize, at: "data/0",
            P.dictionary(("w", P.tensor(P.storage(P.global("torch", "DoubleStorage")))))),
        torch(
            "storage of 2^62 elements", .storageSize, at: "data/0",
            P.dictionary(("w", P.tensor(P.storage(count: P.integer(1 << 62)))))),
        torch(
            "unused storage of wrong size", .storageSize, at: "data/1",
            P.dictionary(("w", P.tensor()), ("x", P.storage(key: P.text("1")))),
            storages: [("0", [UInt8](repeating: 0, count: 24)), ("1", [0])]),
        torch("None at the top", .notDictionary, at: nil, P.none),
        torch("list at the top", .notDictionary, at: nil, P.emptyList),
        torch("tensor at the top", .notDictionary, at: nil, P.tensor()),
        torch("object at the top", .notDictionary, at: nil, P.call("argparse", "Namespace")),
        torch("empty dictionary", .noStateDictionary, at: nil, P.emptyDict, storages: []),
        torch("no tensors", .noStateDictionary, at: nil, P.dictionary(("epoch", P.integer(3)))),
        torch("empty model", .noStateDictionary, at: nil, P.dictionary(("model", P.emptyDict))),
        torch("tensors under an unknown key", .noStateDictionary, at: nil, P.dictionary(("net", weights))),
        torch(
            "containers in containers in containers", .noStateDictionary, at: nil,
            (0..<6).reduce(weights) { inner, _ in P.dictionary(("model", inner)) }),
        torch("duplicate tensor", .duplicateTensor, at: "w", P.dictionary(("w", P.tensor()), ("w", P.tensor()))),
        torch(
            "object among the tensors", .opaqueEntry, at: "x",
            P.dictionary(("w", P.tensor()), ("x", P.call("argparse", "Namespace")))),
        torch(
            "class among the tensors", .opaqueEntry, at: "x",
            P.dictionary(("w", P.tensor()), ("x", P.global("os", "system")))),
        torch(
            "complex tensor", .unsupportedType, at: "w",
            P.dictionary(("w", P.tensor(P.storage(P.global("torch", "ComplexFloatStorage")))))),
        torch(
            "untyped storage", .unsupportedType, at: "w",
            P.dictionary(("w", P.tensor(P.storage(P.global("torch.storage", "UntypedStorage")))))),
    ]

    private static let pickles = frame + opcodes + limits + stack + refused + arguments + storages + tensors
    private static let all = pickles + files

    @Test(arguments: all)
    func rejects(file: Malformed) {
        file.expectRefusal { _ = try TorchFile($0) }
    }

    @Test func atLeastAHundredKindsCoverEveryDefect() {
        #expect(Self.all.count >= 100)
        #expect(Set(Self.all.map(\.name)).count == Self.all.count)
        let produced = Set(Self.all.map(\.code))
        for defect in PickleDefect.allCases { #expect(produced.contains(defect.rawValue), "\(defect)") }
        // The wrong key is the user's mistake, not the file's: see CheckpointTests.
        for defect in TorchDefect.allCases where defect != .unknownKey {
            #expect(produced.contains(defect.rawValue), "\(defect)")
        }
    }

    @Test func refusalNamesTheGlobal() {
        let bytes = P.file(P.stream(P.call("os", "system", P.text("id"))))
        let error = expectDefect(PickleDefect.refusedGlobal) {
            _ = try TorchFile(ByteRegion(copying: bytes, name: "x.pth"))
        }
        #expect(error?.problem.contains("os.system") == true)
    }

    @Test func longStreamIsRefusedBeforeItIsRead() {
        var limits = PickleLimits()
        limits.maxBytes = 10
        let bytes = P.file(P.stream(Self.weights))
        expectDefect(PickleDefect.tooManyOpcodes) {
            _ = try TorchFile(ByteRegion(copying: bytes, name: "file"), pickleLimits: limits)
        }
    }

    /// Streams that PyTorch does not write but that mean something harmless.
    @Test func acceptsPlainData() throws {
        let inner = P.call(
            "collections", "OrderedDict",
            P.emptyList + P.mark + P.emptyList + P.mark + P.text("w") + P.tensor() + P.op("e") + P.op("e"))
        let wide = P.tensor(offset: 5, shape: [1, 1], strides: [.max, .max])
        let empty = P.tensor(offset: .max, shape: [0, 3], strides: [.max, .max])
        let typed = P.call(
            "torch._tensor", "_rebuild_from_type_v2", P.global("torch._utils", "_rebuild_tensor_v2"),
            P.global("torch.nn.parameter", "Parameter"),
            P.mark + P.storage() + P.integer(0) + P.integers([2]) + P.integers([2]) + P.tuple,
            P.emptyDict)
        let value = P.dictionary(
            ("state_dict", P.emptyDict), ("model", inner), ("mention", P.global("os", "system")),
            ("copy", P.call("collections", "OrderedDict", P.dictionary(("a", wide)))),
            ("pop", P.none + P.mark + P.op("0")))
        let zeros = [UInt8](repeating: 0, count: 24)
        let file = try TorchFile(ByteRegion(copying: P.file(P.stream(value), storages: [("0", zeros)]), name: "file"))
        #expect(file.container == ["model"])
        #expect(file.names == ["w"])
        let flat = P.dictionary(("wide", wide), ("empty", empty), ("typed", typed))
        let tensors = try TorchFile(ByteRegion(copying: P.file(P.stream(flat)), name: "file"))
        #expect(try tensors.tensor("wide") == Tensor(zeros: [1, 1]))
        #expect(try tensors.tensor("empty") == Tensor(zeros: [0, 3]))
        #expect(try tensors.tensor("typed") == Tensor(zeros: [2]))
    }

    @Test func rejectsDamagedStorage() throws {
        var bytes = try readAll(Fixtures.path("checkpoints/types.pth"))
        let file = try TorchFile(ByteRegion(copying: bytes, name: "file"))
        #expect(try file.tensor("f32").count == 6)
        let values = try file.withBytes(of: "f32") { _, values in Array(values) }
        let position = try #require((0..<bytes.count).first { bytes[$0...].starts(with: values) })
        bytes[position] ^= 1
        let damaged = try TorchFile(ByteRegion(copying: bytes, name: "file"))
        expectDefect(ZipDefect.badChecksum) { _ = try damaged.tensor("f32") }
        #expect(try damaged.tensor("f64").count == 6)
    }

    @Test func rejectsEveryTruncation() throws {
        let whole = try readAll(Fixtures.path("checkpoints/training.pth"))
        for count in truncations(of: whole) {
            let cut = ByteRegion(copying: Array(whole[..<count]), name: "file")
            #expect(throws: ZooError.self, "\(count) bytes") { try TorchFile(cut) }
        }
    }

    /// The pickle stream cut anywhere, inside an archive that is in order.
    @Test func rejectsEveryTruncationOfTheStream() throws {
        let archive = try ZipArchive(ByteRegion(path: Fixtures.path("checkpoints/training.pth")))
        let stream = try archive.withBytes(of: "training/data.pkl") { Array($0) }
        let storages = try archive.entries.filter { $0.name.contains("/data/") }.map { entry in
            (String(entry.name.dropFirst("training/data/".count)), try archive.withBytes(of: entry.name) { Array($0) })
        }
        _ = try TorchFile(ByteRegion(copying: P.file(stream, storages: storages), name: "file"))
        for count in truncations(of: stream) {
            let cut = ByteRegion(copying: P.file(Array(stream[..<count]), storages: storages), name: "file")
            #expect(throws: ZooError.self, "\(count) bytes") { try TorchFile(cut) }
        }
    }

    /// A changed byte must be refused or leave a consistent file; nothing may crash or take long.
    @Test(arguments: ["training.pth", "views.pth"])
    func survivesTenThousandDamagedBytes(file: String) throws {
        let whole = try readAll(Fixtures.path("checkpoints/\(file)"))
        var random = SplitMix(state: 2026)
        for _ in 0..<damagedFiles {
            var damaged = whole
            damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            do {
                let file = try TorchFile(ByteRegion(copying: damaged, name: "file"))
                for name in file.names { _ = try file.float64s(of: name) }
            } catch is ZooError {}
        }
    }

    /// Damage to the stream with a correct checksum, so that it reaches the interpreter.
    @Test func survivesTenThousandDamagedStreams() throws {
        let archive = try ZipArchive(ByteRegion(path: Fixtures.path("checkpoints/views.pth")))
        let stream = try archive.withBytes(of: "views/data.pkl") { Array($0) }
        let storages = try archive.entries.filter { $0.name.contains("/data/") }.map { entry in
            (String(entry.name.dropFirst("views/data/".count)), try archive.withBytes(of: entry.name) { Array($0) })
        }
        var random = SplitMix(state: 7)
        for _ in 0..<damagedFiles {
            var damaged = stream
            damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            do {
                let file = try TorchFile(ByteRegion(copying: P.file(damaged, storages: storages), name: "file"))
                for name in file.names { _ = try file.float64s(of: name) }
            } catch is ZooError {}
        }
    }

    @Test func refusesHostileStreamsFast() {
        let nested = P.file(P.stream(P.none + [UInt8](repeating: 0x85, count: 200_000)))
        let region = ByteRegion(copying: nested, name: "file")
        let time = cpuTime { expectDefect(PickleDefect.tooDeep) { _ = try TorchFile(region) } }
        #expect(time < (isOptimized ? .milliseconds(5) : .seconds(2)))
        let system = ByteRegion(copying: P.file(P.stream(P.call("os", "system", P.text("id")))), name: "file")
        let refusal = cpuTime { expectDefect(PickleDefect.refusedGlobal) { _ = try TorchFile(system) } }
        #expect(refusal < (isOptimized ? .milliseconds(5) : .seconds(2)))
    }
}
