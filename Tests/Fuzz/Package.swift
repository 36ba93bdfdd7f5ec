// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets, one executable per parser: see README.md. A package of its own, so that nobody who builds or
// imports zoo meets libFuzzer and its compiler flags.

let libFuzzer: [SwiftSetting] = [.unsafeFlags(["-parse-as-library"])]

func fuzzTarget(_ name: String, _ modules: String..., support: [Target.Dependency] = []) -> Target {
    .executableTarget(
        name: name, dependencies: support + modules.map { .product(name: $0, package: "zoo") },
        path: "Targets/\(name)", swiftSettings: libFuzzer)
}

let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "zoo", path: "../..")],
    targets: [
        fuzzTarget("FuzzSafetensors", "ZooModels"),
        fuzzTarget("FuzzShardIndex", "ZooModels"),
        fuzzTarget("FuzzZip", "ZooModels"),
        fuzzTarget("FuzzPickle", "ZooModels"),
        fuzzTarget("FuzzTorch", "ZooModels"),
        fuzzTarget("FuzzJPEG", "ZooDatasets", support: ["ImageOracle"]),
        fuzzTarget("FuzzPNG", "ZooDatasets", support: ["ImageOracle"]),
        fuzzTarget("FuzzResize", "ZooDatasets"),
        .target(
            name: "ImageOracle", dependencies: [.product(name: "ZooDatasets", package: "zoo")], path: "ImageOracle"),
    ],
    swiftLanguageModes: [.v6]
)
