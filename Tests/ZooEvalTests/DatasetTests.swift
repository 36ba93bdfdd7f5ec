import Foundation
import TestSupport
import Testing
import ZooCore
import ZooDatasets

/// The bytes of one embedded photograph.
func sampleImage(_ name: String = "coffee.jpg") throws -> Data {
    try EmbeddedSample.withBytes(named: name) { Data($0) }
}

/// Writes files, given by path below `folder`, and the folders they need.
func write(_ files: [String: Data], below folder: String) throws {
    for (path, content) in files {
        let url = URL(filePath: folder).appending(path: path)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try content.write(to: url)
    }
}

/// Whether an error is a `ZooError` with this code.
func hasCode(_ code: String) -> (any Error) -> Bool {
    { ($0 as? ZooError)?.code == code }
}

@Suite struct EmbeddedDatasetTests {
    @Test(arguments: ["digits", "digits-train", "imagenet-subset"])
    func rejectsLabelsForImagesThatBringTheirs(_ name: String) throws {
        #expect {
            try DatasetCatalog.open(name, labels: "val.txt", home: ZooHome(path: "/nowhere"))
        } throws: { error in
            guard let error = error as? ZooError else { return false }
            return error.kind == .usage && error.file == name && error.location == "--labels"
        }
    }

    @Test func digitsAreTheTestSplitInNaturalOrder() throws {
        let digits = try DatasetCatalog.open("digits")
        #expect(digits.samples.count == 360)
        #expect(digits.classes == (0..<10).map(String.init))
        #expect(digits.samples.first?.id == "0/1445.png")
        #expect(digits.origin == .embedded)
        #expect(try DatasetCatalog.open("digits-train").samples.count == 1437)
    }

    @Test func theSampleOfImageNetHasFourLabelledPhotographs() throws {
        let home = ZooHome(path: "/nowhere")
        let sample = try DatasetCatalog.open("imagenet-subset", home: home)
        #expect(sample.classes == ["n02123045", "n03773504", "n03877845", "n07920052"])
        #expect(sample.samples.count == 4)
    }

    /// A changed archive, order or label must show.
    @Test func determinismOfFingerprints() throws {
        #expect(
            try DatasetCatalog.open("digits").fingerprint
                == "b66afafd852a6a31b6ef8d7ca9bd4805bd811095489cd14c7a875fc681d7026a")
    }

    @Test func everyClassOfImageNetIsFoundByIdIndexAndUniqueName() throws {
        #expect(ImageNetClasses.all.count == 1000)
        #expect(ImageNetClasses.all.map(\.index) == Array(0..<1000))
        for item in ImageNetClasses.all {
            #expect(try ImageNetClasses.find(item.wnid) == item)
            #expect(try ImageNetClasses.find("\(item.index)") == item)
        }
        #expect(try ImageNetClasses.find("Tiger_Shark").index == 3)
        #expect(try ImageNetClasses.find("missile").index == 657)
        #expect(throws: ZooError.self) { try ImageNetClasses.find("crane") }
        #expect(throws: ZooError.self) { try ImageNetClasses.find("1000") }
        #expect(throws: ZooError.self) { try ImageNetClasses.find("") }
    }

    @Test(arguments: ["imagenette": 10, "mini-imagenet": 100, "imagenet-a": 200, "imagenet-r": 200])
    func readyListsNameTheirClasses(_ list: String, _ count: Int) throws {
        #expect(Set(try #require(ClassSelection(list).names)).count == count)
    }
}

