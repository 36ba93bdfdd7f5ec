import ZooCore

/// Where the pixels of a transformed image come from: the size after the resize, the part of it that survives the
/// crop, and where that part lands when the crop is larger than the image.
struct CropGeometry: Equatable {
    /// Size of the whole image after the resize.
    let resizedHeight: Int
    let resizedWidth: Int
    /// The rows and columns of the resized image that survive.
    let rows: Range<Int>
    let columns: Range<Int>
    /// Where the first surviving row and column land in the output; the rest of the output is zero.
    let top: Int
    let left: Int
    /// Size of the output.
    let height: Int
    let width: Int

    /// - Throws: `ZooError` if the mode is `none` and the image has another size than the input.
    init(of preprocessing: Preprocessing, imageHeight: Int, imageWidth: Int) throws {
        height = preprocessing.inputHeight
        width = preprocessing.inputWidth
        (resizedHeight, resizedWidth) = try CropGeometry.resizedSize(
            preprocessing, height: imageHeight, width: imageWidth)
        (rows, top) = CropGeometry.crop(resizedHeight, to: height)
        (columns, left) = CropGeometry.crop(resizedWidth, to: width)
    }

    /// The geometry of a resize to `height` x `width` without a crop.
    init(height: Int, width: Int) {
        (resizedHeight, resizedWidth) = (height, width)
        (rows, columns) = (0..<height, 0..<width)
        (top, left) = (0, 0)
        (self.height, self.width) = (height, width)
    }

    private static func resizedSize(
        _ preprocessing: Preprocessing, height: Int, width: Int
    ) throws -> (height: Int, width: Int) {
        let targetHeight = Int((Double(preprocessing.inputHeight) / preprocessing.cropPct).rounded(.down))
        let targetWidth = Int((Double(preprocessing.inputWidth) / preprocessing.cropPct).rounded(.down))
        switch preprocessing.cropMode {
        case .none:
            guard height == preprocessing.inputHeight, width == preprocessing.inputWidth else {
                throw ImageDefect.wrongSize.error(
                    expected: "\(preprocessing.inputWidth)x\(preprocessing.inputHeight)", found: "\(width)x\(height)")
            }
            return (height, width)
        case .squash:
            return (targetHeight, targetWidth)
        case .center where targetHeight == targetWidth:
            // torchvision: the longer side is truncated.
            let short = min(height, width)
            return (targetHeight * height / short, targetWidth * width / short)
        case .center:
            // timm for a target that is not square: both sides rounded, half to even.
            let ratio = min(Double(height) / Double(targetHeight), Double(width) / Double(targetWidth))
            return (
                Int((Double(height) / ratio).rounded(.toNearestOrEven)),
                Int((Double(width) / ratio).rounded(.toNearestOrEven))
            )
        }
    }

    /// torchvision's centre crop of one axis: offset `round((size - target) / 2)` with halves to even, or padding of
    /// `(target - size) / 2`, the odd pixel at the end.
    private static func crop(_ size: Int, to target: Int) -> (kept: Range<Int>, offset: Int) {
        if size < target { return (0..<size, (target - size) / 2) }
        let start = Int((Double(size - target) / 2).rounded(.toNearestOrEven))
        return (start..<(start + target), 0)
    }
}
