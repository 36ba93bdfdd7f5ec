import ZooCore
import ZooIO

/// A checkpoint of any format, as a user would open it; every tensor is decoded.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTorch(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    do {
        let checkpoint = try Checkpoint.open(ByteRegion(copying: bytes, name: "/nowhere/input"))
        for name in checkpoint.names {
            do {
                _ = try checkpoint.float64s(of: name)
            } catch let error as ZooError where error.code == ZipDefect.badChecksum.rawValue {}
        }
    } catch is ZooError {
    } catch {
        fatalError("\(error)")
    }
    return 0
}
