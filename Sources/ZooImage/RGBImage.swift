import ZooCore

/// An 8-bit RGB image that owns its memory: `height` rows of `3 * width` bytes, red green blue, top row first.
public struct RGBImage: Sendable, Equatable {
    public let height: Int
    public let width: Int
    public internal(set) var pixels: [UInt8]

    /// - Precondition: `pixels.count` is `height * width * 3`, both sides positive.
    public init(height: Int, width: Int, pixels: [UInt8]) {
        precondition(height > 0 && width > 0, "an image has no side of \(min(height, width)) pixels")
        precondition(pixels.count == height * width * 3, "\(pixels.count) bytes are no \(height)x\(width) RGB image")
        self.height = height
        self.width = width
        self.pixels = pixels
    }
}
