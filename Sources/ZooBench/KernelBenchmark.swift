import CKernels
import ZooCore
import ZooIO
import ZooModels
import ZooNN

/// Measures kernels: the layers' kernels at the shapes that models have, and the attention operators of the catalogue at
/// given sizes.
public final class KernelBenchmark {
    /// What `zoo bench kernel` can measure besides the operators of the catalogue.
    public enum LayerKernel: String, Sendable, CaseIterable {
        case gemm, conv, dwconv
        case layerNorm = "layer_norm"

        var kind: KernelKind {
            switch self {
            case .gemm: .gemm
            case .conv: .convolution
            case .dwconv: .depthwise
            case .layerNorm: .norm
            }
        }
    }

    /// A kernel by name.
    public enum Subject: Sendable {
        case layer(LayerKernel)
        case attention(Operator)

        /// - Throws: `ZooError` of kind `usage` that names the nearest three.
        public init(named name: String) throws(ZooError) {
            let wanted = String(name.lowercased().map { $0 == "-" ? "_" : $0 })
            if let layer = LayerKernel(rawValue: wanted) {
                self = .layer(layer)
            } else if let known = Operator.all.first(where: { $0.name == wanted }) {
                self = .attention(known)
            } else {
                throw ZooError(
                    .usage, "unknown kernel '\(name)'", hint: Suggestion.hint(for: wanted, among: Self.names))
            }
        }

        public static var names: [String] { LayerKernel.allCases.map(\.rawValue) + Operator.all.map(\.name) }
    }

    /// At which sizes to measure.
    public struct Sizes: Sendable {
        public var batch: [Int]
        public var heads: [Int]
        public var tokens: [Int]
        public var headDim: [Int]
        /// For operators on ragged groups, whose rows are the tokens; they know no batch.
        public var groups: [GroupSizes]

        public init(
            batch: [Int], heads: [Int], tokens: [Int], headDim: [Int], groups: [GroupSizes] = [GroupSizes(1...2000)]
        ) {
            self.batch = batch
            self.heads = heads
            self.tokens = tokens
            self.headDim = headDim
            self.groups = groups
        }

        var shapes: [AttentionShape] {
            batch.flatMap { batch in
                heads.flatMap { heads in
                    headDim.flatMap { headDim in
                        tokens.map { AttentionShape(batch: batch, heads: heads, tokens: $0, headDim: headDim) }
                    }
                }
            }
        }

        var scatteredShapes: [AttentionShape] {
            Sizes(batch: [1], heads: heads, tokens: tokens, headDim: headDim).shapes.flatMap { shape in
                groups.map { groups in
                    var shape = shape
                    shape.groups = groups
                    return shape
                }
            }
        }
    }

    /// Multiply-adds that `ref` may take for a check; beyond it, the check is made at fewer tokens.
    private static let referenceLimit = 2_000_000_000
    /// Multiply-adds that softmax attention may take to be measured as a baseline.
    private static let softmaxLimit = 200_000_000_000
    private static let checkedTokens = 1024

    private let plan: MeasurementPlan
    private let models: [ModelCard]
    private let precision: Precision
    private var cases: [Int: [LayerCase]] = [:]
    private var softmaxTimes: [String: Double] = [:]

    /// - Parameters:
    ///   - models: whose layers' shapes are measured.
    ///   - precision: of those layers.
    public init(_ plan: MeasurementPlan, models: [ModelCard], precision: Precision = .fp32) {
        self.plan = plan
        self.models = models
        self.precision = precision
    }

    /// Measures one kernel at all sizes. A kernel that fails its check gets no row but an entry in `failures`.
    ///
    /// - Parameters:
    ///   - roofline: of the same instruction set and threads; `nil` leaves the share out.
    ///   - each: called with every row as soon as it is known.
    public func measure(
        _ subject: Subject, at sizes: Sizes, roofline: Roofline?, on runtime: Runtime, each: (KernelRow) -> Void
    ) throws {
        switch subject {
        case .layer(.layerNorm):
            for shape in sizes.shapes {
                let channels = shape.heads * shape.headDim
                let call = ck_layer_norm_args(
                    rows: shape.batch * shape.tokens, channels: channels, x: nil, x_stride: channels, gamma: nil,
                    beta: nil, epsilon: 1e-6, residual: nil, residual_stride: 0, out: nil, out_stride: channels)
                try attempt(each) { try row(LayerCase(call: call, layers: []), named: "layer_norm", roofline, runtime) }
            }
        case .layer(let layer):
            for batch in sizes.batch {
                for layerCase in try layerCases(batch: batch) where layerCase.call.kind == layer.kind {
                    try attempt(each) { try row(layerCase, named: layer.rawValue, roofline, runtime) }
                }
            }
        case .attention(let attention):
            for shape in attention.isScattered ? sizes.scatteredShapes : sizes.shapes {
                try attempt(each) { try row(attention, shape, roofline, runtime) }
            }
        }
    }

    /// The checks that failed so far.
    public private(set) var failures: [ZooError] = []

    private func attempt(_ each: (KernelRow) -> Void, _ row: () throws -> KernelRow) throws {
        do {
            each(try row())
        } catch let error as ZooError {
            guard error.kind == .gateFailed else { throw error }
            failures.append(error)
        }
    }

    /// A shape and the layers that have it.
    private struct LayerCase {
        let call: any ReplayableCall
        var layers: [String]
    }

