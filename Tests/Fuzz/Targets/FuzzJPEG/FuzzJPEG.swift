import ImageOracle

/// A JPEG file: decoded whole and streamed into a crop, which must agree.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJPEG(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    compareDecoders(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
