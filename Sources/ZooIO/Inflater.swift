import ZooCore

/// Decompresses raw DEFLATE data (RFC 1951) into memory whose size is known beforehand.
///
/// Nothing grows with what the data claim: the output has the size that the caller allocated, a code has at most 288
/// symbols, and every distance is checked against what has been written.
struct Inflater {
    private let input: UnsafeRawBufferPointer
    private let output: UnsafeMutableRawBufferPointer
    private var position = 0
    private var written = 0
    /// Bits read and not yet used, the next one lowest.
    private var bits: UInt64 = 0
    private var bitCount = 0

    private init(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) {
        self.input = input
        self.output = output
    }

    /// Decompresses `input`, which must fill `output` exactly and end there.
    ///
    /// - Throws: `ZipDefect.badDeflate`.
    static func inflate(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws {
        var inflater = Inflater(input, into: output)
        try inflater.run(toTheEnd: true)
    }

    /// Decompresses only as much as fills `output`.
    ///
    /// - Throws: `ZipDefect.badDeflate`, also when the data end before that.
    static func inflate(beginningOf input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws {
        var inflater = Inflater(input, into: output)
        try inflater.run(toTheEnd: false)
    }

    private mutating func run(toTheEnd: Bool) throws {
        var isLast = false
        while !isLast {
            if !toTheEnd, written == output.count { return }
            isLast = try take(1) == 1
            switch try take(2) {
            case 0: try copyStored(toTheEnd)
            case 1: try expand(Self.fixedLiterals, Self.fixedDistances, toTheEnd)
            case 2:
                let (literals, distances) = try readCodes()
                try expand(literals, distances, toTheEnd)
            default: throw defect("a block has an unknown type")
            }
        }
        guard written == output.count else { throw defect("the data end too early") }
        guard !toTheEnd || position - bitCount / 8 == input.count else { throw defect("bytes follow the last block") }
    }

    private func defect(_ problem: String) -> ZooError {
        ZipDefect.badDeflate.error("the compressed data are damaged: \(problem)", at: byteLocation(position))
    }

    // MARK: Bits

    private mutating func refill() {
        while bitCount <= 56, position < input.count {
            bits |= UInt64(input[position]) << UInt64(bitCount)
            position += 1
            bitCount += 8
        }
    }

    private mutating func take(_ count: Int) throws -> Int {
        if bitCount < count { refill() }
        guard bitCount >= count else { throw defect("the data end too early") }
        let value = Int(bits & (1 << UInt64(count) - 1))
        drop(count)
        return value
    }

    private mutating func drop(_ count: Int) {
        bits >>= UInt64(count)
        bitCount -= count
    }

    // MARK: Blocks

    private mutating func copyStored(_ toTheEnd: Bool) throws {
        drop(bitCount % 8)
        let length = try take(16)
        guard try take(16) == ~length & 0xFFFF else { throw defect("a stored block contradicts its length") }
        guard !toTheEnd || length <= output.count - written else { throw defect("there is more than announced") }
        for _ in 0..<min(length, output.count - written) {
            output[written] = UInt8(truncatingIfNeeded: try take(8))
            written += 1
        }
    }

    /// The codes of a block that brings its own.
    private mutating func readCodes() throws -> (literals: Code, distances: Code) {
        let literals = try take(5) + 257
        let distances = try take(5) + 1
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        var lengthLengths = [UInt8](repeating: 0, count: order.count)
        for index in 0..<(try take(4) + 4) { lengthLengths[order[index]] = UInt8(try take(3)) }
        guard let lengthCode = Code(lengthLengths) else { throw defect("a code is impossible") }
        var lengths: [UInt8] = []
        while lengths.count < literals + distances {
            let symbol = try next(lengthCode)
            switch symbol {
            case ..<16: lengths.append(UInt8(symbol))
            case 16:
                guard let last = lengths.last else { throw defect("a code repeats nothing") }
                lengths.append(contentsOf: repeatElement(last, count: try take(2) + 3))
            case 17: lengths.append(contentsOf: repeatElement(0, count: try take(3) + 3))
            default: lengths.append(contentsOf: repeatElement(0, count: try take(7) + 11))
            }
        }
        guard lengths.count == literals + distances, lengths[Self.endOfBlock] > 0,
            let literalCode = Code(Array(lengths[..<literals])), let distanceCode = Code(Array(lengths[literals...]))
        else { throw defect("a code is impossible") }
        return (literalCode, distanceCode)
    }

    private mutating func expand(_ literals: Code, _ distances: Code, _ toTheEnd: Bool) throws {
        while true {
            let symbol = try next(literals)
            if symbol == Self.endOfBlock { return }
            guard written < output.count else {
                if toTheEnd { throw defect("there is more than announced") }
                return
            }
            if symbol < Self.endOfBlock {
                output[written] = UInt8(symbol)
                written += 1
                continue
            }
            let place = symbol - Self.endOfBlock - 1
            guard place < Self.lengthBase.count else { throw defect("a length is impossible") }
            let length = try Self.lengthBase[place] + take(Self.lengthExtra[place])
            let farness = try next(distances)
            guard farness < Self.distanceBase.count else { throw defect("a distance is impossible") }
            let distance = try Self.distanceBase[farness] + take(Self.distanceExtra[farness])
            guard distance <= written else { throw defect("a distance leads before the beginning") }
            guard !toTheEnd || length <= output.count - written else { throw defect("there is more than announced") }
            for _ in 0..<min(length, output.count - written) {
                output[written] = output[written - distance]
                written += 1
            }
        }
    }

    // MARK: Codes

    /// A canonical Huffman code: a table for codes of up to ten bits, a walk over the lengths for longer ones.
    private struct Code {
        static let tableBits = 10
        static let longest = 15
        /// Symbol times 16 plus length, by the next ten bits; 0 where the code is longer.
        var table = [UInt16](repeating: 0, count: 1 << tableBits)
        /// Symbols of each length.
        var counts = [Int](repeating: 0, count: longest + 1)
        /// In order of their codes.
        var symbols: [UInt16]

        /// `nil` for lengths that no code has: more codes than fit, or fewer, unless there is at most one.
        init?(_ lengths: [UInt8]) {
            symbols = (1...UInt8(Self.longest)).flatMap { length in
                lengths.indices.filter { lengths[$0] == length }.map(UInt16.init)
            }
            for length in lengths where length > 0 { counts[Int(length)] += 1 }
            var left = 1
            for length in 1...Self.longest {
                left = 2 * left - counts[length]
                guard left >= 0 else { return nil }
            }
            guard left == 0 || symbols.isEmpty || (symbols.count == 1 && counts[1] == 1) else { return nil }
            var (code, index) = (0, 0)
            for length in 1...Self.tableBits {
                for _ in 0..<counts[length] {
                    let entry = symbols[index] << 4 | UInt16(length)
                    for later in 0..<(1 << (Self.tableBits - length)) {
                        table[Self.reversed(code, length) | later << length] = entry
                    }
                    (code, index) = (code + 1, index + 1)
                }
                code <<= 1
            }
        }

        /// Codes come with their highest bit first.
        private static func reversed(_ code: Int, _ length: Int) -> Int {
            (0..<length).reduce(0) { $0 << 1 | code >> $1 & 1 }
        }
    }

    private mutating func next(_ code: Code) throws -> Int {
        if bitCount < Code.longest { refill() }
        let entry = code.table[Int(bits & (1 << UInt64(Code.tableBits) - 1))]
        let short = Int(entry & 15)
        if entry > 0, short <= bitCount {
            drop(short)
            return Int(entry >> 4)
        }
        var (value, first, index) = (0, 0, 0)
        for length in 1...Code.longest {
            guard length <= bitCount else { break }
            value |= Int(bits >> UInt64(length - 1) & 1)
            let count = code.counts[length]
            if value - first < count {
                drop(length)
                return Int(code.symbols[index + value - first])
            }
            index += count
            first = (first + count) << 1
            value <<= 1
        }
        throw defect(bitCount < Code.longest ? "the data end too early" : "a code is unknown")
    }

    private static let endOfBlock = 256
    private static let lengthBase = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    private static let lengthExtra = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ]
    private static let distanceBase = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145,
        8193, 12289, 16385, 24577,
    ]
    private static let distanceExtra = [
        0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
    ]
    private static let fixedLiterals = code([(8, 144), (9, 112), (7, 24), (8, 8)])
    private static let fixedDistances = code([(5, 32)])

    /// The code whose symbols have these lengths, so many of each.
    private static func code(_ runs: [(length: UInt8, count: Int)]) -> Code {
        guard let code = Code(runs.flatMap { repeatElement($0.length, count: $0.count) }) else {
            preconditionFailure("the fixed codes are complete")
        }
        return code
    }
}
