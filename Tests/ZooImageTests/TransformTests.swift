import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage

/// One line of `resize.json`: Pillow's `Image.resize`.
struct ResizeCase: Decodable, Sendable {
    let width: Int
    let height: Int
    let toWidth: Int
    let toHeight: Int
    let interpolation: Preprocessing.Interpolation
    let sha256: String
}

/// One line of `transform.json`: the evaluation transform of timm.
struct TransformCase: Decodable, Sendable {
    let width: Int
    let height: Int
    let inputHeight: Int
    let inputWidth: Int
    let cropPct: Double
    let cropMode: Preprocessing.CropMode
    let interpolation: Preprocessing.Interpolation
    let sha256: String

    var preprocessing: Preprocessing {
        Preprocessing(
            inputHeight: inputHeight, inputWidth: inputWidth, cropPct: cropPct, interpolation: interpolation,
            cropMode: cropMode)
    }
}

struct TransformTests {
    private let limits = ResourceLimits()

    private func load<Case: Decodable>(_ file: String) throws -> [Case] {
        let data = try Data(contentsOf: URL(filePath: Fixtures.path("images/transforms/\(file)")))
        return try JSONDecoder().decode([Case].self, from: data)
    }

    @Test func fidelityResizeEqualsPillow() throws {
        let cases: [ResizeCase] = try load("resize.json")
        #expect(cases.count == 105)
        for item in cases {
            let resized = try noise(height: item.height, width: item.width).resized(
                height: item.toHeight, width: item.toWidth, interpolation: item.interpolation, limits: limits)
            #expect(SHA256.hex(resized.pixels) == item.sha256, "\(item)")
        }
    }

    @Test func fidelityTransformEqualsTimm() throws {
        let cases: [TransformCase] = try load("transform.json")
        #expect(cases.count == 60)
        for item in cases {
            let image = noise(height: item.height, width: item.width)
            let preprocessor = try Preprocessor(item.preprocessing)
            #expect(SHA256.hex(try preprocessor.crop(image, limits: limits).pixels) == item.sha256, "\(item)")
            let file = try ImageEncoder.png(image)
            let streamed = try file.withUnsafeBytes { try preprocessor.crop(decoding: $0, limits: limits) }
            #expect(SHA256.hex(streamed.image.pixels) == item.sha256, "\(item), streamed")
        }
    }

    /// Compares a normalised channels-last input with rows of a channels-first one, bit for bit.
    private func expectRows(
        of input: [Float], size: Int, every step: Int, equal golden: [Float], _ comment: Comment
    ) {
        let rows = stride(from: 0, to: size, by: step)
        var expected = golden.makeIterator()
        for channel in 0..<3 {
            for y in rows {
                for x in 0..<size {
                    let value = input[(y * size + x) * 3 + channel]
                    let golden = expected.next()
                    guard value == golden else {
                        Issue.record(
                            "\(comment): channel \(channel), row \(y), column \(x): \(value), not \(golden ?? .nan)")
                        return
                    }
                }
            }
        }
        #expect(expected.next() == nil)
    }

    private func input(_ image: RGBImage, _ preprocessing: Preprocessing) throws -> [Float] {
        let preprocessor = try Preprocessor(preprocessing)
        let crop = try preprocessor.crop(image, limits: limits)
        return [Float](unsafeUninitializedCapacity: preprocessor.inputCount) { buffer, count in
            buffer.initialize(repeating: .nan)
            preprocessor.normalize(crop, into: buffer)
            count = buffer.count
        }
    }

    @Test(arguments: [("a", 97, 131, 73, 98), ("b_upscale", 55, 40, 100, 73)])
    func fidelityRALAPreprocessing(
        name: String, height: Int, width: Int, resizedHeight: Int, resizedWidth: Int
    ) throws {
        let file = try SafetensorsFile(path: Fixtures.path("images/transforms/rala.case.safetensors"))
        let image = RGBImage(height: height, width: width, pixels: try file.uint8s(of: "\(name).image"))
        let resized = try image.resized(
            height: resizedHeight, width: resizedWidth, interpolation: .bicubic, limits: limits)
        #expect(try resized.pixels == file.uint8s(of: "\(name).resized"))
        let golden = try file.tensor("\(name).out").values
        expectRows(of: try input(image, .ravlt(size: 64)), size: 64, every: 1, equal: golden, "\(name)")
    }

    /// The image of a case is not stored: bytes of the seeded rule under the case's name.
    private func seededImage(_ name: String, height: Int, width: Int) -> RGBImage {
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
        state ^= 1
        let pixels = (1...(height * width * 3)).map { index in
            var z = state &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return UInt8((z ^ (z >> 31)) >> 56)
        }
        return RGBImage(height: height, width: width, pixels: pixels)
    }

    @Test(arguments: [("c_224", 224, 16), ("d_384", 384, 32)])
    func fidelityRALAPreprocessingOfFullSize(name: String, size: Int, step: Int) throws {
        let file = try SafetensorsFile(path: Fixtures.path("images/transforms/rala.case.safetensors"))
        let image = seededImage("image.\(name)", height: 300, width: 400)
        let golden = try file.tensor("\(name).out_rows").values
        expectRows(of: try input(image, .ravlt(size: size)), size: size, every: step, equal: golden, "\(name)")
    }

