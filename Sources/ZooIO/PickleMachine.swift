import ZooCore

/// A data-only interpreter of Python's pickle format, protocols 2 to 5, as far as checkpoints use it.
///
/// It builds numbers, strings, containers and tensor views, and executes nothing: see `PickleRole` for what
/// becomes of the classes and functions a stream names. Opcodes of protocol 0, extension registry and
/// out-of-band buffers are refused. The stream must end with its STOP opcode.
struct PickleMachine {
    private typealias Reference = PickleGraph.Reference

    private let limits: PickleLimits
    private var reader: BoundedReader
    private var graph = PickleGraph()
    /// How many levels of containers lie below each node, by node.
    private var depths: [UInt8] = []
    private var stack: [Reference] = []
    /// The stack heights at which unfinished containers begin.
    private var marks: [Int] = []
    private var memo: [UInt32: Reference] = [:]
    private var globalNumbers: [String: Int32] = [:]
    private var storageNumbers: [String: Int32] = [:]
    private var opcodeOffset = 0
    private var copiedItems = 0

    /// Interprets a whole stream.
    ///
    /// - Throws: `PickleDefect` errors that name the byte offset, within the stream, of the opcode concerned.
    static func run(_ bytes: UnsafeRawBufferPointer, limits: PickleLimits = PickleLimits()) throws -> PickleGraph {
        guard bytes.count <= limits.maxBytes else {
            throw PickleDefect.tooManyOpcodes.error(
                "the pickle is too long", expected: "at most \(limits.maxBytes) bytes", found: "\(bytes.count)")
        }
        var machine = PickleMachine(bytes, limits: limits)
        return try machine.run()
    }

    private init(_ bytes: UnsafeRawBufferPointer, limits: PickleLimits) {
        self.limits = limits
        reader = BoundedReader(bytes, truncation: PickleDefect.truncated)
    }

    private mutating func run() throws -> PickleGraph {
        guard try byte() == Opcode.proto else {
            throw defect(.badProtocol, "a pickle of protocol 2 or later begins with PROTO")
        }
        try checkProtocol()
        for _ in 0..<limits.maxOpcodes {
            opcodeOffset = reader.offset
            let opcode = try byte()
            if opcode == Opcode.stop { return try finish() }
            try execute(opcode)
        }
        throw defect(.tooManyOpcodes, "the pickle has too many opcodes", expected: "at most \(limits.maxOpcodes)")
    }

    private mutating func finish() throws -> PickleGraph {
        graph.root = try pop()
        guard reader.remaining == 0 else {
            throw defect(.trailingBytes, "bytes follow the end of the pickle", found: "\(reader.remaining) bytes")
        }
        return graph
    }

