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
