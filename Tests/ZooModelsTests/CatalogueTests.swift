import Foundation
import TestSupport
import Testing
import ZooCore
import ZooIO
import ZooNN

/// The golden data of one operator: parameters and outputs of every case, beside the inputs that all operators share.
private struct GoldenOperator {
    static let names =
        ((try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("operators/catalogue"))) ?? [])
        .filter { $0.hasSuffix(".json") && !$0.contains("manifest") }
        .map { String($0.dropLast(".json".count)) }
        .filter { !$0.hasPrefix("module_") && !$0.hasPrefix("model_") && $0 != "inputs" }.sorted()

    let `operator`: Operator
    let cases: [String: [String: Any]]
    private let own: SafetensorsFile
    private let shared: SafetensorsFile
    private let shapes: [String: [String: Any]]

    init(_ name: String) throws {
        `operator` = try Operator.named(name)
        func path(_ file: String) -> String { Fixtures.path("operators/catalogue/\(file)") }
        cases = try #require(try Fixtures.json(path("\(name).json"))["cases"] as? [String: [String: Any]])
        own = try SafetensorsFile(path: path("\(name).case.safetensors"))
        shared = try SafetensorsFile(path: path("inputs.case.safetensors"))
        shapes = try #require(try Fixtures.json(path("inputs.json"))["cases"] as? [String: [String: Any]])
    }

    /// The tensors of a case by input name.
    func inputs(_ name: String) throws -> [String: Tensor] {
        var tensors: [String: Tensor] = [:]
        for input in `operator`.inputs {
            for file in [own, shared] where file.info("\(name).\(input.name)") != nil {
                tensors[input.name] = try file.tensor("\(name).\(input.name)")
            }
        }
        if `operator`.inputs.contains(where: { $0.name == "grid" && $0.summary.contains("left out") }) {
            let sides = try ["H", "W"].map { Float(try #require(shapes[name]?[$0] as? Int)) }
            tensors["grid"] = Tensor(shape: [2], values: sides)
        }
        return tensors
    }

    func expected(_ name: String) throws -> Tensor { try own.tensor("\(name).out") }

    /// max |ours - out| <= max(8 noise, 1e-5 of the largest output), the tolerance of the golden data.
    func tolerance(_ name: String) throws -> Double {
        let entry = try #require(cases[name])
        let numbers = try ["noise_abs", "max_abs_out"].map { try #require((entry[$0] as? NSNumber)?.doubleValue) }
        return max(8 * numbers[0], 1e-5 * numbers[1])
    }
}

/// The largest distance of any element; infinite where one is not finite.
func largestDistance(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Double {
    zip(a, b).reduce(0) { largest, pair in
        let distance = abs(Double(pair.0) - Double(pair.1))
        return distance.isNaN ? .infinity : max(largest, distance)
    }
}

@Suite struct CatalogueTests {
    @Test func everyOperatorOfTheCatalogueIsReachable() {
        #expect(GoldenOperator.names.count == 25)
        #expect(GoldenOperator.names.allSatisfy { name in Operator.all.contains { $0.name == name } })
    }

    @Test(arguments: GoldenOperator.names, InstructionSet.available)
    func fidelityOfEveryGoldenCase(name: String, isa: InstructionSet) throws {
        let golden = try GoldenOperator(name)
        let runtime = try Runtime(threads: 2, instructionSet: isa)
        for name in golden.cases.keys.sorted() {
            let output = try golden.operator.bind(try golden.inputs(name))(on: runtime)
            let expected = try golden.expected(name)
            #expect(output.shape == expected.shape)
            let (distance, tolerance) = (largestDistance(output.values, expected.values), try golden.tolerance(name))
            #expect(distance <= tolerance, "\(name): \(distance) > \(tolerance)")
        }
    }

    /// The image of a batch alone gives the same bits, but for the operators that are defined over the whole batch; so do
    /// other numbers of threads and a second run.
    @Test(arguments: GoldenOperator.names)
    func determinismOverThreadsBatchAndRuns(name: String) throws {
        let golden = try GoldenOperator(name)
        let name = golden.cases.keys.contains("n35") ? "n35" : "c50"
        let inputs = try golden.inputs(name)
        let call = try golden.operator.bind(inputs)
        let runtime = try Runtime(threads: 1)
        let whole = call(on: runtime)
        #expect(call(on: runtime) == whole)
        for threads in [2, 3] { #expect(try call(on: Runtime(threads: threads)) == whole, "\(threads) threads") }
        guard !golden.operator.name.hasPrefix("lln") else { return }
        let batch = whole.shape[0]
        for image in 0..<batch {
            var alone = inputs
            for input in golden.operator.inputs where input.shape.hasPrefix("(B,") {
                alone[input.name] = try #require(inputs[input.name]).part(image, of: batch)
            }
            let count = whole.count / batch
            let single = try golden.operator.bind(alone)(on: runtime)
            #expect(single.values == Array(whole.values[image * count..<(image + 1) * count]), "image \(image)")
        }
    }

    /// Sizes that the golden cases do not have: head dimensions beyond a vector, several chunks of tokens, no square.
    @Test(arguments: GoldenOperator.names)
    func instructionSetsAgreeOnOddSizes(name: String) throws {
        let attention = try Operator.named(name)
        for (batch, heads, height, width, dim) in [(1, 2, 15, 29, 33), (2, 1, 3, 5, 80), (1, 3, 1, 2, 5)] {
            let shape = OddShape(batch: batch, heads: heads, height: height, width: width, dim: dim)
            let call = try attention.bind(try shape.inputs(of: attention))
            let truth = call(on: try Runtime(threads: 2, instructionSet: .ref))
            for isa in InstructionSet.available where isa != .ref {
                let output = call(on: try Runtime(threads: 2, instructionSet: isa))
                // Inputs are ordinary; float32 sums of this length stay below 5e-6, a wrong index shows as 1e-2 or more.
                #expect(relativeL2(output.values, truth.values.map(Double.init)) < 1e-5, "\(isa), \(shape)")
            }
        }
    }

    @Test func rejectsWhatDoesNotFit() throws {
        func error(_ name: String, _ shapes: [String: [Int]], grid: [Float]? = nil) throws -> ZooError {
            var tensors = shapes.mapValues { Tensor(zeros: $0) }
            for input in ["q", "k", "v"] where tensors[input] == nil { tensors[input] = Tensor(zeros: [1, 2, 6, 8]) }
            if let grid { tensors["grid"] = Tensor(shape: [grid.count], values: grid) }
            return try #require(throws: ZooError.self) { try Operator.named(name).bind(tensors) }
        }
        let long = try error("linformer", ["proj_k": [5, 4], "proj_v": [5, 4]])
        #expect(long.location == "proj_k" && long.found == "5" && long.expected == "at least 6 rows")
        #expect(try error("linformer", ["proj_k": [6, 4], "proj_v": [6, 3]]).location == "proj_v")
        #expect(try error("block_diag4", [:]).location == "grid")
        #expect(try error("block_diag4", [:], grid: [2, 4]).expected == "height and width with the product 6")
        #expect(try error("lion_d_snake", ["a": [2], "a2": [2]], grid: [2, 4]).location == "grid")
        #expect(try error("lion_s", ["logits": [1, 2, 5]]).expected == "[1, 2, 6]")
        #expect(try error("l2vit", ["temperature": [1, 1, 1]]).expected == "[2, 1, 1]")
        #expect(try error("performer_relu", ["proj": [12, 7]]).expected == "[12, 8]")
        #expect(try error("performer_relu", ["proj": [1025, 8]]).found == "1025")
        #expect(try error("hedgehog", ["w_q": [2, 8, 4], "w_k": [2, 8, 5]]).location == "w_k")
        #expect(try error("gla_causal", ["gate_logits": [1, 2, 6, 4]]).location == "gate_logits")
        #expect(try error("additive", ["w": [2, 15]]).expected == "[2, 16]")
        #expect(try error("agent", agentShapes(agents: 8, height: 2, width: 3), grid: [2, 3]).location == "an_bias")
        #expect(try error("agent", agentShapes(agents: 9, height: 3, width: 3), grid: [2, 3]).location == "ah_bias")
        let wide = ["q", "k", "v"].reduce(into: [String: [Int]]()) { $0[$1] = [1, 1, 1, 1025] }
        #expect(try error("linear_elu", wide).expected == "at most 1024")
    }

    private func agentShapes(agents: Int, height: Int, width: Int) -> [String: [Int]] {
        [
            "an_bias": [2, agents, 7, 7], "na_bias": [2, agents, 7, 7], "ah_bias": [1, 2, agents, height, 1],
            "aw_bias": [1, 2, agents, 1, width], "ha_bias": [1, 2, height, 1, agents],
            "wa_bias": [1, 2, 1, width, agents], "dwc.weight": [16, 1, 3, 3], "dwc.bias": [16],
        ]
    }
}

extension Tensor {
    /// One of `count` equal parts along the first dimension.
    fileprivate func part(_ index: Int, of count: Int) -> Tensor {
        let size = self.count / count
        return Tensor(
            shape: [shape[0] / count] + shape.dropFirst(), values: Array(values[index * size..<(index + 1) * size]))
    }
}

/// Sizes that are no multiple of anything, with seeded tensors for every input of an operator.
private struct OddShape: CustomStringConvertible {
    let batch: Int
    let heads: Int
    let height: Int
    let width: Int
    let dim: Int

    var description: String { "\(batch)x\(heads)x(\(height)x\(width))x\(dim)" }

    func inputs(of attention: Operator) throws -> [String: Tensor] {
        let sizes = [
            "B": batch, "heads": heads, "N": height * width, "d": dim, "C": heads * dim, "H": height, "W": width,
            "A": 9, "m": 37, "f": 19, "r": 11,
        ]
        var tensors: [String: Tensor] = [:]
        for input in attention.inputs {
            if input.name == "grid" {
                guard input.summary.contains("left out") else { continue }
                tensors["grid"] = Tensor(shape: [2], values: [Float(height), Float(width)])
            } else if input.isRequired {
                let words = input.shape.split(whereSeparator: { "(), ".contains($0) }).map(String.init)
                let shape = try words.map { try #require(sizes[$0] ?? Int($0)) }
                tensors[input.name] = SeededSource.uniform(input.name, shape: shape)
            }
        }
        return tensors
    }
}
