import Foundation
import TestSupport
import Testing

/// The arrows of ARCHITECTURE.md, checked against the manifest and the sources.
@Suite struct HouseTests {
    /// What each room may use directly.
    static let allowed: [String: Set<String>] = [
        "CKernels": [], "CEmbedded": [], "CImageShim": ["CPNG", "CJPEG"],
        "ZooCore": ["CKernels"],
        "ZooNN": ["ZooCore", "CKernels"],
        "ZooIO": ["ZooCore"],
        "ZooDiffusion": ["ZooCore"],
        "ZooImage": ["ZooCore", "CImageShim"],
        "ZooMetrics": ["ZooCore", "COpenBLAS"],
        "ZooModels": ["ZooNN", "ZooCore", "CEmbedded"],
        "ZooDatasets": ["ZooCore", "ZooIO", "CEmbedded"],
        "ZooEval": ["ZooModels", "ZooDatasets", "ZooDiffusion", "ZooImage", "ZooMetrics", "ZooIO", "ZooNN", "ZooCore"],
        "ZooBench": ["ZooModels", "ZooIO", "ZooNN", "ZooCore", "CKernels"],
        "zoo": [
            "ZooEval", "ZooBench", "ZooModels", "ZooDatasets", "ZooDiffusion", "ZooImage", "ZooMetrics", "ZooIO",
            "ZooNN",
            "ZooCore", "ArgumentParser", "CKernels", "CImageShim",
        ],
    ]

    /// The text from the first match of `start` to the next `end`.
    private static func section(_ text: Substring, from start: String, to end: String) -> Substring? {
        guard let open = text.range(of: start) else { return nil }
        guard let close = text[open.upperBound...].range(of: end) else { return nil }
        return text[open.upperBound..<close.lowerBound]
    }

    /// Every word in double quotes.
    private static func quoted(_ text: Substring) -> [String] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    @Test func arrowsPointDownward() throws {
        let manifest = try String(contentsOfFile: Fixtures.inPackage("Package.swift"), encoding: .utf8)
        var seen = Set<String>()
        for piece in manifest.components(separatedBy: "arget(").dropFirst() {
            guard let name = Self.quoted(piece.prefix(200)).first, let allowed = Self.allowed[name] else { continue }
            seen.insert(name)
            var found = Set<String>()
            if let list = Self.section(piece[...], from: "dependencies: [", to: "]") {
                let names = Self.quoted(list[...]).filter { $0 != "swift-argument-parser" }
                found = Set(names)
            }
            #expect(found.isSubset(of: allowed), "\(name) may not use \(found.subtracting(allowed).sorted())")
        }
        #expect(seen == Set(Self.allowed.keys))
    }

    /// A model file knows layers and nothing else.
    @Test func modelsImportOnlyLayers() throws {
        let folder = Fixtures.inPackage("Models")
        for file in try FileManager.default.contentsOfDirectory(atPath: folder) where file.hasSuffix(".swift") {
            let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
            let imports = text.split(separator: "\n").filter { $0.hasPrefix("import ") }.map { $0.dropFirst(7) }
            let allowed: Set<Substring> =
                file == "Registry.swift" ? ["ZooCore", "ZooNN", "CEmbedded"] : ["ZooCore", "ZooNN"]
            #expect(Set(imports).isSubset(of: allowed), "\(file)")
        }
    }

    @Test func manifestIsFreeOfUnsafeFlags() throws {
        let manifest = try String(contentsOfFile: Fixtures.inPackage("Package.swift"), encoding: .utf8)
        #expect(!manifest.contains("unsafeFlags("))
    }
}
