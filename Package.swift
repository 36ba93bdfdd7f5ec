// swift-tools-version: 6.2
import PackageDescription

// The rooms of the house are described in ARCHITECTURE.md. Arrows point downward only:
//   zoo -> ZooEval -> {ZooModels, ZooDatasets, ZooImage, ZooMetrics, ZooIO} -> ZooNN -> ZooCore -> CKernels
// A test reads this manifest's target graph and fails on an edge that is not in the picture.

// Folders of CKernels that carry a README with the operator's mathematics (SwiftPM wants them named).
let kernelReadmes = [
    "README.md", "activation/README.md", "attention/README.md", "conv/README.md", "dwconv/README.md",
    "fewhead/README.md", "filters/README.md", "gemm/README.md", "groupnorm/README.md", "inline/README.md",
    "linear/README.md", "mala/README.md", "norm/README.md", "pooling/README.md", "rala/README.md", "roofline/README.md",
    "rope/README.md", "rowmap/README.md", "scan/README.md", "scattered/README.md", "softmax/README.md",
    "winograd/README.md",
]

let package = Package(
    name: "zoo",
    products: [
        .library(name: "ZooModels", targets: ["ZooModels", "ZooIO", "ZooNN", "ZooCore"]),
        .library(name: "ZooDatasets", targets: ["ZooDatasets", "ZooImage"]),
        .library(name: "ZooEval", targets: ["ZooEval"]),
        .executable(name: "zoo", targets: ["zoo"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
    ],
    targets: [
        // C: kernels, embedded files, system libraries and the shims around them.
        .target(
            name: "CKernels",
            path: "CKernels",
            exclude: kernelReadmes + ["benchmarks"],
            cSettings: [.headerSearchPath(".")],
            linkerSettings: [.linkedLibrary("m"), .linkedLibrary("pthread")]),
        .target(name: "CEmbedded"),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .target(name: "CImageShim", dependencies: ["CPNG", "CJPEG"]),

        // Swift, from the ground up.
        .target(name: "ZooCore", dependencies: ["CKernels"]),
        .target(name: "ZooNN", dependencies: ["ZooCore", "CKernels"]),
        .target(name: "ZooIO", dependencies: ["ZooCore"]),
        .target(name: "ZooDiffusion", dependencies: ["ZooCore"]),
        .target(name: "ZooImage", dependencies: ["ZooCore", "CImageShim"]),
        .target(name: "ZooMetrics", dependencies: ["ZooCore", "COpenBLAS"]),
        .target(
            name: "ZooModels", dependencies: ["ZooNN", "ZooCore", "CEmbedded"], path: "Models",
            exclude: ["README.md", "Checkpoints"]),
        .target(
            name: "ZooDatasets", dependencies: ["ZooCore", "ZooIO", "CEmbedded"], path: "Datasets",
            exclude: ["README.md", "Samples"]),
        .target(
            name: "ZooEval",
            dependencies: [
                "ZooModels", "ZooDatasets", "ZooDiffusion", "ZooImage", "ZooMetrics", "ZooIO", "ZooNN", "ZooCore",
            ]),
        .target(name: "ZooBench", dependencies: ["ZooModels", "ZooIO", "ZooNN", "ZooCore", "CKernels"]),
        .executableTarget(
            name: "zoo",
            dependencies: [
                "ZooEval", "ZooBench", "ZooModels", "ZooDatasets", "ZooDiffusion", "ZooImage", "ZooMetrics", "ZooIO",
                "ZooNN", "ZooCore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        // Tests.
        .target(name: "TestSupport", dependencies: ["ZooIO", "ZooCore"], path: "Tests/TestSupport"),
        .target(name: "CTestSupport", path: "Tests/CTestSupport"),
        .testTarget(
            name: "CKernelsTests",
            dependencies: ["CKernels", "COpenBLAS", "CTestSupport", "ZooNN", "ZooCore", "ZooIO", "TestSupport"]),
        .testTarget(name: "ZooIOTests", dependencies: ["ZooIO", "ZooCore", "ZooNN", "TestSupport"]),
        .testTarget(name: "ZooDiffusionTests", dependencies: ["ZooDiffusion", "ZooIO", "ZooCore", "TestSupport"]),
        .testTarget(
            name: "ZooImageTests", dependencies: ["ZooImage", "CImageShim", "ZooIO", "ZooCore", "TestSupport"]),
        .testTarget(name: "ZooMetricsTests", dependencies: ["ZooMetrics", "ZooIO", "ZooCore", "TestSupport"]),
        .testTarget(
            name: "ZooModelsTests",
            dependencies: [
                "CKernels", "ZooModels", "ZooNN", "ZooDiffusion", "ZooImage", "ZooIO", "ZooCore", "CTestSupport",
                "TestSupport",
            ]),
        .testTarget(
            name: "ZooEvalTests",
            dependencies: [
                "ZooEval", "ZooDatasets", "ZooDiffusion", "ZooModels", "ZooImage", "ZooMetrics", "ZooIO", "ZooNN",
                "ZooCore", "TestSupport",
            ]),
        .testTarget(
            name: "ZooBenchTests",
            dependencies: ["ZooBench", "ZooModels", "ZooNN", "ZooIO", "ZooCore", "CTestSupport", "TestSupport"]),
        .testTarget(
            name: "CLITests", dependencies: ["zoo", "ZooIO", "ZooImage", "ZooModels", "ZooCore", "TestSupport"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)
