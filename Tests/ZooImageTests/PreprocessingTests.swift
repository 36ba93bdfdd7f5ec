import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage

/// Decoding, resizing and cropping against hashes of what Pillow and the evaluation transform of timm produce.
struct PreprocessingTests {
    static let cases = GoldenCase.load()

    @Test(arguments: cases)
    func fidelityDecodedPixelsEqualPillows(_ golden: GoldenCase) throws {
        let decoded = try ImageDecoder.decode(file: golden.path, limits: ResourceLimits())
        #expect(decoded.image.width == golden.width)
        #expect(decoded.image.height == golden.height)
        #expect(decoded.mode.rawValue == golden.mode)
        #expect(decoded.status == .ok)
        if let hash = golden.rgb_sha256 { #expect(SHA256.hex(decoded.image.pixels) == hash) }
    }

    @Test(arguments: cases)
    func fidelityTransformedPixelsEqualTimms(_ golden: GoldenCase) throws {
        let limits = ResourceLimits()
        let decoded = try ImageDecoder.decode(file: golden.path, limits: limits)
        for view in golden.views {
            let preprocessor = try Preprocessor(view.preprocessing)
            #expect(SHA256.hex(try preprocessor.crop(decoded.image, limits: limits).pixels) == view.sha256)
            let streamed = try preprocessor.crop(file: golden.path, limits: limits)
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

    /// Photographs are not among the fixtures; they lie in the folder beside the package.
    var path: String {
        file.contains("/") ? Fixtures.shared(file) ?? file : Fixtures.path("images/preprocess/\(file)")
    }

    static func load() -> [GoldenCase] {
        struct File: Decodable { let cases: [GoldenCase] }
        guard let data = try? Data(contentsOf: URL(filePath: Fixtures.path("images/preprocess/cases.json"))),
            let file = try? JSONDecoder().decode(File.self, from: data)
        else { return [] }
        return file.cases.filter { !$0.file.contains("/") || Fixtures.shared($0.file) != nil }
    }
}
