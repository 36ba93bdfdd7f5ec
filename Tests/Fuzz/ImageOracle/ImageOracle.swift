import ZooCore
import ZooImage

/// Decodes a file whole and as a stream into a crop, which must agree in pixels, status or error.
public func compareDecoders(_ bytes: [UInt8]) {
    var limits = ResourceLimits()
    // Small pictures leave the time to the parsers.
    limits.maxPixels = 1 << 16
    limits.maxDecodeBytes = 64 << 20
    do {
        let preprocessor = try Preprocessor(Preprocessing(inputHeight: 16, inputWidth: 24))
        let whole = try ImageDecoder.decode(bytes, limits: limits)
        let streamed = try bytes.withUnsafeBytes { try preprocessor.crop(decoding: $0, limits: limits) }
        precondition(whole.status == streamed.status, "\(whole.status), \(streamed.status)")
        let crop = try preprocessor.crop(whole.image, limits: limits)
        precondition(crop == streamed.image, "the stream has other pixels")
    } catch let error as ZooError {
        precondition(error.code.flatMap(ImageDefect.init) != nil, "\(error)")
    } catch {
        fatalError("\(error)")
    }
}
