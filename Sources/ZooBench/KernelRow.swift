import ZooCore

/// The measurement of one kernel at one setting.
public struct KernelRow: BenchmarkRow, Equatable {
    public let id: String
    /// An operator of the catalogue, or `gemm`, `conv`, `dwconv`, `layer_norm`.
    public let `operator`: String
    /// Sizes and fused parts.
    public let shape: String
    /// The layers of models that have this shape, `ravlt-t layers.0.blocks.0.ffn.fc1`.
    public let layers: [String]
    /// Tokens of an attention operator, for plots over the sequence length.
    public let tokens: Int?
    public let threads: Int
    public let instructionSet: String
    /// The correctness check that came before.
    public let agreement: Agreement
    public let measurement: Measurement
    /// Floating-point operations of one run; a multiply-add counts as 2, feature maps and exponentials as nothing.
    public let flops: Double
    /// Compulsory traffic of one run.
    public let bytes: Double
    /// The highest rate at these flops and bytes: the smaller of the arithmetic and the memory roof.
    public let attainableGflops: Double?
    /// Median time of `ref` over that of this row.
    public let speedupOverRef: Double?
    /// Median time of softmax attention at the same shape over that of this row.
    public let speedupOverSoftmax: Double?

    public let gflops: Double
    public let gbPerSecond: Double
    public let rooflineShare: Double?

    /// - Parameters:
    ///   - reference, softmax: seconds of the two that this row is compared with.
    init(
        _ kernel: some PreparedKernel, operator name: String, shape: String, layers: [String], tokens: Int?,
        agreement: Agreement, measurement: Measurement, reference: Double?, softmax: Double?, roofline: Roofline?,
        on runtime: Runtime
    ) {
        let (flops, bytes) = (2 * Double(kernel.multiplyAdds), Double(kernel.bytes))
        let median = measurement.statistics.median
        id = "\(name) \(shape) threads \(runtime.threads) \(runtime.instructionSet.rawValue)"
        self.operator = name
        self.shape = shape
        self.layers = layers
        self.tokens = tokens
        threads = runtime.threads
        instructionSet = runtime.instructionSet.rawValue
        self.agreement = agreement
        self.measurement = measurement
        self.flops = flops
        self.bytes = bytes
        attainableGflops = roofline?.attainableGflops(flops: flops, bytes: bytes)
        speedupOverRef = reference.map { $0 / median }
        speedupOverSoftmax = softmax.map { $0 / median }
        gflops = flops / median * 1e-9
        gbPerSecond = bytes / median * 1e-9
        rooflineShare = attainableGflops.map { flops / median * 1e-9 / $0 }
    }

    public static var columns: [Table.Column] {
        [.init("operator", .left), .init("shape", .left), .init("threads"), .init("isa", .left)]
            + [
                "runs", "median ms", "mad ms", "min ms", "p90 ms", "GFLOP/s", "GB/s", "of roof", "x ref", "x softmax",
                "error",
            ]
            .map { .init($0) } + [.init("layers", .left)]
    }

    public var cells: [String] {
        let statistics = measurement.statistics
        return [
            `operator`, shape, "\(threads)", instructionSet, "\(statistics.n)", statistics.median.milliseconds,
            statistics.mad.milliseconds, statistics.min.milliseconds, statistics.p90.milliseconds, gflops.threeDigits,
            gbPerSecond.threeDigits,
            rooflineShare?.percent ?? "", speedupOverRef?.threeDigits ?? "", speedupOverSoftmax?.threeDigits ?? "",
            agreement.relativeError.scientific, layerSummary,
        ]
    }

    /// The first layer and how many more there are.
    private var layerSummary: String {
        guard let first = layers.first else { return "" }
        return layers.count == 1 ? first : "\(first) and \(layers.count - 1) more"
    }
}