@Suite struct FolderDatasetTests {
    @Test func contentDecidesAndNothingIsDroppedSilently() throws {
        try withTemporaryFolder { folder in
            let image = try sampleImage()
            try write(
                [
                    "n01440764/b10.JPEG": image, "n01440764/b2.JPEG": image, "n01440764/without-extension": image,
                    "n01440764/broken.jpg": Data("no image".utf8), "n01440764/notes.txt": Data("text".utf8),
                    "n01440764/.hidden.jpg": image, "n01443537/deep/er/a.png": image, "stray.jpg": image,
                    "readme.md": Data("text".utf8), "empty/readme.md": Data("text".utf8),
                ], below: folder)
            let dataset = try ImageFolder(path: folder)
            #expect(
                dataset.samples.map(\.id) == [
                    "n01440764/b2.JPEG", "n01440764/b10.JPEG", "n01440764/broken.jpg", "n01440764/without-extension",
                    "n01443537/deep/er/a.png",
                ])
            #expect(dataset.classes == ["n01440764", "n01443537"])
            #expect(
                Set(dataset.ignored.map(\.path)) == [
                    "n01440764/notes.txt", "stray.jpg", "readme.md", "empty/readme.md", "empty",
                ])
        }
    }

    @Test func linksAreFollowedToFilesAndNeverInCircles() throws {
        try withTemporaryFolder { folder in
            try write(["n01440764/a.png": sampleImage(), "elsewhere.png": sampleImage()], below: folder)
            let files = FileManager.default
            try files.createSymbolicLink(
                atPath: folder + "/n01440764/linked.png", withDestinationPath: folder + "/elsewhere.png")
            try files.createSymbolicLink(atPath: folder + "/n01440764/circle", withDestinationPath: folder)
            try files.createSymbolicLink(atPath: folder + "/n01440764/dead.png", withDestinationPath: "/nowhere/x")
            try files.createSymbolicLink(atPath: folder + "/n01440764/device.png", withDestinationPath: "/dev/zero")
            let dataset = try ImageFolder(path: folder)
            #expect(dataset.samples.map(\.id) == ["n01440764/a.png", "n01440764/linked.png"])
            #expect(
                Set(dataset.ignored.map(\.path))
                    == ["elsewhere.png", "n01440764/circle", "n01440764/dead.png", "n01440764/device.png"])
        }
    }

    @Test func rejectsFoldersWithoutImages() throws {
        try withTemporaryFolder { folder in
            #expect(throws: ZooError.self) { try ImageFolder(path: folder) }
            #expect(throws: ZooError.self) { try DatasetCatalog.open(folder) }
            #expect(throws: ZooError.self) { try ImageFolder(path: folder + "/missing") }
        }
    }

    private func names(_ count: Int) -> [String] { (1...count).map { "ILSVRC2012_val_0000000\($0).JPEG" } }

    private func makeFlatFolder(_ folder: String, list: String, as listName: String = "val.txt") throws {
        let image = try sampleImage()
        try write(Dictionary(uniqueKeysWithValues: names(3).map { ($0, image) }), below: folder)
        try write([listName: Data(list.utf8)], below: folder)
    }

    @Test(arguments: [
        "ILSVRC2012_val_00000001.JPEG 65\nILSVRC2012_val_00000002.JPEG 0\nILSVRC2012_val_00000003.JPEG 65\n",
        "65\n0\n65\n", "n01751748\nn01440764\nn01751748",
        "# comment\n\nILSVRC2012_val_00000003,n01751748\nval/ILSVRC2012_val_00000002.JPEG,tench\n"
            + "ILSVRC2012_val_00000001,65\n",
        "ImageId,PredictionString\nILSVRC2012_val_00000003,n01751748 1 2 3 4\n"
            + "ILSVRC2012_val_00000002,n01440764 1 2 3 4 n01440764 5 6 7 8\nILSVRC2012_val_00000001,n01751748 1 2 3 4\n",
    ])
    func flatFoldersTakeEveryFormOfGroundTruth(_ list: String) throws {
        try withTemporaryFolder { folder in
            try makeFlatFolder(folder, list: list)
            let dataset = try DatasetCatalog.open(folder)
            #expect(dataset.classes == ["n01440764", "n01751748"])
            #expect(dataset.samples.map(\.label) == [1, 0, 1])
            #expect(dataset.samples.map(\.id) == names(3))
            #expect(dataset.ignored.isEmpty)
        }
    }

    @Test func moreListedThanPresentIsReported() throws {
        try withTemporaryFolder { folder in
            try makeFlatFolder(folder, list: (1...9).map { "ILSVRC2012_val_0000000\($0) 7\n" }.joined())
            #expect(try DatasetCatalog.open(folder).ignored.map(\.reason) == ["6 listed images are not here"])
        }
    }

    @Test(arguments: [
        ("1\n2\n", "dataset.list-length"), ("1\n1000\n3\n", "dataset.devkit-list"),
        ("1\n2\n1001\n", "dataset.unknown-class"), ("1\n2\nx y\n", "dataset.list-mixed"), ("", "dataset.list-empty"),
        ("ILSVRC2012_val_00000001 1\n", "dataset.list-missing"), ("1\n2\ncrane\n", "dataset.ambiguous-class"),
        ("ILSVRC2012_val_00000001 1\nILSVRC2012_val_00000001 2\n", "dataset.list-duplicate"),
    ])
    func rejectsGroundTruthThatDoesNotFit(_ list: String, _ code: String) throws {
        try withTemporaryFolder { folder in
            try makeFlatFolder(folder, list: list)
            #expect { try DatasetCatalog.open(folder) } throws: { hasCode(code)($0) }
        }
    }

    @Test func rejectsFlatFoldersWithoutLabels() throws {
        try withTemporaryFolder { folder in
            try makeFlatFolder(folder, list: "1\n2\n3\n", as: "unknown.txt")
            #expect { try DatasetCatalog.open(folder) } throws: { hasCode("dataset.no-labels")($0) }
            #expect(try DatasetCatalog.open(folder, labels: folder + "/unknown.txt").samples.count == 3)
        }
    }

    @Test func listFilesNameTheirImages() throws {
        try withTemporaryFolder { folder in
            try write(
                [
                    "a/one image.png": sampleImage(), "b.png": sampleImage(),
                    "list.txt": Data("a/one image.png 3\nb.png 5\n".utf8),
                ],
                below: folder)
            let dataset = try DatasetCatalog.open(folder + "/list.txt")
            #expect(dataset.samples.map(\.id) == ["a/one image.png", "b.png"])
            #expect(dataset.classes == ["3", "5"])
            let other = folder + "/list.txt"
            #expect {
                try DatasetCatalog.open(other, labels: other)
            } throws: { hasCode("dataset.has-labels")($0) }
        }
    }

    @Test(arguments: [
        ("../b.png 1\n", "dataset.list-traversal"), ("/etc/passwd 1\n", "dataset.list-traversal"),
        ("a/../../b.png 1\n", "dataset.list-traversal"), ("b.png 1\nb.png 1\n", "dataset.list-duplicate"),
        ("missing.png 1\n", "dataset.list-missing"), ("1\n", "dataset.list-no-path"),
        (". 1\n", "dataset.list-not-a-file"),
    ])
    func rejectsListsThatLeaveTheirFolder(_ list: String, _ code: String) throws {
        try withTemporaryFolder { folder in
            try write(["b.png": sampleImage(), "list.txt": Data(list.utf8)], below: folder)
            #expect { try DatasetCatalog.open(folder + "/list.txt") } throws: { hasCode(code)($0) }
        }
    }

    @Test func rejectsBinaryLists() throws {
        try withTemporaryFolder { folder in
            try write(["list.txt": Data([0xFF, 0xFE, 0x31])], below: folder)
            #expect { try DatasetCatalog.open(folder + "/list.txt") } throws: { hasCode("dataset.list-not-text")($0) }
        }
    }

    @Test func zipArchivesAreDatasets() throws {
        let archive = Fixtures.inPackage("Datasets/Samples/imagenet-sample.zip")
        let dataset = try DatasetCatalog.open(archive)
        #expect(
            dataset.fingerprint
                == (try DatasetCatalog.open("imagenet-subset", home: ZooHome(path: "/nowhere"))).fingerprint)
        #expect { try DatasetCatalog.open(Fixtures.inPackage("Datasets/Samples/digits.zip")) } throws: {
            hasCode("dataset.several-roots")($0)
        }
    }

    @Test func namesAreSearchedUnderTheRoots() throws {
        try withTemporaryFolder { folder in
            try write(
                [
                    "root/mine/n01440764/a.png": sampleImage(),
                    "home/datasets/imagenet-subset/n01440764/b.png": sampleImage(),
                ],
                below: folder)
            let home = ZooHome(path: folder + "/home")
            let mine = try DatasetCatalog.open("mine", dataRoot: folder + "/root", home: home)
            #expect(mine.samples.map(\.id) == ["n01440764/a.png"])
            let subset = try DatasetCatalog.open("imagenet-subset", dataRoot: folder + "/root", home: home)
            #expect(subset.origin == .path(home.datasets + "/imagenet-subset"))
            #expect { try DatasetCatalog.open("other", home: home) } throws: { hasCode("dataset.unknown")($0) }
            #expect(throws: ZooError.self) { try DatasetCatalog.open("mine", dataRoot: folder + "/none", home: home) }
        }
    }
}

