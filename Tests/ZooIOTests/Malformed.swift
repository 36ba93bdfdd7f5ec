import Testing
import ZooCore
import ZooIO

/// A file with exactly one thing wrong, and the error it must end in.
struct Malformed: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: [UInt8]
    let code: String
    /// What the error's location must contain; `nil` where the defect has no place in the file.
    let location: String?

    init(_ name: String, _ defect: some ParserDefect, at location: String?, _ bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
        self.code = defect.rawValue
        self.location = location
    }

    var testDescription: String { "\(name) (\(code))" }

    /// Expects `parse` to refuse the file with this very defect at this very place.
    func expectRefusal(by parse: (ByteRegion) throws -> Void) {
        do {
            try parse(ByteRegion(copying: bytes, name: "file"))
            Issue.record("\(name): accepted")
        } catch let error as ZooError {
            #expect(error.code == code, "\(name): \(error)")
            #expect(error.kind == .badData, "\(name): \(error)")
            #expect(error.file == "file", "\(name)")
            if let location {
                #expect(error.location?.contains(location) == true, "\(name): \(error)")
            } else {
                #expect(error.location == nil, "\(name): \(error)")
            }
        } catch {
            Issue.record("\(name): threw \(error)")
        }
    }
}

/// The little-endian bytes of a number.
func le(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

/// A reproducible stream of numbers for damaging files (splitmix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
