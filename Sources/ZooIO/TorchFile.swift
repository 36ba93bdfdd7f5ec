import ZooCore

/// What can be wrong with a PyTorch checkpoint whose zip and pickle layers are well formed.
public enum TorchDefect: String, ParserDefect {
    case noPickle = "torch.no-pickle"
    case torchScript = "torch.torch-script"
    case bigEndian = "torch.big-endian"
    case missingStorage = "torch.missing-storage"
    case storageSize = "torch.storage-size"
    case notDictionary = "torch.not-dictionary"
    case unknownKey = "torch.unknown-key"
    case noStateDictionary = "torch.no-state-dictionary"
    case duplicateTensor = "torch.duplicate-tensor"
    case opaqueEntry = "torch.opaque-entry"
    case unsupportedType = "torch.unsupported-type"
}

/// Something in a checkpoint that is not one of the chosen tensors, told to people by `zoo inspect`.
public struct CheckpointEntry: Sendable, Equatable {
    /// The key, with the keys of enclosing dictionaries before it: `model/epoch`.
    public let name: String
    /// A few words about the value: `int 79`, `dict of 3`, `argparse.Namespace (not read)`.
    public let summary: String
}

/// A PyTorch checkpoint: the zip format of `torch.save` since version 1.6, read as data.
///
/// Nothing in the file is executed. Entries beside the weights (optimizer state, `argparse.Namespace`, numpy
/// scalars) are passed over as inert placeholders; a file that wants to call anything which is not a plain data
/// class is refused with the name of what it wants to call, see `PickleRole`.
///
/// The state dictionary is looked for under the keys of `containerKeys`, in that order, level by level, else the
/// top level is one itself.
public struct TorchFile: TensorFile {
    /// Keys under which training scripts store state dictionaries, in order of preference.
    /// `state_dict_ema` and DiT's `ema` stand beside raw weights in training checkpoints and are what published numbers
    /// were measured with; of `model` and `model_ema` either may be.
    public static let containerKeys = ["state_dict_ema", "state_dict", "ema", "model", "model_ema", "module"]

    public let name: String
    public let names: [String]
    /// The keys that led to the state dictionary, outermost first.
    public let container: [String]
    /// What lies beside the tensors of the state dictionary, in the file's order.
    public let otherEntries: [CheckpointEntry]

    private struct Record: Sendable {
        let info: TensorInfo
        let view: PickleGraph.TensorView
        let entry: ZipEntry
    }

    private let archive: ZipArchive
    private let records: [String: Record]

    /// - Parameters:
    ///   - key: the top-level key of the wanted state dictionary; `nil` chooses by `containerKeys`.
    /// - Throws: `ZipDefect`, `PickleDefect` and `TorchDefect` errors.
    public init(
        _ region: ByteRegion, key: String? = nil, zipLimits: ZipLimits = ZipLimits(),
        pickleLimits: PickleLimits = PickleLimits()
    ) throws {
        let archive = try ZipArchive(region, limits: zipLimits)
        self.archive = archive
        name = region.name
        let contents = try naming(region.name) {
            let folder = try Self.folder(archive)
            try Self.checkByteOrder(archive, folder)
            let graph = try archive.withBytes(of: "\(folder)/data.pkl") {
                try PickleMachine.run($0, limits: pickleLimits)
            }
            let entries = try graph.storages.map { try Self.storageEntry($0, archive, folder) }
            var search = StateDictionarySearch(graph: graph)
            let dictionary = try search.find(key: key)
            let (records, skipped) = try Self.collect(dictionary, search.container, graph, entries)
            return (records, search.container, search.passed + skipped)
        }
        (records, container, otherEntries) = contents
        names = records.keys.sorted()
    }

    public func info(_ tensor: String) -> TensorInfo? { records[tensor]?.info }

    public func withBytes<R>(of tensor: String, _ body: (TensorInfo, UnsafeRawBufferPointer) throws -> R) throws -> R {
        guard let record = records[tensor] else { throw missing(tensor) }
        defer { archive.release(record.entry) }
        return try archive.withBytes(of: record.entry.name) { storage in
            let elementSize = record.info.dtype.size
            if record.view.isContiguous {
                let start = record.info.count == 0 ? 0 : record.view.offset * elementSize
                let bytes = UnsafeRawBufferPointer(rebasing: storage[start..<(start + record.info.count * elementSize)])
                return try body(record.info, bytes)
            }
            let gathered = record.view.gather(storage, elementSize: elementSize)
            return try gathered.withUnsafeBytes { try body(record.info, $0) }
        }
    }

