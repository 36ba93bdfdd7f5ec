/// An 8-bit RGB image in the making: rectangles, images and small text, cut off at the edges.
public struct Canvas {
    /// Red, green and blue, 0...1.
    public typealias Colour = SIMD3<Float>

    public private(set) var image: RGBImage

    /// - Precondition: both sides are positive.
    public init(height: Int, width: Int, background: Colour) {
        image = RGBImage(height: height, width: width, pixels: [UInt8](repeating: 0, count: height * width * 3))
        fill(x: 0, y: 0, width: width, height: height, background)
    }

    /// Sets one pixel.
    public mutating func set(x: Int, y: Int, _ colour: Colour) {
        guard (0..<image.width).contains(x), (0..<image.height).contains(y) else { return }
        let place = 3 * (y * image.width + x)
        for channel in 0..<3 { image.pixels[place + channel] = UInt8(255 * min(max(colour[channel], 0), 1) + 0.5) }
    }

    public mutating func fill(x: Int, y: Int, width: Int, height: Int, _ colour: Colour) {
        for row in y..<y + max(height, 0) {
            for column in x..<x + max(width, 0) { set(x: column, y: row, colour) }
        }
    }

    /// The edge of a rectangle, `thickness` pixels inside it.
    public mutating func frame(x: Int, y: Int, width: Int, height: Int, thickness: Int = 1, _ colour: Colour) {
        fill(x: x, y: y, width: width, height: thickness, colour)
        fill(x: x, y: y + height - thickness, width: width, height: thickness, colour)
        fill(x: x, y: y, width: thickness, height: height, colour)
        fill(x: x + width - thickness, y: y, width: thickness, height: height, colour)
    }

    public mutating func draw(_ other: RGBImage, x: Int, y: Int) {
        for row in 0..<other.height {
            for column in 0..<other.width {
                let place = 3 * (row * other.width + column)
                let pixel = other.pixels[place..<place + 3].map { Float($0) / 255 }
                set(x: x + column, y: y + row, Colour(pixel[0], pixel[1], pixel[2]))
            }
        }
    }

    /// Writes a line of text with its upper left corner at (x, y), `PixelFont.height * scale` pixels high.
    public mutating func write(_ text: String, x: Int, y: Int, scale: Int = 1, _ colour: Colour) {
        for (index, character) in text.enumerated() {
            let left = x + index * PixelFont.advance * scale
            for (row, bits) in PixelFont.rows(of: character).enumerated() {
                for column in 0..<PixelFont.width where bits >> (PixelFont.width - 1 - column) & 1 == 1 {
                    fill(x: left + column * scale, y: y + row * scale, width: scale, height: scale, colour)
                }
            }
        }
    }
}

/// A fixed-width typeface of 5 x 9 pixels: digits, small letters (capitals look the same) and punctuation.
public enum PixelFont {
    public static let width = 5
    public static let height = 9
    /// From one character to the next.
    public static let advance = 6

    /// Nine rows of five bits, the leftmost pixel in the highest one; a box for a character that there is not.
    static func rows(of character: Character) -> [UInt8] {
        guard character != " " else { return [] }
        return glyphs[Character(character.lowercased().prefix(1).description)] ?? box
    }

    private static let box: [UInt8] = [31, 17, 17, 17, 17, 17, 31]

    private static let glyphs: [Character: [UInt8]] = [
        "0": [14, 17, 17, 21, 17, 17, 14], "1": [4, 12, 4, 4, 4, 4, 14], "2": [14, 17, 1, 2, 4, 8, 31],
        "3": [14, 17, 1, 6, 1, 17, 14], "4": [2, 6, 10, 18, 31, 2, 2], "5": [31, 16, 30, 1, 1, 17, 14],
        "6": [6, 8, 16, 30, 17, 17, 14], "7": [31, 1, 2, 4, 8, 8, 8], "8": [14, 17, 17, 14, 17, 17, 14],
        "9": [14, 17, 17, 15, 1, 2, 12],
        "a": [0, 0, 14, 1, 15, 17, 15], "b": [16, 16, 30, 17, 17, 17, 30], "c": [0, 0, 14, 16, 16, 17, 14],
        "d": [1, 1, 15, 17, 17, 17, 15], "e": [0, 0, 14, 17, 31, 16, 14], "f": [6, 9, 8, 28, 8, 8, 8],
        "g": [0, 0, 15, 17, 17, 15, 1, 17, 14], "h": [16, 16, 22, 25, 17, 17, 17], "i": [4, 0, 12, 4, 4, 4, 14],
        "j": [2, 0, 6, 2, 2, 2, 2, 18, 12], "k": [16, 16, 18, 20, 24, 20, 18], "l": [12, 4, 4, 4, 4, 4, 14],
        "m": [0, 0, 26, 21, 21, 21, 21], "n": [0, 0, 22, 25, 17, 17, 17], "o": [0, 0, 14, 17, 17, 17, 14],
        "p": [0, 0, 30, 17, 17, 30, 16, 16, 16], "q": [0, 0, 15, 17, 17, 15, 1, 1, 1],
        "r": [0, 0, 22, 25, 16, 16, 16], "s": [0, 0, 15, 16, 14, 1, 30], "t": [8, 8, 28, 8, 8, 9, 6],
        "u": [0, 0, 17, 17, 17, 19, 13], "v": [0, 0, 17, 17, 17, 10, 4], "w": [0, 0, 17, 17, 21, 21, 10],
        "x": [0, 0, 17, 10, 4, 10, 17], "y": [0, 0, 17, 17, 17, 15, 1, 17, 14], "z": [0, 0, 31, 2, 4, 8, 31],
        ".": [0, 0, 0, 0, 0, 12, 12], ",": [0, 0, 0, 0, 0, 12, 4, 8], ":": [0, 12, 12, 0, 12, 12, 0],
        ";": [0, 12, 12, 0, 12, 4, 8], "-": [0, 0, 0, 31, 0, 0, 0], "+": [0, 4, 4, 31, 4, 4, 0],
        "=": [0, 0, 31, 0, 31, 0, 0], "%": [24, 25, 2, 4, 8, 19, 3], "/": [1, 1, 2, 4, 8, 16, 16],
        "(": [2, 4, 8, 8, 8, 4, 2], ")": [8, 4, 2, 2, 2, 4, 8], "|": [4, 4, 4, 4, 4, 4, 4],
        "_": [0, 0, 0, 0, 0, 0, 31], "<": [2, 4, 8, 16, 8, 4, 2], ">": [8, 4, 2, 1, 2, 4, 8],
        "*": [0, 21, 14, 31, 14, 21, 0], "'": [4, 4, 8, 0, 0, 0, 0], "#": [10, 10, 31, 10, 31, 10, 10],
    ]
}