    @Test(arguments: [(40, 73), (97, 61), (211, 180)])
    func fidelityTimmPreprocessing(height: Int, width: Int) throws {
        let name = "images/transforms/op_preprocess_timm_\(height)x\(width)_to_56.case.safetensors"
        let file = try SafetensorsFile(path: Fixtures.path(name))
        let image = RGBImage(height: height, width: width, pixels: try file.uint8s(of: "image_u8"))
        let shape = try #require(file.info("resized_u8")).shape
        let resized = try image.resized(height: shape[0], width: shape[1], interpolation: .bicubic, limits: limits)
        #expect(try resized.pixels == file.uint8s(of: "resized_u8"))
        let preprocessing = Preprocessing(inputHeight: 56, inputWidth: 56, cropPct: 0.9)
        expectRows(
            of: try input(image, preprocessing), size: 56, every: 1, equal: try file.tensor("out").values, "\(name)")
    }

    /// InLine's evaluation squashes both sides to `int(256 / 224 * size)` or, without a crop, to the size itself.
    @Test(arguments: [
        ("211x180_to_56", 56, true), ("40x73_to_56", 56, true), ("70x90_to_40", 40, true), ("97x61_to_56", 56, true),
        ("nocrop_97x61_to_48", 48, false),
    ])
    func fidelitySquashPreprocessing(name: String, size: Int, crops: Bool) throws {
        let file = try SafetensorsFile(
            path: Fixtures.path("inline/op_preprocess_squash_\(name).case.safetensors"))
        let source = try #require(file.info("image_u8")).shape
        let image = RGBImage(height: source[0], width: source[1], pixels: try file.uint8s(of: "image_u8"))
        let shape = try #require(file.info("resized_u8")).shape
        let resized = try image.resized(height: shape[0], width: shape[1], interpolation: .bicubic, limits: limits)
        #expect(try resized.pixels == file.uint8s(of: "resized_u8"))
        let preprocessing = Preprocessing(
            inputHeight: size, inputWidth: size, cropPct: crops ? 0.875 : 1, cropMode: .squash)
        expectRows(
            of: try input(image, preprocessing), size: size, every: 1, equal: try file.tensor("out").values, "\(name)")
    }

    @Test func cropModeNoneTakesOnlyTheInputSize() throws {
        let preprocessing = Preprocessing(inputHeight: 4, inputWidth: 6, cropMode: .none)
        let preprocessor = try Preprocessor(preprocessing)
        let image = noise(height: 4, width: 6)
        #expect(try preprocessor.crop(image, limits: limits) == image)
        let error = #expect(throws: ZooError.self) {
            try preprocessor.crop(noise(height: 6, width: 4), limits: limits)
        }
        #expect(error?.code == ImageDefect.wrongSize.rawValue)
        #expect(error?.expected == "6x4" && error?.found == "4x6")
    }

    @Test func ravltRuleHasNoMarginAbove224() {
        #expect(Preprocessing.ravlt(size: 224).cropPct == 0.875)
        #expect(Preprocessing.ravlt(size: 225).cropPct == 1)
    }

    @Test func rejectsImpossiblePreprocessing() {
        let good = Preprocessing(inputHeight: 8, inputWidth: 8)
        let changes: [(String, (inout Preprocessing) -> Void)] = [
            ("--image-size", { $0.inputHeight = 0 }), ("--image-size", { $0.inputHeight = -1 }),
            ("--image-size", { $0.inputHeight = .max }), ("--image-size", { $0.inputWidth = 0 }),
            ("--image-size", { $0.inputWidth = 16385 }), ("--crop-pct", { $0.cropPct = 0 }),
            ("--crop-pct", { $0.cropPct = -0.875 }), ("--crop-pct", { $0.cropPct = .nan }),
            ("--crop-pct", { $0.cropPct = .infinity }), ("--crop-pct", { $0.cropPct = 9 }),
            ("--mean", { $0.mean = [] }), ("--mean", { $0.mean = [0.5, 0.5] }), ("--mean", { $0.mean[1] = .nan }),
            ("--std", { $0.std = [1, 1, 1, 1] }), ("--std", { $0.std[0] = 0 }), ("--std", { $0.std[2] = -1 }),
            ("--std", { $0.std[2] = .infinity }),
        ]
        for (property, change) in changes {
            var bad = good
            change(&bad)
            let error = #expect(throws: ZooError.self) { try Preprocessor(bad) }
            #expect(error?.location == property && error?.kind == .usage)
        }
    }

    @Test func rejectsResizeToImpossibleSizes() {
        for (height, width) in [(0, 1), (1, 0), (-1, 1), (16385, 1), (Int.max, Int.max)] {
            #expect(throws: ZooError.self) {
                try noise(height: 2, width: 2).resized(
                    height: height, width: width, interpolation: .bicubic, limits: limits)
            }
        }
    }

    @Test func rejectsResizeBeyondTheMemoryLimit() {
        var small = limits
        small.maxDecodeBytes = 10_000
        let error = #expect(throws: ZooError.self) {
            try noise(height: 1, width: 4000).resized(height: 1, width: 10, interpolation: .lanczos, limits: small)
        }
        #expect(error?.code == ImageDefect.tooMuchMemory.rawValue && error?.kind == .limit)
    }

    @Test func preprocessingSurvivesJSON() throws {
        let value = Preprocessing(
            inputHeight: 32, inputWidth: 48, cropPct: 0.9, interpolation: .lanczos, cropMode: .squash,
            mean: [0.5, 0.5, 0.5], std: [0.5, 0.25, 0.5])
        let data = try JSONEncoder().encode(value)
        #expect(try JSONDecoder().decode(Preprocessing.self, from: data) == value)
    }
}