@Suite struct SubsetTests {
    private func builder(_ classes: String, _ perClass: Int, seed: UInt64 = 0) throws -> SubsetBuilder {
        try SubsetBuilder(selection: ClassSelection(classes), perClass: perClass, seed: seed)
    }

    @Test func determinismOfTheChoice() throws {
        let digits = try DatasetCatalog.open("digits")
        let chosen = try builder("3,5", 4).choose(from: digits).map(\.id)
        #expect(
            chosen == [
                "3/1726.png", "3/1729.png", "3/1756.png", "3/1758.png", "5/1517.png", "5/1575.png", "5/1578.png",
                "5/1656.png",
            ])
        #expect(try builder("5,3", 4).choose(from: digits).map(\.id) == chosen)
        #expect(try builder("3,5", 4, seed: 1).choose(from: digits).map(\.id) != chosen)
    }

    @Test func moreImagesOnlyAdd() throws {
        let digits = try DatasetCatalog.open("digits")
        let few = Set(try builder("all", 5).choose(from: digits).map(\.id))
        let many = Set(try builder("all", 9).choose(from: digits).map(\.id))
        #expect(few.count == 50 && many.count == 90 && few.isSubset(of: many))
    }

    @Test func aSubsetIsReadBackAndNoticesChanges() throws {
        try withTemporaryFolder { folder in
            let output = folder + "/subset"
            let manifest = try builder("n02123045,palace", 3).build(
                from: DatasetCatalog.open("imagenet-subset", home: ZooHome(path: "/nowhere")), to: output)
            #expect(manifest.classes == ["n02123045", "n03877845"])
            let dataset = try DatasetCatalog.open(output)
            #expect(dataset.samples.map(\.id) == ["n02123045/chelsea.png", "n03877845/china.jpg"])
            #expect(
                try dataset.withBytes(of: dataset.samples[0], limit: .max) { Data($0) } == sampleImage("chelsea.png"))
            #expect { try builder("all", 1).build(from: dataset, to: output) } throws: {
                hasCode("dataset.output-exists")($0)
            }
            try Data("short".utf8).write(to: URL(filePath: output + "/n02123045/chelsea.png"))
            #expect { try DatasetCatalog.open(output) } throws: { hasCode("dataset.subset-changed")($0) }
            try FileManager.default.removeItem(atPath: output + "/n02123045/chelsea.png")
            #expect { try DatasetCatalog.open(output) } throws: { hasCode("dataset.subset-missing")($0) }
        }
    }

    @Test(arguments: [
        ("{}", "dataset.bad-manifest"), ("[", "dataset.bad-manifest"), ("", "dataset.bad-manifest"),
        (manifest(version: 2, path: "a/b"), "dataset.manifest-version"),
        (manifest(path: "../b"), "dataset.manifest-traversal"), (manifest(path: "/a/b"), "dataset.manifest-traversal"),
        (manifest(path: "a/b", again: true), "dataset.manifest-duplicate"),
        (manifest(path: "a/b"), "dataset.subset-missing"),
        (manifest(path: "a/b", size: "\"3\""), "dataset.bad-manifest"),
    ])
    func rejectsManifests(_ text: String, _ code: String) throws {
        try withTemporaryFolder { folder in
            try write(["subset.json": Data(text.utf8)], below: folder)
            #expect { try DatasetCatalog.open(folder) } throws: { hasCode(code)($0) }
        }
    }

    private static func manifest(version: Int = 1, path: String, again: Bool = false, size: String = "3") -> String {
        let file = "{\"path\":\"\(path)\",\"size\":\(size),\"sha256\":\"\"}"
        return
            "{\"schema_version\":\(version),\"source\":\"s\",\"source_fingerprint\":\"f\",\"seed\":0,\"per_class\":1,"
            + "\"classes\":[\"a\"],\"files\":[\(again ? "\(file),\(file)" : file)]}"
    }

    @Test func rejectsClassesThatTheDatasetLacks() throws {
        let digits = try DatasetCatalog.open("digits")
        #expect { try builder("3,tench", 1).choose(from: digits) } throws: { hasCode("dataset.missing-classes")($0) }
        #expect(throws: ZooError.self) { try builder(",", 1) }
        #expect(throws: ZooError.self) { try builder("3", 0) }
    }

    @Test func aFailedBuildLeavesNothingBehind() throws {
        try withTemporaryFolder { folder in
            try write(["in/3/a.png": sampleImage(), "in/3/deep/a.png": sampleImage()], below: folder)
            #expect {
                try builder("3", 5).build(from: ImageFolder(path: folder + "/in"), to: folder + "/out")
            } throws: {
                hasCode("dataset.name-clash")($0)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["in"])
        }
    }
}
