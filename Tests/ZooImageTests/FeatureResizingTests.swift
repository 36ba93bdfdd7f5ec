import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage

@Suite struct FeatureResizingTests {
    private let tensors: SafetensorsFile

    init() throws { tensors = try SafetensorsFile(path: Fixtures.path("metrics/resize.case.safetensors")) }

    private func image(_ name: String) throws -> RGBImage {
        let shape = try #require(tensors.info("\(name).u8")).shape
        return RGBImage(height: shape[0], width: shape[1], pixels: try tensors.uint8s(of: "\(name).u8"))
    }

    @Test(arguments: ["up", "down", "mixed", "same", "one"])
    func fidelityOfTheThreeResizes(name: String) throws {
        let image = try image(name)
        for (resizing, key, tolerance) in [
            // PyTorch's sums may be rounded in another order: two units in the last place of 255.
            (FeatureResizing.tensorflow, "tf1", Float(0)), (.clean, "pil_bicubic_f", 0), (.torch, "torch", 3.1e-5),
        ] {
            let expected = try tensors.tensor("\(name).\(key)")
            let found = resizing.resized(image, height: expected.shape[0], width: expected.shape[1])
            #expect(found.shape == expected.shape)
            let worst = zip(found.values, expected.values).reduce(0) { max($0, abs($1.0 - $1.1)) }
            #expect(worst <= tolerance, "\(key): \(worst)")
        }
    }

    @Test(arguments: ["a", "b", "c", "d", "e"])
    func fidelityOfTheTrainingCrop(name: String) throws {
        let found = try image("crop-\(name)").centreCropped(to: 16, limits: ResourceLimits())
        #expect(found.pixels == (try tensors.uint8s(of: "crop-\(name).out")))
    }

    @Test func rejectsCropsOfNoSize() throws {
        let image = RGBImage(height: 2, width: 2, pixels: [UInt8](repeating: 1, count: 12))
        for size in [0, -1, 1 << 40] {
            #expect(throws: ZooError.self) { try image.centreCropped(to: size, limits: ResourceLimits()) }
        }
    }

    @Test func networkInputsAreNormalisedAsTheImplementationsDo() throws {
        let black = RGBImage(height: 1, width: 1, pixels: [0, 128, 255])
        #expect(FeatureResizing.tensorflow.networkInput(black, size: 1).values == [-1, 0, 127 / 128])
        #expect(FeatureResizing.clean.networkInput(black, size: 1).values == [-1, 0, 127 / 128])
        #expect(FeatureResizing.torch.networkInput(black, size: 1).values[2] == 1)
    }

    @Test(arguments: SampleRounding.allCases)
    func fidelityOfRounding(rule: SampleRounding) throws {
        let golden = try SafetensorsFile(path: Fixtures.path("vae/rounding.case.safetensors"))
        let expected = try golden.uint8s(of: rule == .adm ? "dit_u8" : "save_image_u8")
        #expect(try golden.tensor("v").values.map(rule.byte) == expected)
        for (value, byte) in [(Float.nan, 0), (.infinity, 255), (-.infinity, 0), (1e30, 255)] as [(Float, UInt8)] {
            #expect(rule.byte(value) == byte)
        }
        let image = rule.image([-1, 0, 1, 1, 0, -1], height: 1, width: 2)
        #expect(image.pixels == [0, 128, 255, 255, 128, 0])
    }

    @Test(arguments: SampleRounding.allCases)
    func fidelityOfRoundingDecodedImages(rule: SampleRounding) throws {
        let golden = try SafetensorsFile(path: Fixtures.path("vae/tiny.case.safetensors"))
        let image = try golden.tensor("image").channelsLast()
        let expected = try golden.uint8s(of: rule == .adm ? "image_u8" : "image_u8_save_image")
        #expect(rule.image(image.values, height: 32, width: 24).pixels == expected)
    }
}
