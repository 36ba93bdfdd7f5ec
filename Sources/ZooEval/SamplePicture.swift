import ZooCore
import ZooImage

/// Drawn samples as 8-bit images.
public enum SamplePicture {
    /// The images of a batch of samples with one grey channel in -1...1, on the 17 levels of the UCI digits, as those are
    /// stored.
    ///
    /// - Parameter samples: (batch, 1, height, width)
    public static func digits(_ samples: Tensor) -> [RGBImage] {
        let (height, width) = (samples.shape[2], samples.shape[3])
        return (0..<samples.shape[0]).map { index in
            let own = samples.values[index * height * width..<(index + 1) * height * width]
            return RGBImage(
                height: height, width: width,
                pixels: own.flatMap { value in [UInt8](repeating: digitLevel(value), count: 3) })
        }
    }

    private static func digitLevel(_ value: Float) -> UInt8 {
        let levels = 16.0
        let clamped = value.isNaN ? -1 : min(max(Double(value), -1), 1)
        let level = ((clamped + 1) / 2 * levels).rounded(.toNearestOrEven)
        return UInt8((level * 255 / levels).rounded())
    }

    /// Images of one size side by side, row by row, with a grey border of one image pixel around each.
    ///
    /// - Parameter zoom: the side of the square that a pixel becomes.
    /// - Precondition: all images have the size of the first; there is one.
    public static func grid(_ images: [RGBImage], columns: Int, zoom: Int = 1) -> RGBImage {
        let (height, width) = (images[0].height, images[0].width)
        let size = gridSize(images.count, height: height, width: width, columns: columns, zoom: zoom)
        let border = images.count > 1 ? 1 : 0
        var pixels = [UInt8](repeating: 128, count: size.height * size.width * 3)
        for (index, image) in images.enumerated() {
            let (top, left) = (
                (index / columns * (height + border) + border) * zoom,
                (index % columns * (width + border) + border) * zoom
            )
            for y in 0..<height * zoom {
                for x in 0..<width * zoom {
                    let from = (y / zoom * width + x / zoom) * 3
                    let to = ((top + y) * size.width + left + x) * 3
                    for channel in 0..<3 { pixels[to + channel] = image.pixels[from + channel] }
                }
            }
        }
        return RGBImage(height: size.height, width: size.width, pixels: pixels)
    }

    /// The size of a grid of `count` images.
    public static func gridSize(
        _ count: Int, height: Int, width: Int, columns: Int, zoom: Int
    ) -> (height: Int, width: Int) {
        let rows = (count + columns - 1) / columns
        let border = count > 1 ? 1 : 0
        return ((rows * (height + border) + border) * zoom, (columns * (width + border) + border) * zoom)
    }
}
