/// How times of models grow with the size of the images.
public struct ModelPlots {
    private let rows: [ModelRow]

    public init(_ report: BenchmarkReport<ModelRow>) {
        rows = report.results
    }

    private var growths: [Growth] {
        Growth.curves(
            rows.map { row in
                let precision = "\(row.instructionSet) \(row.precision)"
                return .init(
                    setting: "\(row.model), batch \(row.batch), \(row.threads.threadCount), \(precision)",
                    size: Self.pixels(row), measurement: row.measurement)
            })
    }

    private static func pixels(_ row: ModelRow) -> Double { Double(row.size.height) * Double(row.size.width) }

    /// One line per model and setting that was measured at two or more sizes: the fitted exponent of the pixels, which is
    /// that of the tokens too.
    public var summary: [String] { growths.compactMap { $0.summary(over: "pixels") } }

    /// Times over the pixels of an image as an SVG image, marked with the sizes that were measured.
    public var svg: String {
        let sizes = Dictionary(
            rows.map { (Self.pixels($0), $0.size.description) }, uniquingKeysWith: { first, _ in first })
        let ticks = sizes.sorted { $0.key < $1.key }.map { LogLogPlot.Tick(value: $0.key, label: $0.value) }
        return LogLogPlot.image([
            LogLogPlot(
                title: "Time over image size", xTitle: "side of the image in pixels",
                yTitle: "median of a pass, ms", series: growths.map { $0.series(over: "pixels") },
                xTicks: ticks)
        ])
    }
}
