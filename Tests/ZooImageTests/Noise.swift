import ZooImage

/// The upper bytes of a linear congruential sequence: an image that the fixtures' generator makes too.
func noise(height: Int, width: Int) -> RGBImage {
    var state: UInt32 = 1
    let pixels = (0..<(height * width * 3)).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(state >> 24)
    }
    return RGBImage(height: height, width: width, pixels: pixels)
}
