import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooImage

/// A small image file and what Pillow makes of it; see `Tests/Fixtures/images/generate`.
struct ReferenceImage: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let mode: String
    let width: Int
    let height: Int
    let rgb_sha256: String
    let data: Data

    var testDescription: String { name }
    var bytes: [UInt8] { Array(data) }

    static func load(_ file: String) throws -> [ReferenceImage] {
        try JSONDecoder().decode([ReferenceImage].self, from: Data(contentsOf: URL(filePath: Fixtures.path(file))))
    }
}

struct DecodingTests {
    @Test func fidelityEveryPNGEqualsPillow() throws {
        let images = try ReferenceImage.load("images/png.json")
        #expect(images.count >= 150)
        for image in images { try check(image, format: .png) }
    }

    @Test func fidelityEveryJPEGEqualsPillow() throws {
        let images = try ReferenceImage.load("images/jpeg.json")
        #expect(images.count >= 60)
        for image in images { try check(image, format: .jpeg) }
    }

    private func check(_ reference: ReferenceImage, format: ImageFormat) throws {
        let decoded = try ImageDecoder.decode(reference.bytes, limits: ResourceLimits())
        let comment = Comment(rawValue: reference.name)
        #expect(decoded.format == format, comment)
        #expect(decoded.mode.rawValue == reference.mode, comment)
        #expect(decoded.image.width == reference.width && decoded.image.height == reference.height, comment)
        #expect(SHA256.hex(decoded.image.pixels) == reference.rgb_sha256, comment)
        // Indices beyond the palette are worth a warning; Pillow stays silent.
        #expect((decoded.status == .ok) == (reference.name != "palette-too-short"), comment)
    }

    @Test func determinismSecondDecodeIsEqual() throws {
        for image in try ReferenceImage.load("images/jpeg.json") {
            let limits = ResourceLimits()
            #expect(
                try ImageDecoder.decode(image.bytes, limits: limits) == ImageDecoder.decode(image.bytes, limits: limits)
            )
        }
    }

    @Test(arguments: ["photo.png", "photo.txt", "photo", "photo.jpeg.webp"])
    func formatIsChosenByContent(name: String) throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/\(name)"
        let source = Fixtures.path("images/preprocess/rgb420.jpg")
        try FileManager.default.copyItem(atPath: source, toPath: path)
        #expect(try ImageDecoder.decode(file: path, limits: ResourceLimits()).format == .jpeg)
    }

    @Test func warningsNameTheFile() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/cut.jpg"
        let bytes = try Data(contentsOf: URL(filePath: Fixtures.path("images/preprocess/rgb420.jpg")))
        try bytes.prefix(bytes.count / 2).write(to: URL(filePath: path))
        let preprocessor = try Preprocessor(.ravlt(size: 32))
        let limits = ResourceLimits()
        for status in [
            try ImageDecoder.decode(file: path, limits: limits).status,
            try preprocessor.crop(file: path, limits: limits).status,
        ] {
            guard case .warned(let error) = status else {
                Issue.record("\(status)")
                continue
            }
            #expect(error.file == path && error.code == ImageDefect.truncatedData.rawValue)
        }
    }

    @Test func rejectsFilesThatCannotBeRead() throws {
        let folder = try TemporaryFolder()
        let limits = ResourceLimits()
        func failure(_ path: String, _ limits: ResourceLimits) -> ZooError? {
            #expect(throws: ZooError.self) { try ImageDecoder.decode(file: path, limits: limits) }
        }
        let missing = failure("\(folder.path)/missing.jpg", limits)
        #expect(missing?.code == "file.cannot-open" && missing?.kind == .missingInput)
        #expect(missing?.file == "\(folder.path)/missing.jpg")
        #expect(failure(folder.path, limits)?.code == "file.not-regular")
        #expect(failure("/dev/zero", limits)?.code == "file.not-regular")
        let pipe = "\(folder.path)/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(failure(pipe, limits)?.code == "file.not-regular")
        var small = limits
        small.maxFileBytes = 100
        let large = failure(Fixtures.path("images/preprocess/rgb420.jpg"), small)
        #expect(large?.code == ImageDefect.fileTooLarge.rawValue && large?.kind == .limit)
    }
}

/// A folder that is removed with the last reference to it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}
