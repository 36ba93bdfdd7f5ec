import ArgumentParser
import ZooCore
import ZooIO
import ZooImage
import ZooModels

struct PreprocessCommand: Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "preprocess",
        abstract: "Write exactly what a model sees of an image.",
        discussion: """
            A .png holds the 8-bit pixels after resize and crop; a .safetensors holds the tensor 'input' (1, 3, H, W) \
            after normalisation, in float32.
            """)

    static let examples = [
        "zoo preprocess sample:chelsea.png --model ravlt-t --output chelsea-224.png",
        "zoo preprocess sample:china.jpg --image-size 96 --crop-pct 1 --interpolation lanczos "
            + "--output china-96.safetensors",
    ]

    @Argument(help: "\(ImageArgument.help)", completion: .file())
    var image: String

    @Option(help: "Where to write: OUT.png or OUT.safetensors.")
    var output: String

    @Option(help: "Take the preprocessing of this model's card (default: 224, 0.875, bicubic).", completion: .models)
    var model: String?

    @OptionGroup var preprocessing: PreprocessingOptions

    @Option(help: "Mean of red, green and blue, subtracted after scaling to 0...1: R,G,B.")
    var mean: String?

    @Option(help: "Standard deviation of red, green and blue, divided by: R,G,B.")
    var std: String?

    func run() throws {
        try Output.check(output, endsIn: [".png", ".safetensors"], at: "--output")
        try Output.check(file: output)
        let card = try model.map { try Registry.card(named: $0).preprocessing }
        var settings = try preprocessing.apply(to: card ?? .ravlt(size: 224))
        if let mean { settings.mean = try numbers(mean, "--mean") }
        if let std { settings.std = try numbers(std, "--std") }
        let preprocessor = try Preprocessor(settings)
        let limits = ResourceLimits()
        let decoded = try ImageArgument.withBytes(of: image, limits: limits) {
            try preprocessor.crop(decoding: $0, limits: limits)
        }
        if case .warned(let warning) = decoded.status { Output.warning("\(warning.naming(file: image))") }
        if output.lowercased().hasSuffix(".png") {
            let png = try ImageEncoder.png(decoded.image)
            try AtomicFile.write(to: output) { try $0.write(png) }
        } else {
            try write(decoded.image, preprocessor)
        }
    }

    private func write(_ image: RGBImage, _ preprocessor: Preprocessor) throws {
        let pixels = image.height * image.width
        var channelsLast = [Float](repeating: 0, count: preprocessor.inputCount)
        channelsLast.withUnsafeMutableBufferPointer { preprocessor.normalize(image, into: $0) }
        let planes = (0..<3).flatMap { channel in (0..<pixels).map { channelsLast[3 * $0 + channel] } }
        var writer = SafetensorsWriter()
        writer.add("input", Tensor(shape: [1, 3, image.height, image.width], values: planes))
        try writer.write(to: output)
    }

    private func numbers(_ text: String, _ flag: String) throws -> [Double] {
        let values = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
        guard values.count == 3, let r = values[0], let g = values[1], let b = values[2] else {
            throw ZooError(.usage, "not three numbers", at: flag, expected: "R,G,B", found: text)
        }
        return [r, g, b]
    }
}