    private mutating func execute(_ opcode: UInt8) throws {
        switch opcode {
        case Opcode.proto: try checkProtocol()
        case Opcode.frame: _ = try reader.take(8, "a frame")
        case Opcode.mark: try mark()
        case Opcode.pop: if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
        case Opcode.popMark: _ = try popToMark()
        case Opcode.dup: try push(peek())

        case Opcode.none: push(.none)
        case Opcode.newTrue: push(.bool(true))
        case Opcode.newFalse: push(.bool(false))
        case Opcode.binInt: push(.integer(Int(try reader.integer(Int32.self, "an integer"))))
        case Opcode.binInt1: push(.integer(Int(try byte())))
        case Opcode.binInt2: push(.integer(Int(try reader.integer(UInt16.self, "an integer"))))
        case Opcode.long1: try pushLong(count: Int(try byte()))
        case Opcode.long4: try pushLong(count: length(UInt32.self))
        case Opcode.binFloat:
            push(.float(Double(bitPattern: try reader.integer(UInt64.self, "a float").byteSwapped)))

        case Opcode.shortBinUnicode: try pushString(count: Int(try byte()))
        case Opcode.binUnicode: try pushString(count: length(UInt32.self))
        case Opcode.binUnicode8: try pushString(count: length(UInt64.self))
        case Opcode.shortBinBytes, Opcode.shortBinString: try pushBytes(count: Int(try byte()))
        case Opcode.binBytes, Opcode.binString: try pushBytes(count: length(UInt32.self))
        case Opcode.binBytes8, Opcode.byteArray8: try pushBytes(count: length(UInt64.self))

        case Opcode.emptyTuple: try pushTuple([])
        case Opcode.tuple1: try pushTuple(popLast(1))
        case Opcode.tuple2: try pushTuple(popLast(2))
        case Opcode.tuple3: try pushTuple(popLast(3))
        case Opcode.tuple: try pushTuple(popToMark())
        case Opcode.emptyList: try pushList([])
        case Opcode.list: try pushList(popToMark())
        case Opcode.append: try extend(popLast(1))
        case Opcode.appends: try extend(popToMark())
        case Opcode.emptySet: try pushSet([])
        case Opcode.frozenSet: try pushSet(popToMark())
        case Opcode.addItems: try extend(popToMark())
        case Opcode.emptyDict: pushDictionary()
        case Opcode.dict:
            let items = try popToMark()
            pushDictionary()
            try setItems(items)
        case Opcode.setItem: try setItems(popLast(2))
        case Opcode.setItems: try setItems(popToMark())

        case Opcode.binGet: try recall(UInt32(try byte()))
        case Opcode.longBinGet: try recall(try reader.integer(UInt32.self, "a memo index"))
        case Opcode.binPut: try memoize(UInt32(try byte()))
        case Opcode.longBinPut: try memoize(try reader.integer(UInt32.self, "a memo index"))
        case Opcode.memoize: try memoize(UInt32(truncatingIfNeeded: memo.count))

        case Opcode.global: try pushGlobal(module: line(), name: line())
        case Opcode.stackGlobal: try pushStackGlobal()
        case Opcode.reduce, Opcode.newObject:
            let items = try popLast(2)
            stack.append(try call(items[0], try arguments(items[1])))
        case Opcode.newObjectEx:
            let items = try popLast(3)
            stack.append(try call(items[0], try arguments(items[1])))
        case Opcode.build: try build()
        case Opcode.binPersistentID: try pushStorage()

        default:
            throw defect(
                .unsupportedOpcode, "the pickle uses an opcode that checkpoints do not need", found: "\(opcode)",
                hint: Self.resave)
        }
    }

    /// What to do about files that PyTorch reads and this reader does not.
    static let resave =
        "if you trust the file, save it again with torch.save(torch.load(FILE, weights_only=True), NEW)"

    // Reading and the stack.

    private mutating func byte() throws -> UInt8 { try reader.integer(UInt8.self, "the pickle") }

    private mutating func checkProtocol() throws {
        let version = try byte()
        guard (2...5).contains(version) else {
            throw defect(.badProtocol, "the pickle protocol is not supported", expected: "2 to 5", found: "\(version)")
        }
    }

    private mutating func length<T: FixedWidthInteger>(_: T.Type) throws -> Int {
        let value = try reader.integer(T.self, "a length")
        guard let length = Int(exactly: value) else {
            throw defect(.stringTooLong, "a length is impossibly large", found: "\(value)")
        }
        return length
    }

    /// A line of a GLOBAL opcode, without its newline.
    private mutating func line() throws -> String {
        var characters: [UInt8] = []
        while characters.count <= limits.maxStringBytes {
            let next = try byte()
            if next == UInt8(ascii: "\n") { return try decode(characters) }
            characters.append(next)
        }
        throw defect(.stringTooLong, "a name is too long", expected: "at most \(limits.maxStringBytes) bytes")
    }

