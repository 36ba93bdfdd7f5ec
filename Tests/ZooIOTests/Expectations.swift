import Foundation
import Testing
import ZooCore
import ZooIO

/// Expects `body` to throw a `ZooError` with the code of `defect`, printable on one line; returns it.
@discardableResult
func expectDefect(
    _ defect: some ParserDefect, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) -> ZooError? {
    do {
        try body()
        Issue.record("accepted; \(comment?.description ?? "")", sourceLocation: sourceLocation)
    } catch let error as ZooError {
        #expect(
            error.code == defect.rawValue, "\(comment?.description ?? ""): \(error)", sourceLocation: sourceLocation)
        #expect(!error.description.contains("\n"), sourceLocation: sourceLocation)
        return error
    } catch {
        Issue.record("threw \(error)", sourceLocation: sourceLocation)
    }
    return nil
}

/// Calls `body` with the path of a new folder that is removed afterwards.
func withTemporaryFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "zoo-io-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
}

/// The content of a file.
func readAll(_ path: String) throws -> [UInt8] {
    try ByteRegion(path: path).withBytes { [UInt8]($0) }
}

/// Whether the tests were compiled with optimisation; time bounds hold for that only.
var isOptimized: Bool {
    var optimized = true
    assert(
        {
            optimized = false
            return true
        }())
    return optimized
}

/// How many damaged files a test of robustness reads; unoptimised tests make do with fewer.
var damagedFiles: Int { isOptimized ? 10_000 : 300 }

/// The lengths to which a test of robustness cuts a file: all of them, or some where the tests are unoptimised.
func truncations(of bytes: [UInt8]) -> StrideTo<Int> { stride(from: 0, to: bytes.count, by: isOptimized ? 1 : 41) }
