import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooNN

/// `zoo op lit` and `zoo op sla` against the golden cases, and their refusals.
@Suite struct LinearOperatorTests {
    /// All cases in one file, as the golden data have them, with the heads or without.
    @Test(arguments: InstructionSet.available)
    func fidelityOfFewHeads(isa: InstructionSet) throws {
        let folder = try TemporaryFolder()
        let json = try Fixtures.json(Fixtures.path("operators/lit_op.json"))
        let golden = try SafetensorsFile(path: Fixtures.path("operators/lit_op.safetensors"))
        let cases = try #require(json["cases"] as? [String: [String: Any]])
        var writer = SafetensorsWriter()
        for (name, entry) in cases {
            for input in ["q", "k", "v", "dwc.weight", "dwc.bias"] {
                writer.add("\(name).\(input)", try golden.tensor("\(name).\(input)"))
            }
            let sizes = try ["H", "W", "heads"].map { Int64(try #require(entry[$0] as? Int)) }
            if sizes[0] != sizes[1] { writer.add("\(name).grid", shape: [2], Array(sizes[..<2])) }
            if sizes[2] > 1 { writer.add("\(name).heads", shape: [1], [sizes[2]]) }
        }
        try writer.write(to: folder.path("in.safetensors"))
        try zooSucceeds([
            "op", "lit", "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors"), "--isa",
            isa.rawValue,
        ])
        let output = try SafetensorsFile(path: folder.path("out.safetensors"))
        let noises = try #require(json["noise_floor_fp32_vs_fp64"] as? [String: [String: [String: Double]]])
        #expect(output.names.count == cases.count)
        for name in cases.keys {
            let noise = try #require(noises[name]?["out"]?["max_abs_diff"])
            let (result, expected) = (try output.tensor("\(name).out"), try golden.tensor("\(name).out"))
            #expect(result.shape == expected.shape)
            let error = largestDistance(result.values, expected.values)
            #expect(error <= 4 * noise, "\(name) \(isa): \(error) against \(noise)")
        }
    }

    @Test(arguments: InstructionSet.available)
    func fidelityOfScatteredGroups(isa: InstructionSet) throws {
        try expectScattered(in: Fixtures.path("operators/sla"), isa)
    }

    @Test(.enabled(if: Fixtures.hasShared), arguments: InstructionSet.available)
    func fidelityOfScatteredGroupsInFull(isa: InstructionSet) throws {
        try expectScattered(in: try #require(Fixtures.shared("golden/scatterformer")), isa)
    }

    /// Every case whose file is in the folder.
    private func expectScattered(in folder: String, _ isa: InstructionSet) throws {
        let cases = try #require(try Fixtures.json("\(folder)/sla_op.json")["cases"] as? [[String: Any]])
        let runtime = try Runtime(instructionSet: isa)
        var checked = 0
        for entry in cases {
            let name = try #require(entry["name"] as? String)
            guard let golden = try? SafetensorsFile(path: "\(folder)/\(name).case.safetensors") else { continue }
            let expected = try golden.tensor("out.y")
            var tensors = ["counts": try golden.tensor("counts"), "offsets": try golden.tensor("offsets")]
            for input in ["q", "k", "v"] {
                tensors[input] =
                    golden.info("in.\(input)") == nil
                    ? SeededSource.uniform(input, shape: expected.shape) : try golden.tensor("in.\(input)")
            }
            let result = try Operator.named("sla").bind(tensors)(on: runtime)
            let noises = try #require(entry["noise_fp32_vs_fp64"] as? [String: [String: Double]])
            let noise = try #require(noises["y"]?["max_abs"])
            let error = largestDistance(result.values, expected.values)
            #expect(error <= 4 * noise, "\(name) \(isa): \(error) against \(noise)")
            checked += 1
        }
        #expect(checked >= 6)
    }

    private func largestDistance(_ a: [Float], _ b: [Float]) -> Double {
        guard a.count == b.count else { return .infinity }
        return zip(a, b).reduce(0) { max($0, ($1.0 - $1.1).isNaN ? .infinity : Double(abs($1.0 - $1.1))) }
    }

    @Test func scatteredGroupsNeedNoOrder() throws {
        let folder = try TemporaryFolder()
        let shape = [7, 2, 4]
        var outputs: [[Float]] = []
        for (counts, offsets) in [([3, 0, 4], nil), ([3, 0, 4], [0, 3, 3]), ([4, 3, 0], [3, 0, 7])]
            as [([Int64], [Int64]?)]
        {
            var writer = SafetensorsWriter()
            for name in ["q", "k", "v"] { writer.add("x.\(name)", SeededSource.uniform(name, shape: shape)) }
            writer.add("x.counts", shape: [3], counts)
            if let offsets { writer.add("x.offsets", shape: [3], offsets) }
            try writer.write(to: folder.path("in.safetensors"))
            try zooSucceeds([
                "op", "sla", "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors"),
            ])
            outputs.append(try SafetensorsFile(path: folder.path("out.safetensors")).tensor("x.out").values)
        }
        #expect(outputs[0] == outputs[1] && outputs[0] == outputs[2])
    }

    /// Counts and offsets of groups of 7 rows; what the error says.
    static let badGroups: [([Int64], [Int64]?, String)] = [
        ([3, 3], nil, "counts: rows belong to no group"), ([3, 5], nil, "counts: group 1"),
        ([-1, 8], nil, "counts: group 0"), ([.max, 1], nil, "counts: tensor holds no row number"),
        ([3, .min], nil, "counts: group 1"),
        ([3, 4], [0], "not as many offsets"), ([3, 4], [0, 2], "offsets: groups overlap"),
        ([3, 4], [0, 4], "offsets: group 1"), ([3, 4], [-1, 3], "offsets: group 0"),
        ([3, 3], [0, 4], "offsets: rows belong to no group"),
        ([3, 4], [0, .max], "offsets: tensor holds no row number"),
        ([7, 7], [0, 0], "offsets: groups overlap"), ([3, 3], [0, 3], "counts: rows belong to no group"),
    ]

    @Test(arguments: badGroups)
    func rejectsGroups(counts: [Int64], offsets: [Int64]?, mention: String) throws {
        let folder = try TemporaryFolder()
        var writer = SafetensorsWriter()
        for name in ["q", "k", "v"] { writer.add(name, Tensor(zeros: [7, 2, 4])) }
        writer.add("counts", shape: [counts.count], counts)
        if let offsets { writer.add("offsets", shape: [offsets.count], offsets) }
        try writer.write(to: folder.path("in.safetensors"))
        try zooFails(
            ["op", "sla", "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors")],
            with: 65, mentioning: mention)
    }

