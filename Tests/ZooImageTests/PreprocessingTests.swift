import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage

/// Decoding, resizing and cropping against hashes of what Pillow and the evaluation transform of timm produce.
struct PreprocessingTests {
    static let cases = GoldenCase.load()

    @Test func everyCaseIsThere() {
        #expect(Self.cases.count == 19)
    }

    @Test(arguments: cases)
    func fidelityDecodedPixelsEqualPillows(_ golden: GoldenCase) throws {
        let decoded = try ImageDecoder.decode(golden.bytes(), limits: ResourceLimits())
        #expect(decoded.image.width == golden.width)
        #expect(decoded.image.height == golden.height)
        #expect(decoded.mode.rawValue == golden.mode)
        #expect(decoded.status == .ok)
        if let hash = golden.rgb_sha256 { #expect(SHA256.hex(decoded.image.pixels) == hash) }
    }

    @Test(arguments: cases)
    func fidelityTransformedPixelsEqualTimms(_ golden: GoldenCase) throws {
        let limits = ResourceLimits()
        let bytes = try golden.bytes()
        let decoded = try ImageDecoder.decode(bytes, limits: limits)
        for view in golden.views {
            let preprocessor = try Preprocessor(view.preprocessing)
            #expect(SHA256.hex(try preprocessor.crop(decoded.image, limits: limits).pixels) == view.sha256)
            let streamed = try bytes.withUnsafeBytes { try preprocessor.crop(decoding: $0, limits: limits) }
            #expect(SHA256.hex(streamed.image.pixels) == view.sha256)
            #expect(streamed.status == decoded.status && streamed.mode == decoded.mode)
        }
    }
}

/// One entry of `cases.json`.
struct GoldenCase: Decodable, Sendable, CustomTestStringConvertible {
    struct View: Decodable, Sendable {
        struct Config: Decodable, Sendable {
            let input_size: Int
            let crop_pct: Double
            let interpolation: Preprocessing.Interpolation
        }
        let config: Config
        let sha256: String

        var preprocessing: Preprocessing {
            Preprocessing(
                inputHeight: config.input_size, inputWidth: config.input_size, cropPct: config.crop_pct,
                interpolation: config.interpolation)
        }
    }
    let file: String
    let mode: String
    let width: Int
    let height: Int
    let rgb_sha256: String?
    let views: [View]

    var testDescription: String { file }

    /// The image file: a fixture, or one of the embedded sample photographs, whose names are longer here.
    func bytes() throws -> [UInt8] {
        let prefix = "data/photos/"
        guard file.hasPrefix(prefix) else {
            return Array(try Data(contentsOf: URL(filePath: Fixtures.path("images/preprocess/\(file)"))))
        }
        let archive = try ZipArchive(ByteRegion(path: Fixtures.inPackage("Datasets/Samples/imagenet-sample.zip")))
        return try archive.withBytes(of: String(file.dropFirst(prefix.count))) { Array($0) }
    }

    static func load() -> [GoldenCase] {
        struct File: Decodable { let cases: [GoldenCase] }
        let path = Fixtures.path("images/preprocess/cases.json")
        return (try? JSONDecoder().decode(File.self, from: Data(contentsOf: URL(filePath: path))))?.cases ?? []
    }
}
