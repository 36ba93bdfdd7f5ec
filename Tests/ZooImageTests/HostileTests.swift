import Foundation
import TestSupport
import Testing
import ZooCore
import ZooImage

/// Truncation, bit flips, decompression bombs, limits: whatever the bytes are, an outcome in bounded time and memory.
struct HostileTests {
    private static let limits = ResourceLimits()

    /// Small files of every kind, sound and malformed.
    private static func files() throws -> [(name: String, bytes: [UInt8])] {
        let images = try ReferenceImage.load("images/png.json") + ReferenceImage.load("images/jpeg.json")
        return images.map { ($0.name, $0.bytes) }
    }

    @Test func everyDefectIsProduced() throws {
        var seen: Set<ImageDefect> = [.outOfMemory, .jpegOther, .pngOther]
        for item in MalformedPNGTests.cases + (try MalformedJPEGTests.cases()) {
            if case .rejected(let defect) = item.expected { seen.insert(defect) }
            if case .warned(let defect) = item.expected { seen.insert(defect) }
        }
        // Asserted in tests of their own.
        seen.formUnion([.fileTooLarge, .tooMuchMemory, .wrongSize, .jpegTooManyScans])
        #expect(seen == Set(ImageDefect.allCases))
    }

    @Test func truncationAtEveryByteIsNoticed() throws {
        for (name, bytes) in try Self.files() where bytes.count <= 900 {
            let whole = try ImageDecoder.decode(bytes, limits: Self.limits)
            for length in 0..<bytes.count {
                do {
                    let part = try ImageDecoder.decode(Array(bytes.prefix(length)), limits: Self.limits)
                    #expect(part.status != .ok, "\(name) cut to \(length) bytes")
                    #expect(part.image.width == whole.image.width && part.image.height == whole.image.height)
                } catch let error as ZooError {
                    #expect(error.code.flatMap(ImageDefect.init) != nil, "\(name) cut to \(length) bytes: \(error)")
                }
            }
        }
    }

    /// A file that lacks only its end has all its pixels, and Pillow accepts it.
    @Test func truncationBehindThePixelsKeepsThem() throws {
        for (name, bytes) in try Self.files() where name.hasPrefix("color") {
            let whole = try ImageDecoder.decode(bytes, limits: Self.limits)
            // End chunk, checksum of the data chunk, most of the checksum of the stream.
            for cut in [4, 12, 16, 19] {
                let part = try ImageDecoder.decode(Array(bytes.dropLast(cut)), limits: Self.limits)
                #expect(part.image == whole.image, "\(name) without its last \(cut) bytes")
            }
        }
    }

    @Test(arguments: ["images/png.json", "images/jpeg.json"])
    func flippedBytesNeverTrap(file: String) throws {
        let images = try ReferenceImage.load(file)
        var small = Self.limits
        small.maxDecodeBytes = 64 << 20
        var state: UInt64 = 1
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var codes: Set<String> = []
        for _ in 0..<10_000 {
            var bytes = images[next(images.count)].bytes
            bytes[next(bytes.count)] ^= UInt8(1 + next(255))
            do {
                if case .warned(let error) = try ImageDecoder.decode(bytes, limits: small).status {
                    codes.insert(error.code ?? "none")
                }
            } catch let error as ZooError {
                codes.insert(error.code ?? "none")
            }
        }
        #expect(codes.allSatisfy { ImageDefect(rawValue: $0) != nil })
        #expect(codes.count >= 8)
    }

    @Test func hugeClaimsAreRefusedBeforeAllocation() throws {
        let png = PNGBuilder.file(header: PNGBuilder.header(width: 50_000, height: 50_000))
        let jpeg = try JPEGBuilder.sound().changing(JPEGBuilder.frame) {
            $0.payload.replaceSubrange(1..<5, with: [0xFF, 0xDC, 0xFF, 0xDC])
        }
        for bytes in [png, jpeg] {
            let time = try cpuTime {
                let outcome = try Malformed.outcome(of: bytes)
                #expect(outcome == .rejected(.tooManyPixels))
            }
            #expect(time < .milliseconds(500))
        }
    }

