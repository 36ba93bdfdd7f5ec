import ZooCore
import ZooIO
import ZooImage

/// A batch of samples as evaluators of generated images exchange it, the layout that guided-diffusion's sampler writes and
/// the ADM evaluator reads: a `.npz` archive with the images `arr_0`, bytes (N, H, W, 3), and for a model that draws classes
/// the labels `arr_1`, int64 (N).
public enum SampleArchive {
    /// Creates or replaces the file at `path`, complete or not at all. Images go to the file as they come: memory does not
    /// grow with their number.
    ///
    /// - Parameters:
    ///   - size: of the batch: images, and their rows and columns.
    ///   - labels: one per image.
    ///   - draw: calls its argument with the images in order.
    /// - Throws: `OutputDefect` errors, or what `draw` throws.
    /// - Precondition: `draw` hands over as many images, and each of the size, that `size` says.
    public static func write(
        to path: String, size: (images: Int, height: Int, width: Int), labels: [Int]?,
        draw: (_ add: @escaping (RGBImage) throws -> Void) throws -> Void
    ) throws {
        try NumpyWriter.write(to: path) { archive in
            try archive.add("arr_0", shape: [size.images, size.height, size.width, 3], UInt8.self) { write in
                try withoutActuallyEscaping(write) { write in
                    try draw { image in
                        precondition(image.height == size.height && image.width == size.width)
                        try image.pixels.withUnsafeBytes { try write($0) }
                    }
                }
            }
            guard let labels else { return }
            precondition(labels.count == size.images)
            try archive.add("arr_1", shape: [labels.count], labels.map(Int64.init))
        }
    }
}
