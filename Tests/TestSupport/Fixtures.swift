import Foundation

/// Where test data lies. Small cases are part of the repository; the full-size golden data stand beside it in
/// `../shared` where the project is developed, and tests that need them are disabled elsewhere.
package enum Fixtures {
    private static let packageRoot = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// A file or folder below `Tests/Fixtures`.
    package static func path(_ relative: String) -> String {
        packageRoot.appending(path: "Tests/Fixtures/\(relative)").path
    }

    /// A file or folder of the package, such as `Datasets/Samples`.
    package static func inPackage(_ relative: String) -> String {
        packageRoot.appending(path: relative).path
    }

    /// A file below `../shared`, `nil` where there is none.
    package static func shared(_ relative: String) -> String? {
        let path = packageRoot.deletingLastPathComponent().appending(path: "shared/\(relative)").path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }

    /// Whether the full-size golden data are here.
    package static var hasShared: Bool { shared("golden") != nil }

    /// The parsed JSON of a file.
    package static func json(_ path: String) throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path)))
        guard let dictionary = object as? [String: Any] else { throw CocoaError(.fileReadCorruptFile) }
        return dictionary
    }
}

/// The distance of two vectors relative to the second: `|a - b| / |b|`, in float64.
package func relativeL2(_ a: some Collection<Float>, _ b: some Collection<Double>) -> Double {
    guard a.count == b.count else { return .infinity }
    var difference = 0.0
    var norm = 0.0
    for (x, y) in zip(a, b) {
        difference += (Double(x) - y) * (Double(x) - y)
        norm += y * y
    }
    return difference == 0 ? 0 : (difference / norm).squareRoot()
}
