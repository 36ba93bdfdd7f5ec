import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooModels

/// `zoo list`, `zoo info`, `zoo doctor`, completions and help.
@Suite struct CatalogueTests {
    private func names(_ arguments: [String], environment: [String: String] = [:]) throws -> [String] {
        let object = try zooSucceeds(["list", "--json"] + arguments, environment: environment).json()
        #expect(object["schema_version"] as? Int == 1)
        #expect(object["command"] as? String == "list")
        let models = try #require(object["models"] as? [[String: Any]])
        return try models.map { try #require(($0["card"] as? [String: Any])?["name"] as? String) }
    }

    @Test func listFindsModels() throws {
        let all = try names([])
        #expect(Set(all) == Set(Registry.cards.map(\.name)))
        // Families by name, in each the smallest first.
        let cards = try all.map { try Registry.card(named: $0) }
        #expect(cards.map(\.family) == cards.map(\.family).sorted())
        for (card, next) in zip(cards, cards.dropFirst()) where card.family == next.family {
            #expect(card.parameters <= next.parameters)
        }
        #expect(try names(["ravlt-*"]) == ["ravlt-nano", "ravlt-t", "ravlt-s", "ravlt-b", "ravlt-l"])
        #expect(try names(["*nano"]) == ["dit-nano", "lit-nano", "mavit-nano", "ravlt-nano"])
        #expect(try names(["nano"]) == ["dit-nano", "lit-nano", "mavit-nano", "ravlt-nano"])
        #expect(try names(["MALA_T"]) == ["mavit-t"])
        for task in ["classify", "generate"] {
            let expected = Registry.cards.filter { $0.task.rawValue == task }.map(\.name)
            let found = try names(["--task", task])
            #expect(!expected.isEmpty && Set(found) == Set(expected))
        }
        #expect(try names(["--task", "detect"]) == [])
        let text = try zooSucceeds(["list"]).output
        for card in Registry.cards { #expect(text.contains("\n\(card.name) ")) }
        try zooFails(["list", "ravlx"], with: 64, mentioning: "'ravlx'", "ravlt-")
        try zooFails(["list", "--task", "dream"], with: 64, mentioning: "dream")
    }

    @Test func listTellsWhereWeightsAre() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.path("weights"), withIntermediateDirectories: true)
        let weights = try folder.write("x", to: "weights/RAVLT_T.pth")
        let object = try zooSucceeds(["list", "--json"], environment: ["ZOO_HOME": folder.path]).json()
        let models = try #require(object["models"] as? [[String: Any]])
        for model in models {
            let name = try #require((model["card"] as? [String: Any])?["name"] as? String)
            let state = try #require(model["weights"] as? [String: Any])
            let expected = name == "ravlt-t" ? "file" : name.hasSuffix("-nano") ? "embedded" : "not found"
            #expect(state["status"] as? String == expected)
            #expect(state["path"] as? String == (name == "ravlt-t" ? weights : nil))
        }
    }

    @Test(arguments: Registry.cards.map(\.name))
    func infoTellsTheCard(name: String) throws {
        let card = try Registry.card(named: name)
        let text = try zooSucceeds(["info", name.uppercased().replacing("-", with: "_")]).output
        for part in [card.name, "\(card.parameters)", card.paper, card.code] { #expect(text.contains(part)) }
        let object = try zooSucceeds(["info", name, "--tensors", "--json"]).json()
        let tensors = try #require(object["tensors"] as? [[String: Any]])
        let expected = try Registry.tensors(of: card)
        #expect(tensors.count == expected.count)
        for (entry, tensor) in zip(tensors, expected) {
            #expect(entry["name"] as? String == tensor.name)
            #expect(entry["shape"] as? [Int] == tensor.shape)
        }
    }

    @Test func rejectsUnknownModels() throws {
        try zooFails(["info", "ravlt-x"], with: 64, mentioning: "'ravlt-x'", "did you mean")
        try zooFails(["run", "resnet", "--input", "a", "--output", "b"], with: 64, mentioning: "'resnet'")
    }

    @Test func doctorDescribesTheMachine() throws {
        let object = try zooSucceeds(["doctor", "--json", "--threads", "1", "--isa", "ref"]).json()
        #expect(object["kernels"] as? String == "ref")
        #expect(object["threads"] as? Int == 1)
        let environment = try #require(object["environment"] as? [String: Any])
        #expect(environment["zoo"] as? String == Environment.version)
        #expect(environment["instruction_sets"] as? [String] == InstructionSet.available.map(\.rawValue))
        let libraries = try #require(object["libraries"] as? [String: String])
        #expect(libraries["png"]?.hasPrefix("1.6") == true)
        #expect(libraries["jpeg"]?.contains("jpeg") == true)
        let text = try zooSucceeds(["doctor"], environment: ["ZOO_HOME": "/nonexistent"]).output
        for part in [Environment.version, Processor.brand, "ZOO_HOME=/nonexistent", "/nonexistent/weights (not there)"]
        {
            #expect(text.contains(part))
        }
    }

    @Test func versionIsOneLine() throws {
        #expect(try zooSucceeds(["--version"]).output.trimmingCharacters(in: .newlines) == Environment.version)
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func completionsKnowTheModels(shell: String) throws {
        let script = try zooSucceeds(["--generate-completion-script", shell]).output
        for card in Registry.cards { #expect(script.contains(card.name)) }
        #expect(!script.contains("EXAMPLES"))
    }

    @Test(
        arguments: [
            [], ["lsit"], ["list", "--jsno"], ["info"], ["run"], ["run", "ravlt-t"], ["run", "ravlt-nano", "--input"],
            ["run", "ravlt-nano", "--input", "a", "--output", "b", "--threads", "x"],
            ["run", "ravlt-nano", "--input", "a", "--output", "b", "--threads", "0"],
            ["run", "ravlt-nano", "--input", "a", "--output", "b", "--threads", "-1"],
            ["run", "ravlt-nano", "--input", "a", "--output", "b", "--threads", "99999999999999999999"],
            ["run", "ravlt-nano", "--input", "a", "--output", "b", "--isa", "mmx"],
            ["run", "ravlt-nano", "--input", "a", "--output", "b", "--batch-size", "0"],
            ["run", "ravlt-nano", "--input", "a", "--output", "b", "--batch-size", "5000"],
            ["features", "ravlt-nano", "--output", "x"], ["features", "ravlt-nano", "a.png"], ["convert", "a"],
            ["convert", "a", "b", "--precision", "int8"], ["convert", "a", "b", "--model", "no-such"], ["inspect"],
            ["inspect", "a", "b"], ["doctor", "--isa", "mmx"],
        ].filter { !$0.isEmpty })
    func rejectsUsage(arguments: [String]) throws {
        try zooFails(arguments, with: 64)
    }
}
