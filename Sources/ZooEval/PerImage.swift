/// What became of every image of an evaluation, one character each, in the order of evaluation: `0` to `4` for the rank
/// of the right class among the five best, `-` for a rank below, `x` for an image that could not be decoded.
///
/// Compact enough to be part of every result (50 kB for ImageNet), it is what two results are paired by.
public struct PerImage: Sendable, Equatable, Codable {
    /// The characters, all ASCII.
    private let characters: [UInt8]

    init(characters: [UInt8]) { self.characters = characters }

    public var count: Int { characters.count }

    /// Whether the right class of image `index` is among the `k` best, `k` at most 5.
    public func isRight(_ index: Int, top k: Int) -> Bool {
        (UInt8(ascii: "0")..<UInt8(ascii: "0") + UInt8(k)).contains(characters[index])
    }

    /// Whether image `index` could not be decoded.
    public func isFailed(_ index: Int) -> Bool { characters[index] == Self.failed }

    private static let failed = UInt8(ascii: "x")
    private static let missed = UInt8(ascii: "-")

    static func character(of outcome: ImageOutcome) -> UInt8 {
        guard let rank = outcome.rank else { return failed }
        return rank < 5 ? UInt8(ascii: "0") + UInt8(rank) : missed
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = Array(try container.decode(String.self).utf8)
        guard text.allSatisfy({ "01234-x".utf8.contains($0) }) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "characters other than 0...4, - and x")
        }
        characters = text
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(String(decoding: characters, as: UTF8.self))
    }
}
