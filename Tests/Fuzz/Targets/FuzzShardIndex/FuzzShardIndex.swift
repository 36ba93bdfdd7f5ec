import ZooCore
import ZooIO

/// An index of shards; the shards it names do not exist.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzShardIndex(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    do {
        _ = try ShardedSafetensors(index: ByteRegion(copying: bytes, name: "/nowhere/index.json"))
    } catch is ZooError {
    } catch {
        fatalError("\(error)")
    }
    return 0
}
