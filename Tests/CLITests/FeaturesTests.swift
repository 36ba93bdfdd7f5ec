import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage
import ZooModels

/// `zoo features`: preprocessing and forward pass in one.
@Suite struct FeaturesTests {
    private let images = ["rgb8.png", "rgb444.jpg"].map { Fixtures.path("images/preprocess/\($0)") }

    @Test func fidelityToPreprocessingAndRun() throws {
        let folder = try TemporaryFolder()
        let output = folder.path("features.safetensors")
        try zooSucceeds(["features", "ravlt-nano"] + images + ["--output", output])
        let features = try SafetensorsFile(path: output)
        #expect(features.names == ["out0", "out1", "out2", "out3", "pre_logits"])
        #expect(features.metadata["image.0"] == images[0] && features.metadata["image.1"] == images[1])
        #expect(try features.tensor("pre_logits").shape == [2, 96])
        #expect(try features.tensor("out0").shape == [2, 24, 8, 8])

        // The same through the library's preprocessing and zoo run.
        let preprocessor = try Preprocessor(try Registry.card(named: "ravlt-nano").preprocessing)
        var pixels = Tensor(zeros: [2, 32, 32, 3])
        for (index, image) in images.enumerated() {
            let cropped = try preprocessor.crop(file: image, limits: ResourceLimits()).image
            pixels.withUnsafeMutableValues {
                let part = $0[index * preprocessor.inputCount..<(index + 1) * preprocessor.inputCount]
                preprocessor.normalize(cropped, into: UnsafeMutableBufferPointer(rebasing: part))
            }
        }
        var writer = SafetensorsWriter()
        writer.add("input", pixels.channelsFirst())
        try writer.write(to: folder.path("in.safetensors"))
        let result = folder.path("out.safetensors")
        try zooSucceeds([
            "run", "ravlt-nano", "--input", folder.path("in.safetensors"), "--output", result, "--intermediates",
        ])
        let run = try SafetensorsFile(path: result)
        for name in features.names { #expect(try features.tensor(name) == run.tensor(name)) }
    }

    @Test func rejectsUnreadableImages() throws {
        let folder = try TemporaryFolder()
        let output = folder.path("out.safetensors")
        try zooFails(
            ["features", "ravlt-nano", folder.path("none.png"), "--output", output], with: 66, mentioning: "none.png")
        let text = try folder.write("not an image", to: "text.png")
        try zooFails(["features", "ravlt-nano", text, "--output", output], with: 65, mentioning: "text.png")
        try zooFails(["features", "ravlt-nano", images[0], "--output", folder.path], with: 73, mentioning: folder.path)
    }

    @Test func warnsOfTruncatedImages() throws {
        let folder = try TemporaryFolder()
        let bytes = try Data(contentsOf: URL(filePath: images[1]))
        let path = folder.path("half.jpg")
        try bytes.prefix(bytes.count * 3 / 4).write(to: URL(filePath: path))
        let result = try zooSucceeds(["features", "ravlt-nano", path, "--output", folder.path("out.safetensors")])
        #expect(result.errors.hasPrefix("zoo: warning: \(path)"))
    }
}
