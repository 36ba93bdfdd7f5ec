import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooNN

/// `zoo op` against the official attention cores, and its refusals.
@Suite struct OperatorTests {
    /// q, k and v of a golden case by the seeded rule: `1.5 s`, or what the case's description says.
    private func seeded(_ name: String, _ input: String, shape: [Int]) -> Tensor {
        let s = SeededSource.uniform("\(name).\(input)", shape: shape)
        return Tensor(
            shape: shape,
            values: s.values.map { value in
                switch (name, input) {
                case ("small_phi", "q"), ("small_phi", "k"): value - 6
                case ("large_qk", "q"), ("large_qk", "k"): value * 40
                default: value * 1.5
                }
            })
    }

    @Test(
        arguments: [("rala", "rala", ""), ("mala", "mala", ""), ("softmax", "rala", "softmax_")],
        InstructionSet.available)
    func fidelityOfCores(golden: (name: String, file: String, prefix: String), isa: InstructionSet) throws {
        let folder = try TemporaryFolder()
        let json = try Fixtures.json(Fixtures.path("operators/\(golden.file)_op_core.json"))
        let expected = try SafetensorsFile(path: Fixtures.path("operators/\(golden.file)_op_core.safetensors"))
        let cases = try #require(json["cases"] as? [String: [String: Any]])
        var writer = SafetensorsWriter()
        for (name, entry) in cases {
            let sizes = try ["B", "heads", "N", "head_dim"].map { try #require(entry[$0] as? Int) }
            for input in ["q", "k", "v"] {
                let tensor = seeded(name, input, shape: sizes)
                writer.add("\(name).\(input)", tensor)
                writer.add("\(name)_norope.\(input)", tensor)
            }
            let grid = try ["H", "W"].map { Int64(try #require(entry[$0] as? Int)) }
            writer.add("\(name).grid", shape: [2], grid)
        }
        try writer.write(to: folder.path("in.safetensors"))
        try zooSucceeds([
            "op", golden.name, "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors"),
            "--isa", isa.rawValue,
        ])

        let output = try SafetensorsFile(path: folder.path("out.safetensors"))
        #expect(output.names.count == 2 * cases.count)
        for (name, entry) in cases {
            for (suffix, kind) in [("", "out"), ("_norope", "out_norope")] {
                let noises = try #require(entry["noise_fp32_vs_fp64"] as? [String: [String: Any]])
                let noise = try #require(noises[golden.prefix + kind]?["rel_l2"] as? Double)
                let reference = try expected.tensor("\(name).\(golden.prefix)\(kind)")
                let result = try output.tensor("\(name)\(suffix).out")
                #expect(result.shape == reference.shape)
                // The stored outputs are float32: their own noise comes on top.
                let error = relativeL2(result.values, reference.values.map(Double.init))
                #expect(error <= 5 * noise, "\(golden.name) \(name) \(kind) \(isa): \(error) against \(noise)")
            }
        }
    }

    /// One run per kernel function, all of its cases in one file.
    @Test(arguments: InLineKernel.allCases, InstructionSet.available)
    func fidelityOfInLine(kernel: InLineKernel, isa: InstructionSet) throws {
        let folder = try TemporaryFolder()
        let json = try Fixtures.json(Fixtures.path("operators/inline_op_core.json"))
        let expected = try SafetensorsFile(path: Fixtures.path("operators/inline_op_core.safetensors"))
        let all = try #require(json["cases"] as? [String: [String: Any]])
        let cases = all.filter { $1["kernel_function"] as? String == kernel.rawValue }
        var writer = SafetensorsWriter()
        for (name, entry) in cases {
            let sizes = try ["B", "heads", "N", "head_dim"].map { try #require(entry[$0] as? Int) }
            let magnitude = Float(try #require(entry["magnitude"] as? Double))
            let rules: [(String, Float, Float)] = [
                ("q", 2 * magnitude, 0), ("k", magnitude, 0.5), ("v", magnitude, -0.25),
            ]
            for (input, scale, offset) in rules {
                let s = SeededSource.uniform(input, shape: sizes)
                writer.add("\(name).\(input)", Tensor(shape: sizes, values: s.values.map { scale * $0 + offset }))
            }
        }
        try writer.write(to: folder.path("in.safetensors"))
        try zooSucceeds([
            "op", "inline", "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors"),
            "--param", "kernel_function=\(kernel)", "--isa", isa.rawValue,
        ])
        let output = try SafetensorsFile(path: folder.path("out.safetensors"))
        #expect(!cases.isEmpty && output.names.count == cases.count)
        for (name, entry) in cases {
            let noises = try #require(entry["noise_fp32_vs_fp64"] as? [String: Double])
            let noise = try #require(noises["rms_diff_over_rms"])
            let truth = try expected.tensor("\(name).out").values.map(Double.init)
            let error = relativeL2(try output.tensor("\(name).out").values, truth)
            #expect(error <= 4 * noise, "\(name) \(isa): \(error) against \(noise)")
        }
    }

    private func write(_ tensors: [String: [Int]], grid: [Int64]? = nil, in folder: TemporaryFolder) throws -> String {
        var writer = SafetensorsWriter()
        for (name, shape) in tensors { writer.add(name, Tensor(zeros: shape)) }
        if let grid { writer.add("grid", shape: [grid.count], grid) }
        try writer.write(to: folder.path("in.safetensors"))
        return folder.path("in.safetensors")
    }

    /// Shapes of q, k and v; a grid; what the error says.
    static let badTensors: [([String: [Int]], [Int64]?, String)] = [
        (["q": [1, 1, 4, 4], "v": [1, 1, 4, 4]], nil, "k: tensor is missing"),
        (["a.q": [1, 1, 4, 4], "a.k": [1, 1, 4, 4]], nil, "a.v: tensor is missing"),
        (["x": [1]], nil, "no input of operator"),
        (["q": [1, 4, 4], "k": [1, 4, 4], "v": [1, 4, 4]], nil, "q: tensor has another shape"),
        (["q": [1, 1, 4, 4], "k": [1, 1, 5, 4], "v": [1, 1, 4, 4]], nil, "k: tensor has another shape than q"),
        (["q": [1, 1, 4, 4], "k": [1, 1, 4, 4], "v": [1, 1, 4, 8]], nil, "v: tensor has another shape than q"),
        (["q": [1, 1, 0, 4], "k": [1, 1, 0, 4], "v": [1, 1, 0, 4]], nil, "q: tensor has another shape"),
        (["q": [1, 1, 4, 4], "k": [1, 1, 4, 4], "v": [1, 1, 4, 4]], [2, 3], "the product 4"),
        (["q": [1, 1, 4, 4], "k": [1, 1, 4, 4], "v": [1, 1, 4, 4]], [-2, -2], "the product 4"),
        (["q": [1, 1, 4, 4], "k": [1, 1, 4, 4], "v": [1, 1, 4, 4]], [4], "grid: tensor has another shape"),
        (["q": [1, 1, 4, 4], "k": [1, 1, 4, 4], "v": [1, 1, 4, 4]], [.max, .max], "the product 4"),
        (["q": [1, 1, 4, 6], "k": [1, 1, 4, 6], "v": [1, 1, 4, 6]], [2, 2], "a multiple of 4"),
    ]

    @Test(arguments: badTensors)
    func rejectsTensors(shapes: [String: [Int]], grid: [Int64]?, mention: String) throws {
        let folder = try TemporaryFolder()
        let input = try write(shapes, grid: grid, in: folder)
        let result = try zoo(["op", "rala", "--input", input, "--output", folder.path("out.safetensors")])
        #expect(result.status == 65)
        let last = try #require(result.errors.split(separator: "\n").last)
        #expect(last.hasPrefix("zoo: error: \(input)") && last.contains(mention), "\(result.errors)")
    }

    @Test func rejectsElementTypes() throws {
        let folder = try TemporaryFolder()
        var writer = SafetensorsWriter()
        for name in ["q", "k", "v"] { writer.add(name, shape: [1, 1, 1, 4], [Int32](repeating: 0, count: 4)) }
        try writer.write(to: folder.path("in.safetensors"))
        try zooFails(
            ["op", "mala", "--input", folder.path("in.safetensors"), "--output", folder.path("out.safetensors")],
            with: 65, mentioning: "q: ", "I32")
    }

    @Test func rejectsUsage() throws {
        let folder = try TemporaryFolder()
        let shape = [1, 2, 4, 4]
        let input = try write(["q": shape, "k": shape, "v": shape], in: folder)
        let files = ["--input", input, "--output", folder.path("out.safetensors")]
        try zooFails(["op", "ralla"] + files, with: 64, mentioning: "'ralla'", "rala, mala")
        try zooFails(["op", "rala"] + files + ["--param", "beta=1"], with: 64, mentioning: "beta")
        try zooFails(["op", "rala"] + files + ["--param", "beta"], with: 64, mentioning: "NAME=VALUE")
        let choice = ["op", "inline"] + files + ["--param", "kernel_function=rellu"]
        try zooFails(choice, with: 64, mentioning: "rellu", "identity, relu, leakyrelu, exp", "did you mean relu")
        try zooFails(["op", "rala"] + files + ["--isa", "sse"], with: 64, mentioning: "sse")
        try zooFails(["op", "rala", "--input", input], with: 64, mentioning: "--output")
        try zooFails(["op", "rala", "--output", input], with: 64, mentioning: "--input")
        for option in [["--input", input], ["--output", input], ["--param", "order=1"]] {
            try zooFails(["op"] + option, with: 64, mentioning: option[0])
            try zooFails(["op", "list"] + option, with: 64, mentioning: option[0])
        }
        try zooFails(
            ["op", "rala", "--input", input, "--output", folder.path("no/folder/out.safetensors")], with: 73,
            mentioning: "no/folder")
        try zooFails(
            ["op", "rala", "--input", folder.path("none"), "--output", folder.path("out.safetensors")], with: 66,
            mentioning: "none")
    }

    @Test func listNamesEveryOperatorWithItsInputs() throws {
        let list = try zooSucceeds(["op", "list"]).output
        let help = try zooSucceeds(["op", "--help"]).output
        for entry in Operator.all {
            #expect(list.contains("\n\(entry.name)\n") || list.hasPrefix("\(entry.name)\n"))
            for input in entry.inputs { #expect(list.contains("    \(input.name) \(input.shape)")) }
            #expect(help.contains(entry.name))
        }
        #expect(Set(Operator.all.map(\.name)).count == Operator.all.count)
    }
}
