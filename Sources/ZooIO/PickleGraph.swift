import ZooCore

/// What can be wrong with a pickle stream.
public enum PickleDefect: String, ParserDefect {
    case truncated = "pickle.truncated"
    case badProtocol = "pickle.bad-protocol"
    case unsupportedOpcode = "pickle.unsupported-opcode"
    case tooManyOpcodes = "pickle.too-many-opcodes"
    case tooDeep = "pickle.too-deep"
    case tooManyMemoEntries = "pickle.too-many-memo-entries"
    case stringTooLong = "pickle.string-too-long"
    case badString = "pickle.bad-string"
    case stackUnderflow = "pickle.stack-underflow"
    case missingMark = "pickle.missing-mark"
    case missingMemo = "pickle.missing-memo"
    case oddItems = "pickle.odd-items"
    case wrongType = "pickle.wrong-type"
    case refusedGlobal = "pickle.refused-global"
    case badArguments = "pickle.bad-arguments"
    case badStorage = "pickle.bad-storage"
    case badTensor = "pickle.bad-tensor"
    case trailingBytes = "pickle.trailing-bytes"
}

/// What a pickle stream may claim before it is refused.
public struct PickleLimits: Sendable {
    public var maxBytes = 64 << 20
    public var maxOpcodes = 4_000_000
    /// Levels of nested tuples, lists and dictionaries, and of unfinished ones.
    public var maxDepth = 64
    public var maxMemoEntries = 1_000_000
    /// The longest string, in bytes.
    public var maxStringBytes = 1 << 20
    public var maxDimensions = 8
    /// A tensor whose strides repeat elements may be larger than its storage up to this many elements.
    public var maxExpandedElements = 1 << 20

    public init() {}
}

/// The data that a pickle stream describes: a flat table of nodes that refer to each other by number.
///
/// Numbers instead of references keep hostile nesting and cycles harmless: nothing here is walked or freed by
/// recursion.
struct PickleGraph: Sendable {
    /// The number of a node.
    typealias Reference = Int32

    enum Node: Sendable {
        case none
        case bool(Bool)
        case integer(Int)
        /// An integer of more than 64 bits; its value is not kept.
        case bigInteger
        case float(Double)
        case string(Int32)
        case bytes(count: Int)
        case tuple(Int32)
        case list(Int32)
        case dictionary(Int32)
        case set(Int32)
        /// A mention of a Python class or function.
        case global(Int32)
        /// An inert stand-in for an instance of that class: nothing was constructed.
        case object(Int32)
        case storage(Int32)
        case tensor(Int32)
    }

    /// A Python class or function by name, and what the reader makes of it.
    struct Global: Sendable {
        let name: String
        let role: PickleRole
    }

    /// A typed array in an archive entry of its own.
    struct Storage: Sendable, Equatable {
        let key: String
        /// PyTorch's name of the storage class, such as `FloatStorage`.
        let typeName: String
        /// `nil` for element types that are not read, such as complex numbers.
        let dtype: DType?
        let count: Int
    }

    /// A strided view into a storage; all indices have been checked to lie inside.
    struct TensorView: Sendable {
        let storage: Int
        let offset: Int
        let shape: [Int]
        let strides: [Int]
    }

    var nodes: [Node] = []
    var strings: [String] = []
    /// The items of tuples, lists and sets.
    var sequences: [[Reference]] = []
    var dictionaries: [[(key: Reference, value: Reference)]] = []
    var globals: [Global] = []
    var storages: [Storage] = []
    var tensors: [TensorView] = []
    var root: Reference = 0

    func node(_ reference: Reference) -> Node { nodes[Int(reference)] }

    func string(_ reference: Reference) -> String? {
        guard case .string(let index) = node(reference) else { return nil }
        return strings[Int(index)]
    }

    func integer(_ reference: Reference) -> Int? {
        guard case .integer(let value) = node(reference) else { return nil }
        return value
    }

    func tuple(_ reference: Reference) -> [Reference]? {
        guard case .tuple(let index) = node(reference) else { return nil }
        return sequences[Int(index)]
    }

    /// A few words about a node, for people: `int 79`, `dict of 3`, `argparse.Namespace (not read)`.
    func summary(_ reference: Reference) -> String {
        switch node(reference) {
        case .none: "None"
        case .bool(let value): value ? "True" : "False"
        case .integer(let value): "int \(value)"
        case .bigInteger: "int of more than 64 bits"
        case .float(let value): "float \(value)"
        case .string(let index): "str \"\(strings[Int(index)].prefix(60))\""
        case .bytes(let count): "bytes of \(count)"
        case .tuple(let index): "tuple of \(sequences[Int(index)].count)"
        case .list(let index): "list of \(sequences[Int(index)].count)"
        case .set(let index): "set of \(sequences[Int(index)].count)"
        case .dictionary(let index): "dict of \(dictionaries[Int(index)].count)"
        case .global(let index): "\(globals[Int(index)].name) (not read)"
        case .object(let index): "\(globals[Int(index)].name) (not read)"
        case .storage(let index): "\(storages[Int(index)].typeName) of \(storages[Int(index)].count)"
        case .tensor(let index): "tensor \(tensors[Int(index)].shape)"
        }
    }
}
