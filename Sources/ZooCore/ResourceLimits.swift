/// How much an untrusted file may cost: one value handed down explicitly to every decoder.
///
/// The defaults are safe on a machine of ordinary size. What a file claims is compared with these numbers before
/// anything is allocated.
public struct ResourceLimits: Sendable, Equatable {
    /// Pixels of one image. The default is the number above which Pillow refuses, so that no picture the
    /// reference scores is refused here.
    public var maxPixels: Int = 178_956_970
    /// Bytes that decoding one image may hold at a time: pixels, coefficients, decoder state.
    public var maxDecodeBytes: Int = 512 << 20
    /// Scans of one progressive JPEG.
    public var maxScans: Int = 100
    /// Bytes of one compressed image file.
    public var maxFileBytes: Int = 512 << 20

    public init() {}

    /// The limits of one of `threads` decoders working side by side, which share the decode memory.
    public func shared(byDecoders threads: Int) -> ResourceLimits {
        var copy = self
        copy.maxDecodeBytes = max(maxDecodeBytes / max(threads, 1), 64 << 20)
        return copy
    }
}
