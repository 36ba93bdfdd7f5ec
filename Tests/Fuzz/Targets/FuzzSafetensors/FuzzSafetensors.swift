import ZooCore
import ZooIO

/// A safetensors file: the header is parsed and every tensor decoded.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let region = ByteRegion(copying: Array(UnsafeBufferPointer(start: start, count: count)), name: "input")
    do {
        let file = try SafetensorsFile(region)
        for name in file.names { _ = try file.float64s(of: name) }
    } catch is ZooError {
    } catch {
        fatalError("\(error)")
    }
    return 0
}
