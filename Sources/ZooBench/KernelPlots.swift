/// How times of attention operators grow with the sequence length, and where kernels lie under the roofline.
public struct KernelPlots {
    private let rows: [KernelRow]
    private let rooflines: [Roofline]

    public init(_ report: BenchmarkReport<KernelRow>) {
        rows = report.results
        rooflines = report.rooflines
    }

    /// One operator at one setting over the sequence length.
    struct Growth {
        let label: String
        let points: [(x: Double, y: Double)]
        let law: PowerLaw?
    }

    /// Every setting that was measured at two or more lengths, in the order of the rows.
    var growths: [Growth] {
        let attention = rows.filter { $0.tokens != nil }
        var settings: [String] = []
        for row in attention where !settings.contains(Self.setting(row)) { settings.append(Self.setting(row)) }
        return settings.compactMap { setting in
            let points = attention.filter { Self.setting($0) == setting }
                .map { (x: Double($0.tokens ?? 1), y: $0.measurement.statistics.median * 1e3) }
                .sorted { $0.x < $1.x }
            return Set(points.map(\.x)).count > 1
                ? Growth(label: setting, points: points, law: PowerLaw(fitting: points)) : nil
        }
    }

    /// Operator, sizes but the tokens, threads and instruction set.
    private static func setting(_ row: KernelRow) -> String {
        let sizes = row.shape.split(separator: "x")
        let threads = row.threads == 1 ? "1 thread" : "\(row.threads) threads"
        guard sizes.count == 4 else { return "\(row.operator), \(threads), \(row.instructionSet)" }
        return "\(row.operator), batch \(sizes[0]), \(sizes[1]) x \(sizes[3]), \(threads), \(row.instructionSet)"
    }

    /// One line per setting: the fitted exponent.
    public var summary: [String] {
        growths.compactMap { growth in growth.law.map { "\(growth.label): time ~ tokens^\($0.exponent.fixed(2))" } }
    }

    /// Both plots as one SVG image.
    public var svg: String {
        LogLogPlot.image([growths.isEmpty ? nil : timePlot, rooflinePlot].compactMap { $0 })
    }

    private var timePlot: LogLogPlot {
        LogLogPlot(
            title: "Time over sequence length", xTitle: "tokens", yTitle: "median, ms",
            series: growths.map { growth in
                let exponent = growth.law.map { ": tokens^\($0.exponent.fixed(2))" } ?? ""
                return .init(label: growth.label + exponent, points: growth.points, style: .joined)
            })
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
                let threads = roofline.threads == 1 ? "1 thread" : "\(roofline.threads) threads"
                let label =
                    "\(roofline.gflops.threeDigits) GFLOP/s, \(level.gbPerSecond.threeDigits) GB/s in "
                    + "\(level.workingSet.binaryBytes), \(roofline.instructionSet), \(threads)"
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
