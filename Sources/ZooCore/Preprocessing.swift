/// How an image becomes a model's input: the evaluation transform a checkpoint was measured with.
///
/// A plain value that model cards carry; ZooImage executes it. The rules are those of torchvision and timm:
/// resize (antialiased, on 8-bit pixels), centre crop, scale to 0...1, subtract `mean`, divide by `std`.
public struct Preprocessing: Sendable, Hashable, Codable {
    /// The resampling filter of the resize.
    public enum Interpolation: String, Sendable, Hashable, Codable, CaseIterable {
        /// Keys' cubic with a = -0.5, support 2.
        case bicubic
        /// Triangle filter, support 1.
        case bilinear
        /// Windowed sinc with three lobes, support 3.
        case lanczos
    }

    /// How an image of another size or aspect is brought to the input size.
    public enum CropMode: String, Sendable, Hashable, Codable, CaseIterable {
        /// Keep the aspect, resize the shorter side to `size / cropPct`, cut out the centre.
        case center
        /// Resize both sides to `size / cropPct` whatever the aspect, cut out the centre.
        case squash
        /// Neither resize nor crop: the image must have the input size already (RALA's rule for CIFAR).
        case none
    }

    /// Height of the model's input in pixels.
    public var inputHeight: Int
    /// Width of the model's input in pixels.
    public var inputWidth: Int
    /// The share of the resized image's side that the crop keeps; above 1 the crop is padded with zeros.
    public var cropPct: Double
    public var interpolation: Interpolation
    public var cropMode: CropMode
    /// Per-channel (red, green, blue) mean, subtracted after scaling to 0...1.
    public var mean: [Double]
    /// Per-channel (red, green, blue) standard deviation, divided by after the subtraction.
    public var std: [Double]

    public init(
        inputHeight: Int, inputWidth: Int, cropPct: Double = 0.875, interpolation: Interpolation = .bicubic,
        cropMode: CropMode = .center, mean: [Double] = Preprocessing.imageNetMean,
        std: [Double] = Preprocessing.imageNetStd
    ) {
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
        self.cropPct = cropPct
        self.interpolation = interpolation
        self.cropMode = cropMode
        self.mean = mean
        self.std = std
    }

    /// The statistics of ImageNet's training images that most checkpoints use.
    public static let imageNetMean = [0.485, 0.456, 0.406]
    public static let imageNetStd = [0.229, 0.224, 0.225]

    /// The rule of the RAVLT and MALA repositories for a square input: shorter side to `int(256 / 224 * size)`
    /// (crop ratio 0.875) up to 224 pixels, no margin above.
    public static func ravlt(size: Int) -> Preprocessing {
        Preprocessing(inputHeight: size, inputWidth: size, cropPct: size > 224 ? 1 : 0.875)
    }

    /// Refuses values that no transform can follow: they may come from a card, a JSON file or a flag.
    ///
    /// - Throws: `ZooError` of kind `usage` that names the flag by which the value is given.
    public func validate() throws {
        func require(_ condition: Bool, _ flag: String, expected: String, found: String) throws {
            guard condition else {
                throw ZooError(
                    .usage, "preprocessing cannot be carried out", at: flag, expected: expected, found: found,
                    code: "preprocessing.invalid")
            }
        }
        let sizes = 1...Preprocessing.maximumSize
        try require(
            sizes.contains(inputHeight), "--image-size", expected: "1...\(sizes.upperBound)", found: "\(inputHeight)")
        try require(
            sizes.contains(inputWidth), "--image-size", expected: "1...\(sizes.upperBound)", found: "\(inputWidth)")
        // Below, the resized image would be needlessly huge; above, it would vanish.
        let ratios = 0.01...Double(min(inputHeight, inputWidth))
        try require(
            ratios.contains(cropPct), "--crop-pct", expected: "0.01...\(ratios.upperBound)", found: "\(cropPct)")
        try require(
            mean.count == 3 && mean.allSatisfy(\.isFinite), "--mean", expected: "3 finite numbers", found: "\(mean)")
        try require(
            std.count == 3 && std.allSatisfy { $0.isFinite && $0 > 0 }, "--std", expected: "3 positive numbers",
            found: "\(std)")
    }

    /// The largest input side that is accepted.
    public static let maximumSize = 16384
}