    private func decode(_ bytes: some Sequence<UInt8>) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw defect(.badString, "a string is not valid UTF-8")
        }
        return text
    }

    private mutating func push(_ node: PickleGraph.Node, depth: UInt8 = 0) {
        stack.append(create(node, depth: depth))
    }

    private mutating func create(_ node: PickleGraph.Node, depth: UInt8 = 0) -> Reference {
        // The opcode limit keeps the number of nodes far below 2^31.
        let reference = Reference(graph.nodes.count)
        graph.nodes.append(node)
        depths.append(depth)
        return reference
    }

    private mutating func push(_ reference: Reference) throws { stack.append(reference) }

    private func peek() throws -> Reference {
        guard let top = stack.last, stack.count > marks.last ?? 0 else {
            throw defect(.stackUnderflow, "the pickle uses a value that is not there")
        }
        return top
    }

    private mutating func pop() throws -> Reference {
        let top = try peek()
        stack.removeLast()
        return top
    }

    private mutating func popLast(_ count: Int) throws -> [Reference] {
        guard stack.count - (marks.last ?? 0) >= count else {
            throw defect(.stackUnderflow, "the pickle uses a value that is not there")
        }
        let items = Array(stack.suffix(count))
        stack.removeLast(count)
        return items
    }

    private mutating func mark() throws {
        guard marks.count < limits.maxDepth else { throw tooDeep() }
        marks.append(stack.count)
    }

    private mutating func popToMark() throws -> [Reference] {
        guard let height = marks.popLast() else {
            throw defect(.missingMark, "a container ends that never began")
        }
        let items = Array(stack[height...])
        stack.removeLast(items.count)
        return items
    }

    private mutating func recall(_ index: UInt32) throws {
        guard let reference = memo[index] else {
            throw defect(.missingMemo, "the pickle refers to a value it never stored", found: "memo \(index)")
        }
        stack.append(reference)
    }

    private mutating func memoize(_ index: UInt32) throws {
        guard memo.count < limits.maxMemoEntries || memo[index] != nil else {
            throw defect(
                .tooManyMemoEntries, "the pickle stores too many values",
                expected: "at most \(limits.maxMemoEntries)")
        }
        memo[index] = try peek()
    }

    // Plain values.

    private mutating func pushLong(count: Int) throws {
        let range = try reader.take(count, "an integer")
        guard count <= 8 else {
            push(.bigInteger)
            return
        }
        // Little-endian two's complement of as many bytes as needed.
        var value = reader.bytes[range].last.map { $0 >= 0x80 ? -1 : 0 } ?? 0
        for byte in reader.bytes[range].reversed() { value = value << 8 | Int(byte) }
        push(.integer(value))
    }

    private mutating func pushString(count: Int) throws {
        let text = try decode(UnsafeRawBufferPointer(rebasing: reader.bytes[try stringRange(count)]))
        push(.string(Int32(graph.strings.count)))
        graph.strings.append(text)
    }

    private mutating func pushBytes(count: Int) throws {
        push(.bytes(count: try stringRange(count).count))
    }

    private mutating func stringRange(_ count: Int) throws -> Range<Int> {
        guard count <= limits.maxStringBytes else {
            throw defect(
                .stringTooLong, "a string is too long", expected: "at most \(limits.maxStringBytes) bytes",
                found: "\(count)")
        }
        return try reader.take(count, "a string")
    }

    // Containers.

    private mutating func sequence(_ items: [Reference]) throws -> (number: Int32, depth: UInt8) {
        let depth = try depth(above: items)
        graph.sequences.append(items)
        return (Int32(graph.sequences.count - 1), depth)
    }

    private mutating func pushTuple(_ items: [Reference]) throws {
        let (number, depth) = try sequence(items)
        push(.tuple(number), depth: depth)
    }

    private mutating func pushList(_ items: [Reference]) throws {
        let (number, depth) = try sequence(items)
        push(.list(number), depth: depth)
    }

    private mutating func pushSet(_ items: [Reference]) throws {
        let (number, depth) = try sequence(items)
        push(.set(number), depth: depth)
    }

    private mutating func pushDictionary() {
        push(.dictionary(Int32(graph.dictionaries.count)), depth: 1)
        graph.dictionaries.append([])
    }

    /// Appends to the list or set on top of the stack; a placeholder swallows the items.
    private mutating func extend(_ items: [Reference]) throws {
        let target = try peek()
        switch graph.node(target) {
        case .list(let number), .set(let number):
            try deepen(target, items)
            graph.sequences[Int(number)].append(contentsOf: items)
        case .object: break
        default: throw defect(.wrongType, "items are added to something that is not a list or set")
        }
    }

    /// Adds key-value pairs to the dictionary on top of the stack; a placeholder swallows them.
    private mutating func setItems(_ items: [Reference]) throws {
        guard items.count.isMultiple(of: 2) else {
            throw defect(.oddItems, "a dictionary item has a key and no value")
        }
        let target = try peek()
        switch graph.node(target) {
        case .dictionary(let number):
            try deepen(target, items)
            for index in stride(from: 0, to: items.count, by: 2) {
                graph.dictionaries[Int(number)].append((items[index], items[index + 1]))
            }
        case .object: break
        default: throw defect(.wrongType, "items are set in something that is not a dictionary")
        }
    }

    private func depth(above items: [Reference]) throws -> UInt8 {
        let deepest = items.reduce(0) { max($0, depths[Int($1)]) }
        guard Int(deepest) < limits.maxDepth else { throw tooDeep() }
        return deepest + 1
    }

    private mutating func deepen(_ target: Reference, _ items: [Reference]) throws {
        depths[Int(target)] = max(depths[Int(target)], try depth(above: items))
    }

    private func tooDeep() -> ZooError {
        defect(.tooDeep, "the pickle is nested too deeply", expected: "at most \(limits.maxDepth) levels")
    }

    // Classes and functions.

    private mutating func pushGlobal(module: String, name: String) throws {
        let full = "\(module).\(name)"
        let number = globalNumbers[full] ?? Int32(graph.globals.count)
        if globalNumbers.updateValue(number, forKey: full) == nil {
            graph.globals.append(.init(name: full, role: PickleRole(module: module, name: name)))
        }
        push(.global(number))
    }

    private mutating func pushStackGlobal() throws {
        let items = try popLast(2)
        guard let module = graph.string(items[0]), let name = graph.string(items[1]) else {
            throw defect(.wrongType, "the name of a class or function is not a string")
        }
        try pushGlobal(module: module, name: name)
    }

    private func arguments(_ reference: Reference) throws -> [Reference] {
        guard let items = graph.tuple(reference) else {
            throw defect(.wrongType, "the arguments of a call are not a tuple")
        }
        return items
    }

    /// Re-enacts `callable(*arguments)` on data.
    private mutating func call(_ callable: Reference, _ arguments: [Reference]) throws -> Reference {
        guard case .global(let number) = graph.node(callable) else {
            throw defect(.wrongType, "something is called that is not a function", found: graph.summary(callable))
        }
        let global = graph.globals[Int(number)]
        switch global.role {
        case .rebuildTensor: return try rebuildTensor(arguments, global.name)
        case .rebuildParameter:
            guard let first = arguments.first, isTensorLike(first) else {
                throw badArguments(global.name, expected: "a tensor first")
            }
            return first
        case .rebuildFromType:
            guard arguments.count == 4, let inner = graph.tuple(arguments[2]),
                case .global(let function) = graph.node(arguments[0]),
                [.rebuildTensor, .rebuildParameter].contains(graph.globals[Int(function)].role)
            else { throw badArguments(global.name, expected: "a tensor function and its arguments") }
            return try call(arguments[0], inner)
        case .dictionary: return try makeDictionary(arguments, global.name)
        case .tuple, .list, .set: return try makeSequence(arguments, global)
        case .inert:
            try checkInert(arguments)
            return create(.object(number))
        case .storage, .refused: throw refused(global.name)
        }
    }

    /// `copyreg._reconstructor(class, …)` and its like construct the class they are given.
    private func checkInert(_ arguments: [Reference]) throws {
        for case .global(let number) in arguments.map(graph.node) {
            let global = graph.globals[Int(number)]
            guard global.role != .refused else { throw refused(global.name) }
        }
    }

    private func refused(_ name: String) -> ZooError {
        defect(
            .refusedGlobal, "the file wants to call \(name), which is not a class of plain data",
            hint: "do not load the file with other tools unless you trust it")
    }

    /// `OrderedDict()`, `OrderedDict([[key, value], …])`, `defaultdict(factory, …)`.
    private mutating func makeDictionary(_ arguments: [Reference], _ name: String) throws -> Reference {
        var items: [(key: Reference, value: Reference)] = []
        switch arguments.last.map(graph.node) {
        case .dictionary(let number): items = graph.dictionaries[Int(number)]
        case .list(let number):
            items = try graph.sequences[Int(number)].map { pair in
                guard case .list(let fields) = graph.node(pair), graph.sequences[Int(fields)].count == 2 else {
                    throw badArguments(name, expected: "pairs of key and value")
                }
                return (graph.sequences[Int(fields)][0], graph.sequences[Int(fields)][1])
            }
        case .global, .some(.none), nil: break
        default: throw badArguments(name, expected: "nothing, a dictionary or a list of pairs")
        }
        try chargeCopy(items.count)
        let level = try arguments.last.map { try depth(above: [$0]) } ?? 1
        graph.dictionaries.append(items)
        return create(.dictionary(Int32(graph.dictionaries.count - 1)), depth: level)
    }

    private mutating func makeSequence(_ arguments: [Reference], _ global: PickleGraph.Global) throws -> Reference {
        guard arguments.count <= 1 else { throw badArguments(global.name, expected: "at most one argument") }
        var items: [Reference] = []
        switch arguments.first.map(graph.node) {
        case .tuple(let number), .list(let number), .set(let number): items = graph.sequences[Int(number)]
        case nil: break
        default: throw badArguments(global.name, expected: "a tuple, list or set")
        }
        try chargeCopy(items.count)
        let (number, depth) = try sequence(items)
        switch global.role {
        case .list: return create(.list(number), depth: depth)
        case .set: return create(.set(number), depth: depth)
        default: return create(.tuple(number), depth: depth)
        }
    }

    /// BUILD gives an instance its attributes, which are of no interest: neither those of a placeholder nor the
    /// `_metadata` of a state dictionary.
    private mutating func build() throws {
        _ = try pop()
        let target = try peek()
        switch graph.node(target) {
        case .object, .dictionary, .tensor: break
        case .global(let number): throw refused(graph.globals[Int(number)].name)
        default: throw defect(.wrongType, "attributes are set on plain data", found: graph.summary(target))
        }
    }

    // Tensors.

    /// A persistent id is the tuple ('storage', class, key, device, number of elements).
    private mutating func pushStorage() throws {
        let id = try pop()
        guard let fields = graph.tuple(id), fields.count == 5, graph.string(fields[0]) == "storage",
            case .global(let number) = graph.node(fields[1]),
            case .storage(let dtype) = graph.globals[Int(number)].role,
            let key = graph.string(fields[2]), graph.string(fields[3]) != nil,
            let count = graph.integer(fields[4]), count >= 0
        else {
            throw defect(
                .badStorage, "a storage is not described by its type, key, device and size", found: graph.summary(id))
        }
        let typeName = String(graph.globals[Int(number)].name.split(separator: ".").last ?? "")
        let storage = PickleGraph.Storage(key: key, typeName: typeName, dtype: dtype, count: count)
        if let known = storageNumbers[key] {
            guard graph.storages[Int(known)] == storage else {
                throw defect(
                    .badStorage, "storage \(key) is described twice, differently",
                    expected: "\(graph.storages[Int(known)].typeName) of \(graph.storages[Int(known)].count)",
                    found: "\(typeName) of \(count)")
            }
            push(.storage(known))
            return
        }
        storageNumbers[key] = Int32(graph.storages.count)
        push(.storage(Int32(graph.storages.count)))
        graph.storages.append(storage)
    }

    private func isTensorLike(_ reference: Reference) -> Bool {
        if case .tensor = graph.node(reference) { true } else { false }
    }

    private mutating func rebuildTensor(_ arguments: [Reference], _ name: String) throws -> Reference {
        guard arguments.count >= 4, case .storage(let number) = graph.node(arguments[0]),
            let offset = graph.integer(arguments[1]), let shape = integers(arguments[2]),
            let strides = integers(arguments[3])
        else { throw badArguments(name, expected: "storage, offset, shape and strides") }
        let storage = graph.storages[Int(number)]
        let view = PickleGraph.TensorView(storage: Int(number), offset: offset, shape: shape, strides: strides)
        try check(view, in: storage)
        graph.tensors.append(view)
        return create(.tensor(Int32(graph.tensors.count - 1)))
    }

    private func integers(_ reference: Reference) -> [Int]? {
        guard let items = graph.tuple(reference) else { return nil }
        let values = items.compactMap(graph.integer)
        return values.count == items.count ? values : nil
    }

    /// Every element of the view must lie inside its storage.
    private func check(_ view: PickleGraph.TensorView, in storage: PickleGraph.Storage) throws {
        func bad(_ problem: String, expected: String? = nil, found: String? = nil) -> ZooError {
            defect(.badTensor, "a tensor in storage \(storage.key) \(problem)", expected: expected, found: found)
        }
        guard view.shape.count == view.strides.count, view.shape.count <= limits.maxDimensions else {
            throw bad(
                "has an impossible shape", expected: "as many strides as dimensions, at most \(limits.maxDimensions)",
                found: "\(view.shape.count) dimensions, \(view.strides.count) strides")
        }
        guard view.offset >= 0, view.strides.allSatisfy({ $0 >= 0 }), let count = checkedProduct(view.shape) else {
            throw bad(
                "has an impossible extent", found: "offset \(view.offset), shape \(view.shape), strides \(view.strides)"
            )
        }
        guard count > 0 else { return }
        var last: Int? = view.offset
        for (size, stride) in zip(view.shape, view.strides) {
            last = last.flatMap { checkedMultiplyAdd($0, size - 1, stride) }
        }
        guard let last, last < storage.count else {
            throw bad(
                "reaches beyond it", expected: "at least \(last.map { "\($0 + 1)" } ?? "2^63") elements",
                found: "\(storage.count)")
        }
        guard count <= max(storage.count, limits.maxExpandedElements) else {
            throw bad(
                "repeats its elements too often", expected: "at most \(max(storage.count, limits.maxExpandedElements))",
                found: "\(count)")
        }
    }

    /// Counts items that are stored again, so that copies of copies stay as bounded as what opcodes push.
    private mutating func chargeCopy(_ count: Int) throws {
        copiedItems += count
        guard copiedItems <= limits.maxOpcodes else {
            throw defect(.tooManyOpcodes, "the pickle copies too much", expected: "at most \(limits.maxOpcodes) items")
        }
    }

    private func badArguments(_ name: String, expected: String) -> ZooError {
        defect(.badArguments, "\(name) is called with unsuitable arguments", expected: expected)
    }

    private func defect(
        _ defect: PickleDefect, _ problem: String, expected: String? = nil, found: String? = nil, hint: String? = nil
    ) -> ZooError {
        defect.error(
            problem, at: "data.pkl \(byteLocation(opcodeOffset))", expected: expected, found: found, hint: hint)
    }
}

