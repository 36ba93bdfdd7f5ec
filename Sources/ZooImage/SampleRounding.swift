/// How a sample in -1...1 becomes a byte. Both rules are the same map, `127.5 v + 128` truncated; they differ where the
/// order of operations puts a value on the other side of a whole number.
public enum SampleRounding: String, Sendable, CaseIterable, Codable {
    /// `clamp(127.5 v + 128, 0, 255)`, truncated: the sampling scripts of ADM and DiT, behind every published FID.
    case adm
    /// `clamp(v, -1, 1)`, `(v + 1) / 2`, `255 w + 0.5` truncated: torchvision's `save_image`.
    case saveImage = "save-image"

    /// The byte of one value, computed in float32; 0 for a value that is not a number.
    public func byte(_ value: Float) -> UInt8 {
        guard !value.isNaN else { return 0 }
        let scaled =
            switch self {
            case .adm: 127.5 * value + 128
            case .saveImage: (min(max(value, -1), 1) + 1) / 2 * 255 + 0.5
            }
        return UInt8(min(max(scaled, 0), 255))
    }

    /// The image of samples [height, width, 3].
    ///
    /// - Precondition: `samples.count` is `height * width * 3`, both sides positive.
    public func image(_ samples: some Collection<Float>, height: Int, width: Int) -> RGBImage {
        RGBImage(height: height, width: width, pixels: samples.map(byte))
    }
}
