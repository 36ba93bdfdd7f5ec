import ZooCore

/// The measurement of one model at one setting.
public struct ModelRow: BenchmarkRow, Equatable {
    public let id: String
    public let model: String
    /// The weights as the user named them.
    public let weights: String
    public let size: ModelBenchmark.ImageSize
    public let batch: Int
    public let threads: Int
    public let instructionSet: String
    public let precision: String
    /// The correctness check that came before.
    public let agreement: Agreement
    /// Of one forward pass over the whole batch.
    public let measurement: Measurement
    /// From the median.
    public let imagesPerSecond: Double
    /// Multiply-adds of one image in thousands of millions, attention cores included.
    public let gmacsPerImage: Double
    public let gmacPerSecond: Double
    /// Of the multiply-add peak of the same instruction set and threads.
    public let rooflineShare: Double?
    /// The peak resident size of the process during the measurement in bytes, `nil` where it can't be told apart from
    /// what came before.
    public let peakMemory: Int?
    public let profile: LayerProfile?

    public static var columns: [Table.Column] {
        [
            .init("model", .left), .init("size"), .init("batch"), .init("threads"), .init("isa", .left),
            .init("precision", .left),
        ]
            + [
                "runs", "median ms", "mad ms", "min ms", "p90 ms", "p99 ms", "cpu ms", "images/s", "GMAC/s", "of peak",
                "MB",
            ]
            .map { .init($0) }
    }

    public var cells: [String] {
        let statistics = measurement.statistics
        return [
            model, size.description, "\(batch)", "\(threads)", instructionSet, precision, "\(statistics.n)",
            statistics.median.milliseconds, statistics.mad.milliseconds, statistics.min.milliseconds,
            statistics.p90.milliseconds, statistics.p99.milliseconds, measurement.processorTime.milliseconds,
            imagesPerSecond.threeDigits,
            gmacPerSecond.threeDigits, rooflineShare?.percent ?? "", peakMemory.map { "\($0 / 1_000_000)" } ?? "",
        ]
    }
}
