import Testing
import ZooCore
import ZooImage

struct EncodingTests {
    @Test(arguments: [(1, 1), (1, 300), (300, 1), (37, 53)])
    func fidelityPNGRoundTripIsExact(height: Int, width: Int) throws {
        let image = noise(height: height, width: width)
        let decoded = try ImageDecoder.decode(ImageEncoder.png(image), limits: ResourceLimits())
        #expect(decoded.image == image)
        #expect(decoded.status == .ok && decoded.mode == .rgb)
    }

    @Test func fidelityGreyPNGRoundTripIsExact() throws {
        let grey = noise(height: 9, width: 21).pixels.prefix(9 * 21)
        let decoded = try ImageDecoder.decode(
            ImageEncoder.png(grey: Array(grey), height: 9, width: 21), limits: ResourceLimits())
        #expect(decoded.image.pixels == grey.flatMap { [$0, $0, $0] })
        #expect(decoded.mode == .grey)
    }

    @Test func textIsInTheFileAndChangesNoPixel() throws {
        let image = noise(height: 3, width: 4)
        let bytes = try ImageEncoder.png(
            image, text: [.init("Software", "zoo"), .init("Title", "ein Häuschen")])
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains("tEXtSoftware\0zoo"))
        #expect(text.contains("iTXtTitle") && text.contains("ein Häuschen"))
        let decoded = try ImageDecoder.decode(bytes, limits: ResourceLimits())
        #expect(decoded.image == image && decoded.status == .ok)
    }

    @Test(arguments: ["", String(repeating: "k", count: 80), "Überschrift", "line\nbreak", " padded"])
    func rejectsKeywordsThatPNGCannotHold(keyword: String) {
        #expect(throws: ZooError.self) {
            try ImageEncoder.png(noise(height: 1, width: 1), text: [.init(keyword, "value")])
        }
    }

    @Test(arguments: [false, true])
    func fidelityJPEGOfHighQualityIsClose(subsampled: Bool) throws {
        let width = 64
        var pixels: [UInt8] = []
        for y in 0..<width {
            for x in 0..<width { pixels += [UInt8(2 * x), UInt8(2 * y), UInt8(x + y)] }
        }
        let image = RGBImage(height: width, width: width, pixels: pixels)
        let bytes = try ImageEncoder.jpeg(image, quality: 98, subsampled: subsampled)
        let decoded = try ImageDecoder.decode(bytes, limits: ResourceLimits())
        let worst = zip(decoded.image.pixels, pixels).map { abs(Int($0) - Int($1)) }.max()
        #expect(try #require(worst) <= 8)
        #expect(decoded.status == .ok && decoded.format == .jpeg)
    }

    @Test func largeJPEGOutgrowsTheBuffer() throws {
        let image = noise(height: 200, width: 300)
        let bytes = try ImageEncoder.jpeg(image, quality: 100)
        #expect(bytes.count > 65536)
        #expect(try ImageDecoder.decode(bytes, limits: ResourceLimits()).status == .ok)
    }

    @Test(arguments: [0, 101, -1])
    func rejectsQualityOutOfRange(quality: Int) {
        #expect(throws: ZooError.self) { try ImageEncoder.jpeg(noise(height: 1, width: 1), quality: quality) }
    }

    @Test func rejectsSidesBeyondJPEG() {
        let wide = RGBImage(height: 1, width: 65501, pixels: [UInt8](repeating: 0, count: 3 * 65501))
        #expect(throws: ZooError.self) { try ImageEncoder.jpeg(wide) }
    }
}