    /// Every distinct kernel call of the models, in the order of the networks.
    private func layerCases(batch: Int) throws -> [LayerCase] {
        if let known = cases[batch] { return known }
        let runtime = try Runtime(threads: 1)
        var found: [LayerCase] = []
        var positions: [String: Int] = [:]
        for card in models {
            let model = try Registry.network(card, from: SeededSource(seed: 1), precision: precision)
            let size = ModelBenchmark.ImageSize(
                height: card.preprocessing.inputHeight, width: card.preprocessing.inputWidth)
            let pass = try Pass(model, card, size: size, batch: batch)
            for record in try KernelTrace.of(pass, on: runtime).trace.records {
                guard let call = record.replayable else { continue }
                let layer = "\(card.name) \(record.layer)"
                if let position = positions["\(call.kind) \(call.shape)"] {
                    found[position].layers.append(layer)
                } else {
                    positions["\(call.kind) \(call.shape)"] = found.count
                    found.append(LayerCase(call: call, layers: [layer]))
                }
            }
        }
        cases[batch] = found
        return found
    }

    private func row(
        _ layer: LayerCase, named name: String, _ roofline: Roofline?, _ runtime: Runtime
    ) throws -> KernelRow {
        let kernel = KernelReplay(of: layer.call)
        let (agreement, reference) = try Self.check(
            kernel, named: "\(name) \(layer.call.shape)", on: runtime,
            tolerance: precision == .fp32 ? Agreement.kernelTolerance : Agreement.bf16KernelTolerance)
        return KernelRow(
            kernel, operator: name, shape: layer.call.shape, layers: layer.layers, tokens: nil, agreement: agreement,
            measurement: time(kernel, plan, runtime), reference: reference, softmax: nil, roofline: roofline,
            on: runtime)
    }

    private func row(
        _ attention: Operator, _ shape: AttentionShape, _ roofline: Roofline?, _ runtime: Runtime
    ) throws -> KernelRow {
        let kernel = try OperatorKernel(attention, shape)
        let name = "\(attention.name) \(shape.description)"
        let isSmall = kernel.multiplyAdds <= Self.referenceLimit || shape.tokens <= Self.checkedTokens
        let checked = isSmall ? kernel : try OperatorKernel(attention, shape.with(tokens: Self.checkedTokens))
        let (agreement, reference) = try Self.check(checked, named: name, on: runtime)
        return KernelRow(
            kernel, operator: attention.name, shape: shape.description, layers: [], tokens: shape.tokens,
            agreement: agreement, measurement: time(kernel, plan, runtime), reference: isSmall ? reference : nil,
            softmax: attention.name == "softmax" || attention.isScattered ? nil : try softmaxTime(shape, on: runtime),
            roofline: roofline, on: runtime)
    }

    /// Compares a kernel with `ref` (`ref` itself with the portable path), and two runs with each other.
    ///
    /// - Returns: the agreement, and the time of `ref` in seconds where it was the reference.
    /// - Throws: `ZooError` of kind `gateFailed`.
    package static func check(
        _ kernel: some PreparedKernel, named name: String, on runtime: Runtime,
        tolerance: Double = Agreement.kernelTolerance
    ) throws -> (agreement: Agreement, reference: Double?) {
        let reference: InstructionSet = runtime.instructionSet == .ref ? .portable : .ref
        let slow = try Runtime(threads: runtime.threads, instructionSet: reference)
        let start = MonotonicClock.nanoseconds
        kernel.run(on: slow)
        let elapsed = Double(MonotonicClock.nanoseconds - start) * 1e-9
        let expected = Array(kernel.output.values)
        kernel.output.poison()
        kernel.run(on: runtime)
        let first = Array(kernel.output.values)
        kernel.run(on: runtime)
        let agreement = Agreement(
            reference: reference.rawValue, relativeError: Agreement.relativeError(first, expected),
            tolerance: tolerance, repeatable: Agreement.sameBits(first, kernel.output.values))
        guard agreement.passed else {
            throw ZooError(
                .gateFailed, "\(name) on \(runtime.instructionSet.rawValue): \(agreement.description)",
                hint: "no speed is reported for wrong results")
        }
        return (agreement, reference == .ref ? elapsed : nil)
    }

    /// Kernels shorter than a millisecond are timed several at a time.
    private func time(_ kernel: some PreparedKernel, _ plan: MeasurementPlan, _ runtime: Runtime) -> Measurement {
        Measurement(plan, shortest: 1e-3) { kernel.run(on: runtime) }
    }

    /// The median of a few runs of softmax attention; `nil` where it would take too long.
    private func softmaxTime(_ shape: AttentionShape, on runtime: Runtime) throws -> Double? {
        let macs = 2.0 * Double(shape.batch * shape.heads * shape.headDim) * Double(shape.tokens) * Double(shape.tokens)
        guard macs <= Double(Self.softmaxLimit) else { return nil }
        let key = "\(shape.description) \(runtime.threads) \(runtime.instructionSet)"
        if let known = softmaxTimes[key] { return known }
        let kernel = try OperatorKernel(try Operator.named("softmax"), shape)
        let quick = MeasurementPlan(warmup: 1, runs: min(plan.runs, 3), minTime: min(plan.minTime, 0.3))
        let time = time(kernel, quick, runtime).statistics.median
        softmaxTimes[key] = time
        return time
    }
}
