/// Whether `a` comes before `b` when runs of digits are compared by their value: `img2` before `img10`.
///
/// A strict total order on the UTF-8 bytes that depends on no locale, so every machine walks a dataset alike. Equal
/// numbers with more leading zeros come later.
func naturallyPrecedes(_ a: String, _ b: String) -> Bool {
    let a = Array(a.utf8)
    let b = Array(b.utf8)
    var i = 0
    var j = 0
    while i < a.count, j < b.count {
        if isDigit(a[i]), isDigit(b[j]) {
            let x = digits(a, from: &i)
            let y = digits(b, from: &j)
            if x.count != y.count { return x.count < y.count }
            if !x.elementsEqual(y) { return x.lexicographicallyPrecedes(y) }
        } else if a[i] != b[j] {
            return a[i] < b[j]
        } else {
            i += 1
            j += 1
        }
    }
    let restOfA = a.count - i
    let restOfB = b.count - j
    return restOfA != restOfB ? restOfA < restOfB : a.lexicographicallyPrecedes(b)
}

/// The run of digits at `position` without leading zeros; moves `position` behind it.
private func digits(_ text: [UInt8], from position: inout Int) -> ArraySlice<UInt8> {
    let start = position
    while position < text.count, isDigit(text[position]) { position += 1 }
    return text[start..<position].drop { $0 == UInt8(ascii: "0") }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
