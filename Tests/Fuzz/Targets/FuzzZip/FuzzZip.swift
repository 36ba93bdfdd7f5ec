import ZooCore
import ZooIO

/// A zip archive: the directory is parsed and every entry read.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzZip(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let region = ByteRegion(copying: Array(UnsafeBufferPointer(start: start, count: count)), name: "input")
    do {
        let archive = try ZipArchive(region)
        for entry in archive.entries {
            do {
                _ = try archive.withBytes(of: entry.name) { $0.reduce(0, &+) }
            } catch let error as ZooError where error.code == ZipDefect.badChecksum.rawValue {}
        }
    } catch is ZooError {
    } catch {
        fatalError("\(error)")
    }
    return 0
}
