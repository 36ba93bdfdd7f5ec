import ZooCore

/// Executes a `Preprocessing`: from a file's bytes to the float32 input of a model.
///
/// Immutable and safe to share between threads.
public struct Preprocessor: Sendable {
    public let preprocessing: Preprocessing
    /// The normalised value of each byte, for each channel.
    private let table: [Float]

    /// - Throws: `ZooError` if the values make no sense.
    public init(_ preprocessing: Preprocessing) throws {
        try preprocessing.validate()
        self.preprocessing = preprocessing
        // float32 throughout, in torchvision's order of operations.
        table = (0..<3).flatMap { channel in
            (0..<256).map { value in
                (Float(value) / 255 - Float(preprocessing.mean[channel])) / Float(preprocessing.std[channel])
            }
        }
    }

    /// The number of floats of one input, `inputHeight * inputWidth * 3`.
    public var inputCount: Int { preprocessing.inputHeight * preprocessing.inputWidth * 3 }

    /// Resizes and crops an image to `inputHeight` x `inputWidth`, on 8-bit pixels.
    ///
    /// - Throws: `ZooError` if the image has the wrong size and the crop mode is `none`, or at a resource limit.
    public func crop(_ image: RGBImage, limits: ResourceLimits) throws -> RGBImage {
        let geometry = try CropGeometry(of: preprocessing, imageHeight: image.height, imageWidth: image.width)
        return try image.resampled(geometry, ResamplingKernel(preprocessing.interpolation), limits: limits)
    }

    /// Decodes, resizes and crops in one stream, so that only a few rows of the original are in memory
    /// (progressive JPEG and interlaced PNG excepted).
    ///
    /// - Throws: `ZooError` as `ImageDecoder.decode` and `crop` do.
    public func crop(decoding bytes: UnsafeRawBufferPointer, limits: ResourceLimits) throws -> DecodedImage {
        var decoding = Duration.zero
        return try crop(decoding: bytes, limits: limits, decodingTime: &decoding)
    }

    /// The same, and adds the time that decoding took of it, resampling left out, to `decodingTime`.
    package func crop(
        decoding bytes: UnsafeRawBufferPointer, limits: ResourceLimits, decodingTime: inout Duration
    ) throws -> DecodedImage {
        let clock = ContinuousClock()
        var start = clock.now
        let reader = try RowReader(bytes, limits: limits)
        let geometry = try CropGeometry(of: preprocessing, imageHeight: reader.height, imageWidth: reader.width)
        var resampler = try RowResampler(
            imageHeight: reader.height, imageWidth: reader.width, geometry: geometry,
            kernel: ResamplingKernel(preprocessing.interpolation), limits: limits)
        var row = [UInt8](repeating: 0, count: RowResampler.rowCapacity(width: reader.width))
        for _ in 0..<reader.height {
            try row.withUnsafeMutableBufferPointer { row in
                guard let base = row.baseAddress else { return }
                try reader.next(into: base)
                decodingTime += clock.now - start
                resampler.push(base)
                start = clock.now
            }
        }
        return DecodedImage(
            image: resampler.finish(), status: reader.finish(), format: reader.format, mode: reader.mode)
    }

    /// Decodes, resizes and crops the file at `path` in one stream.
    ///
    /// - Throws: `ZooError` naming the file.
    public func crop(file path: String, limits: ResourceLimits) throws -> DecodedImage {
        try ImageFile.withBytes(of: path, limits: limits) {
            try crop(decoding: $0, limits: limits).naming(file: path)
        }
    }

    /// Scales to 0...1, subtracts the mean, divides by the standard deviation, in float32 as torchvision does.
    ///
    /// - Parameter destination: channels last, `[inputHeight, inputWidth, 3]`.
    /// - Precondition: the image has the input size and `destination.count` is `inputCount`.
    public func normalize(_ image: RGBImage, into destination: UnsafeMutableBufferPointer<Float>) {
        precondition(
            image.height == preprocessing.inputHeight && image.width == preprocessing.inputWidth
                && destination.count == inputCount, "normalize takes what crop returns")
        table.withUnsafeBufferPointer { table in
            image.pixels.withUnsafeBufferPointer { pixels in
                for i in stride(from: 0, to: pixels.count, by: 3) {
                    destination[i] = table[Int(pixels[i])]
                    destination[i + 1] = table[256 + Int(pixels[i + 1])]
                    destination[i + 2] = table[512 + Int(pixels[i + 2])]
                }
            }
        }
    }
}

extension RGBImage {
    /// Resizes to `height` x `width` exactly as Pillow 11's `Image.resize` does.
    ///
    /// - Throws: `ZooError` if a side is not in `1...Preprocessing.maximumSize`, or at a resource limit.
    public func resized(
        height: Int, width: Int, interpolation: Preprocessing.Interpolation, limits: ResourceLimits
    ) throws -> RGBImage {
        let sizes = 1...Preprocessing.maximumSize
        guard sizes.contains(height), sizes.contains(width) else {
            throw ZooError(
                .usage, "cannot resize to this size", expected: "sides of 1...\(sizes.upperBound)",
                found: "\(width)x\(height)", code: "preprocessing.invalid")
        }
        return try resampled(
            CropGeometry(height: height, width: width), ResamplingKernel(interpolation), limits: limits)
    }

    func resampled(
        _ geometry: CropGeometry, _ kernel: ResamplingKernel, limits: ResourceLimits
    ) throws -> RGBImage {
        var resampler = try RowResampler(
            imageHeight: height, imageWidth: width, geometry: geometry, kernel: kernel, limits: limits)
        var row = [UInt8](repeating: 0, count: RowResampler.rowCapacity(width: width))
        let rowBytes = 3 * width
        pixels.withUnsafeBufferPointer { pixels in
            row.withUnsafeMutableBufferPointer { row in
                guard let source = pixels.baseAddress, let base = row.baseAddress else { return }
                for y in 0..<height {
                    base.update(from: source + y * rowBytes, count: rowBytes)
                    resampler.push(base)
                }
            }
        }
        return resampler.finish()
    }
}