/// The opcodes that are understood, by their names in Python's `pickletools`.
private enum Opcode {
    static let mark = UInt8(ascii: "(")
    static let stop = UInt8(ascii: ".")
    static let pop = UInt8(ascii: "0")
    static let popMark = UInt8(ascii: "1")
    static let dup = UInt8(ascii: "2")
    static let binInt = UInt8(ascii: "J")
    static let binInt1 = UInt8(ascii: "K")
    static let binInt2 = UInt8(ascii: "M")
    static let none = UInt8(ascii: "N")
    static let binPersistentID = UInt8(ascii: "Q")
    static let reduce = UInt8(ascii: "R")
    static let binString = UInt8(ascii: "T")
    static let shortBinString = UInt8(ascii: "U")
    static let binUnicode = UInt8(ascii: "X")
    static let append = UInt8(ascii: "a")
    static let build = UInt8(ascii: "b")
    static let global = UInt8(ascii: "c")
    static let dict = UInt8(ascii: "d")
    static let emptyDict = UInt8(ascii: "}")
    static let appends = UInt8(ascii: "e")
    static let binGet = UInt8(ascii: "h")
    static let longBinGet = UInt8(ascii: "j")
    static let list = UInt8(ascii: "l")
    static let emptyList = UInt8(ascii: "]")
    static let binPut = UInt8(ascii: "q")
    static let longBinPut = UInt8(ascii: "r")
    static let setItem = UInt8(ascii: "s")
    static let tuple = UInt8(ascii: "t")
    static let emptyTuple = UInt8(ascii: ")")
    static let setItems = UInt8(ascii: "u")
    static let binFloat = UInt8(ascii: "G")
    static let binBytes = UInt8(ascii: "B")
    static let shortBinBytes = UInt8(ascii: "C")
    static let proto: UInt8 = 0x80
    static let newObject: UInt8 = 0x81
    static let tuple1: UInt8 = 0x85
    static let tuple2: UInt8 = 0x86
    static let tuple3: UInt8 = 0x87
    static let newTrue: UInt8 = 0x88
    static let newFalse: UInt8 = 0x89
    static let long1: UInt8 = 0x8A
    static let long4: UInt8 = 0x8B
    static let shortBinUnicode: UInt8 = 0x8C
    static let binUnicode8: UInt8 = 0x8D
    static let binBytes8: UInt8 = 0x8E
    static let emptySet: UInt8 = 0x8F
    static let addItems: UInt8 = 0x90
    static let frozenSet: UInt8 = 0x91
    static let newObjectEx: UInt8 = 0x92
    static let stackGlobal: UInt8 = 0x93
    static let memoize: UInt8 = 0x94
    static let frame: UInt8 = 0x95
    static let byteArray8: UInt8 = 0x96
}
