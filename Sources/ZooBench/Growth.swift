/// How the time of one subject at one setting grows with a size.
struct Growth {
    /// A measurement as a point of its subject's curve.
    struct Sample {
        let setting: String
        let size: Double
        let measurement: Measurement
    }

    let setting: String
    /// Sizes in ascending order, medians in milliseconds.
    let points: [(x: Double, y: Double)]
    let law: PowerLaw?

    /// Every setting that was measured at two or more sizes, in the order of the samples.
    static func curves(_ samples: [Sample]) -> [Growth] {
        var settings: [String] = []
        for sample in samples where !settings.contains(sample.setting) { settings.append(sample.setting) }
        return settings.compactMap { setting in
            let points = samples.filter { $0.setting == setting }
                .map { (x: $0.size, y: $0.measurement.statistics.median * 1e3) }
                .sorted { $0.x < $1.x }
            return Set(points.map(\.x)).count > 1
                ? Growth(setting: setting, points: points, law: PowerLaw(fitting: points)) : nil
        }
    }

    /// One line with the fitted exponent of `size`, or `nil` where nothing could be fitted.
    func summary(over size: String) -> String? {
        law.map { "\(setting): time ~ \(size)^\($0.exponent.fixed(2))" }
    }

    /// The curve, with the fitted exponent of `size` in the legend.
    func series(over size: String) -> LogLogPlot.Series {
        let exponent = law.map { ": \(size)^\($0.exponent.fixed(2))" } ?? ""
        return .init(label: setting + exponent, points: points, style: .joined)
    }
}