    /// The one folder that all entries share, known by its `data.pkl`.
    private static func folder(_ archive: ZipArchive) throws -> String {
        let suffix = "/data.pkl"
        let pickles = archive.entries.filter { $0.name.hasSuffix(suffix) && $0.name.split(separator: "/").count == 2 }
        guard pickles.count == 1, let pickle = pickles.first else {
            throw TorchDefect.noPickle.error(
                "the archive is not a PyTorch checkpoint", expected: "one FOLDER/data.pkl",
                found: "\(pickles.count) of them")
        }
        let folder = String(pickle.name.dropLast(suffix.count))
        guard archive.entry(named: "\(folder)/constants.pkl") == nil else {
            throw TorchDefect.torchScript.error(
                "the file is a TorchScript program, not a checkpoint",
                hint: "save the weights alone with torch.save(torch.jit.load(FILE).state_dict(), NEW)")
        }
        return folder
    }

    private static func checkByteOrder(_ archive: ZipArchive, _ folder: String) throws {
        let entry = "\(folder)/byteorder"
        guard archive.entry(named: entry) != nil else { return }
        let order = try archive.withBytes(of: entry) { String(decoding: $0.prefix(16), as: UTF8.self) }
        guard order == "little" else {
            throw TorchDefect.bigEndian.error(
                "the checkpoint has another byte order", at: entry, expected: "little", found: order)
        }
    }

    /// The archive entry of a storage, which must have exactly the promised size.
    private static func storageEntry(
        _ storage: PickleGraph.Storage, _ archive: ZipArchive, _ folder: String
    ) throws -> ZipEntry {
        let name = "\(folder)/data/\(storage.key)"
        guard let entry = archive.entry(named: name) else {
            throw TorchDefect.missingStorage.error("the archive lacks a tensor's storage", at: name)
        }
        guard let dtype = storage.dtype else { return entry }
        guard let bytes = checkedProduct([storage.count, dtype.size]), bytes == entry.range.count else {
            throw TorchDefect.storageSize.error(
                "the storage's size does not fit its entry", at: name,
                expected: "\(storage.count) elements of \(dtype.size) bytes", found: "\(entry.range.count) bytes")
        }
        return entry
    }

    /// Sorts a state dictionary into tensors and the rest.
    private static func collect(
        _ dictionary: [(key: PickleGraph.Reference, value: PickleGraph.Reference)], _ container: [String],
        _ graph: PickleGraph, _ entries: [ZipEntry]
    ) throws -> ([String: Record], [CheckpointEntry]) {
        var records: [String: Record] = [:]
        var skipped: [CheckpointEntry] = []
        for (keyReference, value) in dictionary {
            let key = graph.string(keyReference) ?? graph.summary(keyReference)
            switch graph.node(value) {
            case .tensor(let number):
                let view = graph.tensors[Int(number)]
                let storage = graph.storages[view.storage]
                guard let dtype = storage.dtype else {
                    throw TorchDefect.unsupportedType.error(
                        "the element type is not supported", at: key, found: storage.typeName)
                }
                let record = Record(
                    info: TensorInfo(shape: view.shape, dtype: dtype), view: view, entry: entries[view.storage])
                guard records.updateValue(record, forKey: key) == nil else {
                    throw TorchDefect.duplicateTensor.error("a name occurs twice in the state dictionary", at: key)
                }
            case .object(let number), .global(let number):
                throw TorchDefect.opaqueEntry.error(
                    "the state dictionary holds something that is not a tensor", at: key,
                    found: graph.globals[Int(number)].name, hint: PickleMachine.resave)
            default:
                skipped.append(
                    CheckpointEntry(name: (container + [key]).joined(separator: "/"), summary: graph.summary(value)))
            }
        }
        return (records, skipped)
    }
}

/// Looks for the state dictionary among the containers of a checkpoint.
private struct StateDictionarySearch {
    typealias Items = [(key: PickleGraph.Reference, value: PickleGraph.Reference)]

    /// What is of interest about one dictionary, found in one pass: a hostile file may refer to a large one often.
    private struct Outline {
        var hasTensors = false
        /// The dictionaries inside, by number. A key given twice counts as Python counts it, the last time.
        var children: [String: Int32] = [:]
    }

    /// Containers within containers that are followed.
    private static let maxLevels = 4

    private let graph: PickleGraph
    private var outlines: [Int32: Outline] = [:]
    private(set) var container: [String] = []
    /// What was passed over on the way.
    private(set) var passed: [CheckpointEntry] = []

