import ZooCore
import ZooIO

/// The storages that the streams may refer to.
private let storages = (0..<4).map { (name: "input/data/\($0)", content: [UInt8](repeating: 0x3C, count: 24)) }

/// A pickle stream inside a PyTorch file that is otherwise in order, so that no checksum stands before the
/// interpreter.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPickle(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let stream = Array(UnsafeBufferPointer(start: start, count: count))
    let archive = storedArchive([(name: "input/data.pkl", content: stream)] + storages)
    do {
        let file = try TorchFile(ByteRegion(copying: archive, name: "input"))
        for name in file.names { _ = try file.float64s(of: name) }
    } catch is ZooError {
    } catch {
        fatalError("\(error)")
    }
    return 0
}

/// A zip archive of stored entries.
private func storedArchive(_ entries: [(name: String, content: [UInt8])]) -> [UInt8] {
    var archive: [UInt8] = []
    var directory: [UInt8] = []
    for (name, content) in entries {
        let size = UInt32(content.count)
        var common = le(UInt16(20)) + [UInt8](repeating: 0, count: 8)
        common += le(crc32(content)) + le(size) + le(size) + le(UInt16(name.utf8.count)) + le(UInt16(0))
        directory += le(UInt32(0x0201_4B50)) + le(UInt16(20)) + common
        directory += [UInt8](repeating: 0, count: 10) + le(UInt32(archive.count)) + Array(name.utf8)
        archive += le(UInt32(0x0403_4B50)) + common + Array(name.utf8) + content
    }
    let count = UInt16(entries.count)
    var end = le(UInt32(0x0605_4B50)) + le(UInt32(0)) + le(count) + le(count)
    end += le(UInt32(directory.count)) + le(UInt32(archive.count)) + le(UInt16(0))
    return archive + directory + end
}

private func crc32(_ bytes: [UInt8]) -> UInt32 {
    var crc = ~UInt32(0)
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB8_8320 }
    }
    return ~crc
}

private func le(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
