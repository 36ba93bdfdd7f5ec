import ZooCore

/// Collects tensors and writes them as one safetensors file.
///
/// Tensors are laid out by falling element size, then by name, so that each one is aligned for its type and the
/// same content always gives the same bytes.
public struct SafetensorsWriter {
    /// Hands the elements of one tensor, in order and little-endian, to the sink.
    typealias Emitter = ((UnsafeRawBufferPointer) throws -> Void) throws -> Void

    private struct Entry {
        let name: String
        let info: TensorInfo
        let byteCount: Int
        let emit: Emitter
    }

    /// Free text for the file's `__metadata__`, for instance which model the tensors belong to.
    public var metadata: [String: String]
    private var entries: [Entry] = []

    public init(metadata: [String: String] = [:]) {
        self.metadata = metadata
    }

    /// Adds a float32 tensor.
    public mutating func add(_ name: String, _ tensor: Tensor) {
        add(name, TensorInfo(shape: tensor.shape, dtype: .float32)) { write in
            try tensor.withUnsafeValues { try write(UnsafeRawBufferPointer($0)) }
        }
    }

    /// Adds a tensor from the in-memory form of its elements: `Float` as F32, `Double` as F64, `Int64` as I64,
    /// `Int32` as I32, `UInt8` as U8.
    ///
    /// - Precondition: `values.count` is the product of `shape`.
    public mutating func add<Element: SafetensorsElement>(_ name: String, shape: [Int], _ values: [Element]) {
        add(name, TensorInfo(shape: shape, dtype: Element.dtype)) { write in
            try values.withUnsafeBytes { try write($0) }
        }
        precondition(entries.last?.info.count == values.count, "shape \(shape) does not hold \(values.count) values")
    }

    /// Adds a tensor whose elements are produced while the file is written.
    mutating func add(_ name: String, _ info: TensorInfo, emit: @escaping Emitter) {
        guard let byteCount = checkedProduct(info.shape + [info.dtype.size]) else {
            preconditionFailure("\(name): the shape \(info.shape) is impossible")
        }
        entries.append(Entry(name: name, info: info, byteCount: byteCount, emit: emit))
    }

    /// Writes the file atomically.
    ///
    /// - Throws: a usage error if two tensors share a name or one is called `__metadata__`; `OutputDefect` errors.
    public func write(to path: String) throws {
        let ordered = entries.sorted { ($1.info.dtype.size, $0.name) < ($0.info.dtype.size, $1.name) }
        var names: Set<String> = ["__metadata__"]
        for entry in ordered where !names.insert(entry.name).inserted {
            throw ZooError(.usage, "a file cannot hold two tensors of this name", file: path, at: entry.name)
        }
        let header = header(ordered)
        try AtomicFile.write(to: path) { sink in
            try sink.write(withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init))
            try sink.write(header)
            for entry in ordered {
                var written = 0
                try entry.emit { bytes in
                    try sink.write(bytes)
                    written += bytes.count
                }
                precondition(written == entry.byteCount, "\(entry.name): \(written) bytes for \(entry.info)")
            }
        }
    }

    private func header(_ ordered: [Entry]) -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
            members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
        }
        var offset = 0
        for entry in ordered {
            let end = offset + entry.byteCount
            let shape = entry.info.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(quoted(entry.name)):{\"dtype\":\"\(entry.info.dtype.rawValue)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var header = Array("{\(members.joined(separator: ","))}".utf8)
        header.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8))
        return header
    }

    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{0}"..<"\u{20}":
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// A Swift number whose memory, on a little-endian machine, is the stored form of a safetensors element.
public protocol SafetensorsElement: Sendable {
    static var dtype: DType { get }
}

extension Float: SafetensorsElement { public static var dtype: DType { .float32 } }
extension Double: SafetensorsElement { public static var dtype: DType { .float64 } }
extension Int64: SafetensorsElement { public static var dtype: DType { .int64 } }
extension Int32: SafetensorsElement { public static var dtype: DType { .int32 } }
extension UInt8: SafetensorsElement { public static var dtype: DType { .uint8 } }