    init(graph: PickleGraph) { self.graph = graph }

    mutating func find(key: String?) throws -> Items {
        guard case .dictionary(var number) = graph.node(graph.root) else {
            throw TorchDefect.notDictionary.error(
                "the checkpoint is not a dictionary", found: graph.summary(graph.root))
        }
        if let key {
            guard let chosen = outline(number).children[key] else {
                throw TorchDefect.unknownKey.error(
                    "the checkpoint has no state dictionary under this key", at: key,
                    expected: dictionaryKeys(number), kind: .usage)
            }
            enter(key, of: number)
            number = chosen
        }
        while container.count < Self.maxLevels, let (key, chosen) = containerWithTensors(in: number) {
            enter(key, of: number)
            number = chosen
        }
        guard outline(number).hasTensors else {
            throw TorchDefect.noStateDictionary.error(
                "the checkpoint holds no tensors where they are looked for",
                at: container.isEmpty ? nil : container.joined(separator: "/"),
                expected: "a dictionary of tensors, alone or under " + TorchFile.containerKeys.joined(separator: ", "),
                found: dictionaryKeys(number), hint: "--weights-key chooses another dictionary")
        }
        return graph.dictionaries[Int(number)]
    }

    private mutating func enter(_ key: String, of number: Int32) {
        for (other, value) in graph.dictionaries[Int(number)] where graph.string(other) != key {
            let name = graph.string(other) ?? graph.summary(other)
            passed.append(
                CheckpointEntry(name: (container + [name]).joined(separator: "/"), summary: graph.summary(value)))
        }
        container.append(key)
    }

    private mutating func outline(_ number: Int32) -> Outline {
        if let known = outlines[number] { return known }
        var outline = Outline()
        for (key, value) in graph.dictionaries[Int(number)] {
            switch graph.node(value) {
            case .tensor: outline.hasTensors = true
            case .dictionary(let child):
                if let key = graph.string(key) { outline.children[key] = child }
            default: break
            }
        }
        outlines[number] = outline
        return outline
    }

    /// The preferred container that has tensors, or a container of tensors, in it.
    private mutating func containerWithTensors(in number: Int32) -> (key: String, number: Int32)? {
        let children = outline(number).children
        for key in TorchFile.containerKeys {
            if let child = children[key], holdsTensors(child, levels: Self.maxLevels) { return (key, child) }
        }
        return nil
    }

    private mutating func holdsTensors(_ number: Int32, levels: Int) -> Bool {
        guard levels > 0 else { return false }
        let outline = outline(number)
        if outline.hasTensors { return true }
        for key in TorchFile.containerKeys {
            if let child = outline.children[key], holdsTensors(child, levels: levels - 1) { return true }
        }
        return false
    }

    private mutating func dictionaryKeys(_ number: Int32) -> String {
        let keys = outline(number).children.keys.sorted()
        return keys.isEmpty ? "no dictionaries" : keys.prefix(20).joined(separator: ", ")
    }
}

extension PickleGraph.TensorView {
    /// Whether the elements lie one after another in row-major order.
    var isContiguous: Bool {
        guard !shape.contains(0) else { return true }
        var expected = 1
        for (size, stride) in zip(shape, strides).reversed() where size != 1 {
            guard stride == expected else { return false }
            expected *= size
        }
        return true
    }

    /// The elements in row-major order, copied out of a storage in which every index has been checked to lie.
    func gather(_ storage: UnsafeRawBufferPointer, elementSize: Int) -> [UInt8] {
        let count = shape.reduce(1, *)
        // The stride of a single element is never stepped over, so it may be any number: it must not be added.
        let strides = zip(shape, strides).map { $0 == 1 ? 0 : $1 }
        return [UInt8](unsafeUninitializedCapacity: count * elementSize) { buffer, initialized in
            var index = [Int](repeating: 0, count: shape.count)
            var source = offset
            for position in 0..<count {
                let element = storage[(source * elementSize)..<((source + 1) * elementSize)]
                UnsafeMutableRawBufferPointer(buffer).baseAddress.map { base in
                    UnsafeMutableRawBufferPointer(start: base + position * elementSize, count: elementSize)
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: element))
                }
                // Advance like an odometer, last dimension first.
                for dimension in shape.indices.reversed() {
                    index[dimension] += 1
                    source += strides[dimension]
                    if index[dimension] < shape[dimension] { break }
                    source -= index[dimension] * strides[dimension]
                    index[dimension] = 0
                }
            }
            initialized = count * elementSize
        }
    }
}
