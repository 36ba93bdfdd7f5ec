/// The opcodes of Python's pickle format as bytes, for writing streams by hand.
enum PickleBytes {
    static let proto: [UInt8] = [0x80, 2]
    static let stop: [UInt8] = Array(".".utf8)
    static let mark: [UInt8] = Array("(".utf8)
    static let none: [UInt8] = Array("N".utf8)
    static let reduce: [UInt8] = Array("R".utf8)
    static let build: [UInt8] = Array("b".utf8)
    static let tuple: [UInt8] = Array("t".utf8)
    static let emptyTuple: [UInt8] = Array(")".utf8)
    static let emptyDict: [UInt8] = Array("}".utf8)
    static let emptyList: [UInt8] = Array("]".utf8)
    static let setItem: [UInt8] = Array("s".utf8)
    static let setItems: [UInt8] = Array("u".utf8)
    static let append: [UInt8] = Array("a".utf8)
    static let persistentID: [UInt8] = Array("Q".utf8)

    static func op(_ name: Character) -> [UInt8] { Array(String(name).utf8) }

    static func text(_ text: String) -> [UInt8] { Array("X".utf8) + le(UInt32(text.utf8.count)) + Array(text.utf8) }

    static func integer(_ value: Int) -> [UInt8] { [0x8A, 8] + le(Int64(value)) }

    static func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }

    static func integers(_ values: [Int]) -> [UInt8] { mark + values.flatMap { integer($0) } + tuple }

    /// A call: the function, its arguments, REDUCE.
    static func call(_ module: String, _ name: String, _ arguments: [UInt8]...) -> [UInt8] {
        global(module, name) + mark + arguments.flatMap { $0 } + tuple + reduce
    }

    static func storage(
        _ type: [UInt8] = global("torch", "FloatStorage"), tag: [UInt8] = text("storage"), key: [UInt8] = text("0"),
        device: [UInt8] = text("cpu"), count: [UInt8] = integer(6), more: [UInt8] = []
    ) -> [UInt8] {
        mark + tag + type + key + device + count + more + tuple + persistentID
    }

    static func tensor(
        _ storage: [UInt8] = storage(), offset: Int = 0, shape: [Int] = [2, 3], strides: [Int] = [3, 1]
    ) -> [UInt8] {
        call(
            "torch._utils", "_rebuild_tensor_v2", storage, integer(offset), integers(shape), integers(strides), [0x89],
            call("collections", "OrderedDict"))
    }

    /// A dictionary of name and value.
    static func dictionary(_ items: (String, [UInt8])...) -> [UInt8] {
        emptyDict + mark + items.flatMap { text($0.0) + $0.1 } + setItems
    }

    /// A whole stream with `value` as its result.
    static func stream(_ value: [UInt8]) -> [UInt8] { proto + value + stop }

    /// A PyTorch file with this stream, and storage 0 of 24 bytes.
    static func file(
        _ stream: [UInt8], storages: [(String, [UInt8])] = [("0", [UInt8](repeating: 0, count: 24))],
        more: [(String, [UInt8])] = []
    ) -> [UInt8] {
        let entries = [("data.pkl", stream)] + storages.map { ("data/\($0.0)", $0.1) } + more
        return ZipImage(entries.map { ZipImage.Entry("archive/\($0.0)", $0.1) }).bytes
    }
}