    @Test func truncatedGiantCostsNothing() throws {
        let stream = PNGBuilder.zlib([UInt8](repeating: 0, count: 20_000)).prefix(9000)
        let png = PNGBuilder.file(
            PNGBuilder.chunk("IHDR", PNGBuilder.header(width: 13_000, height: 13_000)),
            PNGBuilder.chunk("IDAT", Array(stream), length: 40_000))
        #expect(try Malformed.outcome(of: png) == .rejected(.truncatedData))
    }

    @Test func progressiveBombStopsAtTheScanLimit() throws {
        let reference = try #require(
            ReferenceImage.load("images/jpeg.json").first { $0.name.hasPrefix("ycc-22-11-11-progressive-restart0") })
        var file = JPEGBuilder(reference.bytes)
        let last = try #require(file.segments.last)
        file.segments += [JPEGBuilder.Segment](repeating: last, count: 1000)
        #expect(try Malformed.outcome(of: file.bytes) == .rejected(.jpegTooManyScans))
        var generous = Self.limits
        generous.maxScans = 2000
        #expect(try Malformed.outcome(of: file.bytes, limits: generous) == .warned(.corruptData))
    }

    @Test func memoryLimitHolds() throws {
        var small = Self.limits
        small.maxDecodeBytes = 100_000
        let image = noise(height: 300, width: 300)
        #expect(try Malformed.outcome(of: ImageEncoder.png(image), limits: small) == .rejected(.tooMuchMemory))
        #expect(try Malformed.outcome(of: ImageEncoder.jpeg(image), limits: small) == .rejected(.tooMuchMemory))
        small.maxDecodeBytes = 2000
        #expect(
            try Malformed.outcome(of: ImageEncoder.png(noise(height: 2, width: 2)), limits: small)
                == .rejected(.tooMuchMemory))
    }

    @Test func interlacedAndProgressiveImagesKeepToTheMemoryLimit() throws {
        var small = Self.limits
        small.maxDecodeBytes = 60_000
        let preprocessor = try Preprocessor(Preprocessing(inputHeight: 8, inputWidth: 8))
        let rows = [UInt8](repeating: 0, count: 200 * 601 + 600)
        let png = PNGBuilder.file(
            PNGBuilder.chunk("IHDR", PNGBuilder.header(width: 200, height: 200, interlace: 1)),
            PNGBuilder.chunk("IDAT", PNGBuilder.zlib(rows)), PNGBuilder.chunk("IEND"))
        let error = #expect(throws: ZooError.self) {
            try png.withUnsafeBytes { try preprocessor.crop(decoding: $0, limits: small) }
        }
        #expect(error?.code == ImageDefect.tooMuchMemory.rawValue && error?.kind == .limit)
    }

    /// A picture far above the memory limit goes through the streaming resize all the same.
    @Test func streamingNeedsNoWholeImage() throws {
        var small = Self.limits
        small.maxDecodeBytes = 1 << 20
        let image = noise(height: 700, width: 900)
        let preprocessor = try Preprocessor(Preprocessing(inputHeight: 32, inputWidth: 32))
        let whole = try preprocessor.crop(image, limits: Self.limits)
        let file = try ImageEncoder.png(image)
        let streamed = try file.withUnsafeBytes { try preprocessor.crop(decoding: $0, limits: small) }
        #expect(streamed.image == whole && streamed.status == .ok)
    }

    @Test func allocationFailuresAreErrors() throws {
        // libpng's allocations go through the budget: every budget below the need fails cleanly, wherever it runs out.
        let reference = try #require(ReferenceImage.load("images/png.json").first { $0.name.contains("adam7-13x11") })
        for budget in stride(from: 0, to: 60_000, by: 37) {
            var small = Self.limits
            small.maxDecodeBytes = budget
            let outcome = try Malformed.outcome(of: reference.bytes, limits: small)
            #expect(outcome == .rejected(.tooMuchMemory) || outcome == .decoded)
        }
    }

    @Test func rejectsFormatsThatAreNotDecoded() throws {
        #expect(ImageFormat.allCases.filter(\.isSupported) == [.jpeg, .png])
        let error = #expect(throws: ZooError.self) {
            try ImageDecoder.decode(Array("GIF89a".utf8), limits: Self.limits)
        }
        #expect(error?.found == "GIF" && error?.expected == "JPEG or PNG")
    }
}
