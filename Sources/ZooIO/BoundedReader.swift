import ZooCore

/// A cursor over bytes from a stranger: every access is checked and throws with the offset.
///
/// Numbers are little-endian, as in all formats read here. The view must not outlive the bytes.
struct BoundedReader {
    let bytes: UnsafeRawBufferPointer
    private(set) var offset: Int
    private let end: Int
    private let truncation: any ParserDefect

    /// - Parameter truncation: the defect to throw when the bytes end too early.
    init(
        _ bytes: UnsafeRawBufferPointer, in range: Range<Int>? = nil, truncation: any ParserDefect
    ) {
        self.bytes = bytes
        self.offset = range?.lowerBound ?? 0
        self.end = min(range?.upperBound ?? bytes.count, bytes.count)
        self.truncation = truncation
    }

    var remaining: Int { end - offset }

    /// Moves past `count` bytes and returns their range.
    mutating func take(_ count: Int, _ what: String) throws -> Range<Int> {
        guard count >= 0, count <= remaining else {
            throw truncation.error(
                "the data ends inside \(what)", at: byteLocation(offset), expected: "\(count) bytes",
                found: "\(max(0, remaining))")
        }
        let start = offset
        offset += count
        return start..<offset
    }

    mutating func integer<T: FixedWidthInteger>(_: T.Type, _ what: String) throws -> T {
        let range = try take(MemoryLayout<T>.size, what)
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: T.self))
    }

    /// A 64-bit length or offset, which must fit into `Int`.
    mutating func size(_ what: String) throws -> Int {
        let start = offset
        let value = try integer(UInt64.self, what)
        guard let size = Int(exactly: value) else {
            throw truncation.error("\(what) is impossibly large", at: byteLocation(start), found: "\(value)")
        }
        return size
    }
}

/// The product of `factors`, `nil` if it does not fit or a factor is negative.
///
/// A zero anywhere makes the product zero only when the product of the other factors fits, so that no partial
/// product of the same numbers can overflow later.
func checkedProduct(_ factors: some Sequence<Int>) -> Int? {
    var product = 1
    var isZero = false
    for factor in factors {
        guard factor >= 0 else { return nil }
        if factor == 0 {
            isZero = true
            continue
        }
        let (value, overflow) = product.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        product = value
    }
    return isZero ? 0 : product
}

/// `a + b * c`, `nil` on overflow.
func checkedMultiplyAdd(_ a: Int, _ b: Int, _ c: Int) -> Int? {
    let (product, overflow) = b.multipliedReportingOverflow(by: c)
    guard !overflow else { return nil }
    let (sum, overflow2) = a.addingReportingOverflow(product)
    return overflow2 ? nil : sum
}
