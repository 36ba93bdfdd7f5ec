/// How times of attention operators grow with the sequence length, and where kernels lie under the roofline.
public struct KernelPlots {
    private let rows: [KernelRow]
    private let rooflines: [Roofline]

    public init(_ report: BenchmarkReport<KernelRow>) {
        rows = report.results
        rooflines = report.rooflines
    }

    private var growths: [Growth] {
        Growth.curves(
            rows.compactMap { row in
                row.tokens.map {
                    .init(setting: Self.setting(row), size: Double($0), measurement: row.measurement)
                }
            })
    }

    /// Operator, sizes but the tokens, threads and instruction set.
    private static func setting(_ row: KernelRow) -> String {
        let sizes = row.shape.split(separator: "x")
        let machine = "\(row.threads.threadCount), \(row.instructionSet)"
        guard sizes.count == 4 else { return "\(row.operator), \(machine)" }
        return "\(row.operator), batch \(sizes[0]), \(sizes[1]) x \(sizes[3]), \(machine)"
    }

    /// One line per setting: the fitted exponent.
    public var summary: [String] { growths.compactMap { $0.summary(over: "tokens") } }

    /// Both plots as one SVG image.
    public var svg: String {
        LogLogPlot.image([growths.isEmpty ? nil : timePlot, rooflinePlot].compactMap { $0 })
    }

    private var timePlot: LogLogPlot {
        LogLogPlot(
            title: "Time over sequence length", xTitle: "tokens", yTitle: "median, ms",
            series: growths.map { $0.series(over: "tokens") })
    }

    private var rooflinePlot: LogLogPlot {
        func intensity(_ row: KernelRow) -> Double { row.flops / row.bytes }
        let intensities = rows.map(intensity)
        let low = min(intensities.min() ?? 1, 0.25)
        let high = max(intensities.max() ?? 1, 64)
        let ceilings = rooflines.flatMap { roofline -> [LogLogPlot.Series] in
            let levels = [roofline.bandwidth.first, roofline.bandwidth.last].compactMap { $0 }
            return levels.map { level in
                let ridge = roofline.gflops / level.gbPerSecond
                let slope = [low, min(max(ridge, low), high), high]
                let label =
                    "\(roofline.gflops.threeDigits) GFLOP/s, \(level.gbPerSecond.threeDigits) GB/s in "
                    + "\(level.workingSet.binaryBytes), \(roofline.instructionSet), \(roofline.threads.threadCount)"
                return .init(
                    label: label, points: slope.map { ($0, min(roofline.gflops, $0 * level.gbPerSecond)) },
                    style: .ceiling)
            }
        }
        var names: [String] = []
        for row in rows where !names.contains(row.operator) { names.append(row.operator) }
        let marks = names.map { name in
            LogLogPlot.Series(
                label: name, points: rows.filter { $0.operator == name }.map { (intensity($0), $0.gflops) },
                style: .marks)
        }
        return LogLogPlot(
            title: "Roofline", xTitle: "FLOP per byte of compulsory traffic", yTitle: "GFLOP/s",
            series: ceilings + marks)
    }
}
