import ArgumentParser
import ZooBench
import ZooCore
import ZooEval

/// `zoo compare`: is one model better than another, or is that chance?
struct CompareCommand: ParsableCommand, Exemplified {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Compare two results of zoo eval on the same images.",
        discussion: """
            Reads two files of zoo eval --output-file. Accuracy is compared image by image: McNemar's exact test decides \
            whether there is a difference, and Newcombe's 95 % interval says how large it may be; where the two see it \
            differently, that is said. Time per image with a bootstrap interval of the ratio \
            of medians and a Mann-Whitney test. Results on other images are refused. With --gate, exit code 1 if B is \
            significantly less accurate; with --max-regression, if B is slower beyond doubt.
            """)

    static let examples = [
        "zoo eval ravlt-nano --output-file A.json && zoo eval mavit-nano --output-file B.json && "
            + "zoo compare A.json B.json",
        "zoo eval ravlt-nano --output-file A.json && zoo compare A.json A.json --gate --json",
    ]

    @Argument(help: "The result to compare with.", completion: .file(extensions: ["json"]))
    var a: String

    @Argument(help: "The result in question.", completion: .file(extensions: ["json"]))
    var b: String

    @Flag(help: "Exit with 1 if B's top-1 is lower than A's and the test's p is below --alpha.")
    var gate = false

    @Option(help: "The level of significance.")
    var alpha = 0.05

    @OptionGroup var regression: RegressionOption

    @Flag(help: "Print the result as one JSON object.")
    var json = false

    /// What `--json` prints.
    private struct Content: Encodable {
        struct Side: Encodable {
            let file: String
            let model: String
            let weights: WeightsRecord
            let images: Int
            let top1: Double?
            let top1Interval: [Double]?
            let top5: Double?
            let top5Interval: [Double]?
            let loss: Double?
            let imagesPerSecond: Double?
            let peakResidentBytes: Int

            init(_ report: EvaluationReport, file: String) {
                let results = report.results
                self.file = file
                model = report.model.name
                weights = report.weights
                images = results.images
                (top1, top1Interval) = (results.top1, results.top1Interval)
                (top5, top5Interval) = (results.top5, results.top5Interval)
                loss = results.loss
                imagesPerSecond = results.speed.imagesPerSecond
                peakResidentBytes = results.peakResidentBytes
            }
        }

        /// On top-1.
        struct Verdict: Encodable {
            let test = "McNemar's exact test"
            let level: Double
            let verdict: PairedAccuracy.Verdict
            /// Whether the 95 % interval leaves 0 out exactly if the test is significant.
            let intervalAgrees: Bool
        }

        let dataset: EvaluationReport.DatasetRecord
        let a: Side
        let b: Side
        let top1: PairedAccuracy
        let top5: PairedAccuracy
        let verdict: Verdict
        /// Of the model's seconds per image; `nil` if one of the runs computed nothing.
        let time: Comparison.Row?
        let differences: [String]
    }

    func validate() throws {
        guard alpha > 0, alpha < 1 else { throw ValidationError("--alpha must lie between 0 and 1") }
    }

    func run() throws {
        let pair = try ResultPair(Self.read(a), Self.read(b), files: (a, b))
        let samples = (pair.a.results.speed.samples, pair.b.results.speed.samples)
        let time =
            samples.0.isEmpty || samples.1.isEmpty
            ? nil : Comparison.Row(id: "seconds per image", before: samples.0, after: samples.1)
        if json {
            let content = Content(
                dataset: pair.a.dataset, a: .init(pair.a, file: a), b: .init(pair.b, file: b), top1: pair.top1,
                top5: pair.top5,
                verdict: .init(
                    level: alpha, verdict: pair.top1.verdict(level: alpha), intervalAgrees: agrees(pair.top1)),
                time: time, differences: pair.differences)
            try JSONReport(command: "compare", content: content).write()
        } else {
            try Output.write(text(pair, time))
        }
        for difference in pair.differences {
            Output.note("time and memory were measured under other conditions: \(difference)")
        }
        try judge(pair, time)
    }

    private static func read(_ file: String) throws -> EvaluationReport {
        let reports = try ResultFile.read(file)
        guard let report = reports.first, reports.count == 1 else {
            throw ZooError(
                .badData, "not the result of one model", file: file, found: "\(reports.count) results",
                hint: "zoo eval --all leaves one file per model in its --results folder")
        }
        return report
    }

    private func judge(_ pair: ResultPair, _ time: Comparison.Row?) throws(ZooError) {
        if gate, pair.top1.verdict(level: alpha) == .worse {
            throw ZooError(
                .gateFailed, "top-1 is significantly lower", file: b,
                expected: "no loss against \(a), or p of at least \(alpha)",
                found: "\(Self.signed(pair.top1.difference)) points, p = \(Self.probability(pair.top1.p))")
        }
        if let time { try regression.judge([time], "times") }
    }

    private func text(_ pair: ResultPair, _ time: Comparison.Row?) -> String {
        let (x, y) = (pair.a.results, pair.b.results)
        let head = Table(pairs: [
            ("A", "\(a): \(pair.a.title), weights \(pair.a.weights.source)"),
            ("B", "\(b): \(pair.b.title), weights \(pair.b.weights.source)"),
            ("data", "\(pair.a.dataset.name), \(pair.top1.images) images in both"),
        ])
        var table = Table(
            [.init("", .left)] + ["A", "95 %", "B", "95 %", "B AGAINST A", "95 %", "P"].map { .init($0) })
        func accuracy(_ name: String, _ paired: PairedAccuracy, _ k: Int) {
            func side(_ count: Int) -> [String] {
                let share = Proportion(count: count, total: paired.images)
                return [
                    share.percent.map { fixed($0, 2) } ?? "-",
                    share.wilson95.map { "\(fixed($0.lowerBound, 2))...\(fixed($0.upperBound, 2))" } ?? "-",
                ]
            }
            table.append(
                [name] + side(paired.bothRight + paired.onlyA) + side(paired.bothRight + paired.onlyB) + [
                    Self.signed(paired.difference),
                    "\(Self.signed(paired.interval[0]))...\(Self.signed(paired.interval[1]))",
                    Self.probability(paired.p),
                ])
        }
        accuracy("top-1 %", pair.top1, 1)
        accuracy("top-5 %", pair.top5, 5)
        table.append([
            "loss", x.loss.map { fixed($0, 5) } ?? "-", "", y.loss.map { fixed($0, 5) } ?? "-", "",
            zip(x.loss, y.loss).map { Self.signed($1 - $0, 5) } ?? "", "", "",
        ])
        if let time {
            table.append([
                "ms per image", fixed(time.before * 1e3, 3), "", fixed(time.after * 1e3, 3), "",
                "\(fixed(time.ratio, 3))x", "\(fixed(time.low, 3))...\(fixed(time.high, 3))",
                Self.probability(time.p),
            ])
        }
        let memory = (x.peakResidentBytes, y.peakResidentBytes)
        table.append([
            "memory MiB", "\(memory.0 >> 20)", "", "\(memory.1 >> 20)", "",
            memory.0 > 0 ? "\(fixed(Double(memory.1) / Double(memory.0), 3))x" : "", "", "",
        ])
        let top1 = pair.top1
        return head.rendered(.text) + "\n" + table.rendered(.text) + "\n"
            + "top-1: \(top1.bothRight) right in both, \(top1.onlyA) only in A, \(top1.onlyB) only in B, "
            + "\(top1.bothWrong) in neither; \(top1.verdict(level: alpha).rawValue) "
            + "(McNemar's exact test, level \(alpha))\n"
            + [("top-1", top1), ("top-5", pair.top5)].filter { !agrees($0.1) }.map(disagreement).joined()
            + (time.map { "time: \($0.verdict.rawValue) (Mann-Whitney test, level 0.01)\n" } ?? "")
    }

    private func agrees(_ paired: PairedAccuracy) -> Bool {
        paired.intervalExcludesZero == (paired.verdict(level: alpha) != .undecided)
    }

    /// `top-1: the 95 % interval leaves 0 out, and p is not below 0.05: the test decides`
    private func disagreement(_ name: String, _ paired: PairedAccuracy) -> String {
        let (interval, test) = paired.intervalExcludesZero ? ("leaves 0 out", "is not") : ("holds 0", "is")
        return
            "\(name): the 95 % interval \(interval), but p \(test) below \(alpha): the test decides, not the interval\n"
    }

    private static func signed(_ value: Double, _ decimals: Int = 2) -> String {
        (value >= 0 ? "+" : "") + fixed(value, decimals)
    }

    private static func probability(_ p: Double) -> String {
        p < 0.0001 ? "<0.0001" : fixed(p, 4)
    }
}

/// Both values, if there are both.
private func zip<T>(_ a: T?, _ b: T?) -> (T, T)? {
    guard let a, let b else { return nil }
    return (a, b)
}