    /// Shapes of q, k, v, weight and bias; heads; what the error says.
    static let badBranches: [([Int], [Int], [Int], [Int64]?, String)] = [
        ([1, 4, 8], [4, 1, 5, 5], [4], [3], "heads: heads do not fit"),
        ([1, 4, 8], [4, 1, 5, 5], [4], [2, 2], "heads: heads do not fit"),
        ([1, 4, 8], [3, 1, 5, 5], [3], nil, "dwc.weight: channels"),
        ([1, 4, 8], [4, 1, 4, 4], [4], nil, "dwc.weight: tensor has another shape"),
        ([1, 4, 8], [4, 2, 5, 5], [4], nil, "dwc.weight: tensor has another shape"),
        ([1, 4, 8], [4, 1, 5, 3], [4], nil, "dwc.weight: tensor has another shape"),
        ([1, 4, 8], [4, 1, 5, 5], [8], nil, "dwc.bias: tensor has another shape"),
        ([1, 6, 8], [4, 1, 5, 5], [4], nil, "grid: tensor is missing"),
        ([4, 8], [4, 1, 5, 5], [4], nil, "q: tensor has another shape"),
    ]

    @Test(arguments: badBranches)
    func rejectsBranches(rows: [Int], weight: [Int], bias: [Int], heads: [Int64]?, mention: String) throws {
        let folder = try TemporaryFolder()
        var writer = SafetensorsWriter()
        for name in ["q", "k", "v"] { writer.add(name, Tensor(zeros: rows)) }
        writer.add("dwc.weight", Tensor(zeros: weight))
        writer.add("dwc.bias", Tensor(zeros: bias))
        if let heads { writer.add("heads", shape: [heads.count], heads) }
        try writer.write(to: folder.path("in.safetensors"))
        try zooFails(
            ["op", "lit", "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors")],
            with: 65, mentioning: mention)
    }
}
