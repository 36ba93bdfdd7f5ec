import Foundation
import ZooCore
import ZooIO
import ZooNN

/// Results as one self-contained HTML page: nothing is loaded from anywhere, and nothing from a result file becomes
/// markup.
public struct HTMLReport {
    private let reports: [EvaluationReport]

    /// Results on one dataset.
    struct Section {
        let dataset: EvaluationReport.DatasetRecord
        /// Best first.
        let reports: [EvaluationReport]
        let thumbnails: Thumbnails
    }

    /// Families in the order of their colours.
    let families: [String]

    /// - Parameter reports: of any models and datasets; results on the same images share a leaderboard.
    public init(_ reports: [EvaluationReport]) {
        self.reports = reports
        families = reports.reduce(into: []) { if !$0.contains($1.model.family) { $0.append($1.model.family) } }
    }

    /// The page.
    public var html: String {
        let sections = sections
        let body = sections.enumerated().map { part($1, number: $0) }.joined()
        let count = reports.count == 1 ? "1 result" : "\(reports.count) results"
        let names = sections.map { escaped($0.dataset.name) }.joined(separator: ", ")
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
            style-src 'unsafe-inline'; script-src 'sha256-\(Self.digest(of: Self.script))'">
            <meta name="color-scheme" content="light dark">
            <title>zoo: \(names)</title>
            <style>
            \(Self.style)</style>
            </head>
            <body>
            <header>
            <h1>Evaluation report</h1>
            <p class="quiet">\(count) on \(names), written by zoo \(Environment.version)</p>
            </header>
            <main>
            \(body)\(environments)</main>
            <script>\(Self.script)</script>
            </body>
            </html>

            """
    }

    private var sections: [Section] {
        var fingerprints: [String] = []
        for report in reports where !fingerprints.contains(Self.key(report)) { fingerprints.append(Self.key(report)) }
        return fingerprints.compactMap { key in
            let members = reports.filter { Self.key($0) == key }.sorted(by: Leaderboard.precedes)
            guard let dataset = members.first?.dataset else { return nil }
            return Section(dataset: dataset, reports: members, thumbnails: Thumbnails(dataset))
        }
    }

    /// What results must share to stand in one table.
    private static func key(_ report: EvaluationReport) -> String {
        "\(report.dataset.fingerprint) \(report.results.perImage.count)"
    }

    private func part(_ section: Section, number: Int) -> String {
        let dataset = section.dataset
        let evaluated = section.reports.first?.results.perImage.count ?? 0
        let limited = evaluated < dataset.images ? "\(evaluated) of " : ""
        var html = """
            <section>
            <h2>\(escaped(dataset.name))</h2>
            <p class="quiet">\(limited)\(dataset.images) images, \(dataset.classes) classes, \(escaped(dataset.origin)), \
            fingerprint <code>\(escaped(String(dataset.fingerprint.prefix(16))))</code></p>

            """
        if section.reports.contains(where: { !$0.results.trained }) {
            html +=
                "<p class=\"warning\">Some weights are untrained: their accuracy is meaningless, speed and memory are real.</p>\n"
        }
        html += leaderboard(section) + plots(section)
        html += "<h3>Models</h3>\n<div class=\"cards\">\n"
        html += section.reports.map { card($0, section.thumbnails) }.joined()
        return html + "</div>\n</section>\n"
    }

    // MARK: Leaderboard

    private func leaderboard(_ section: Section) -> String {
        let titles: [(name: String, isText: Bool)] = [
            ("Model", true), ("Top-1 %", false), ("95 % interval", false), ("Top-5 %", false), ("Loss", false),
            ("Parameters", false), ("GMACs", false), ("Input", false), ("Images/s", false), ("Memory MiB", false),
        ]
        let head = titles.map { title in
            "<th scope=\"col\"\(title.isText ? " class=\"text\"" : "")><button type=\"button\">\(title.name)</button></th>"
        }.joined()
        let range = Self.range(of: section.reports)
        let rows = section.reports.map { row($0, in: range) }.joined()
        return """
            <div class="scroll"><table class="board">
            <thead><tr>\(head)</tr></thead>
            <tbody>
            \(rows)</tbody>
            </table></div>

            """
    }

    /// The ends of all intervals together.
    private static func range(of reports: [EvaluationReport]) -> ClosedRange<Double> {
        let ends = reports.compactMap(\.results.top1Interval).flatMap(\.self)
        let (low, high) = (ends.min() ?? 0, ends.max() ?? 100)
        return low...max(high, low + 0.1)
    }

    private func row(_ report: EvaluationReport, in range: ClosedRange<Double>) -> String {
        let (model, results) = (report.model, report.results)
        let macs = model.gmacs + model.attentionGmacs
        func cell(_ value: Double?, _ text: String) -> String {
            "<td data-value=\"\(value ?? -1)\">\(value == nil ? "–" : text)</td>"
        }
        let name =
            "<th scope=\"row\" data-value=\"\(escaped(model.name))\"><i class=\"dot f\(colour(of: model))\"></i>"
            + "\(escaped(model.name))\(Self.tags(report))</th>"
        let cells = [
            cell(results.top1, "<b>\(decimals(results.top1, 2))</b>"),
            interval(results, in: range),
            cell(results.top5, decimals(results.top5, 2)),
            cell(results.loss, decimals(results.loss, 4)),
            cell(Double(model.parameters), Self.millions(model.parameters)),
            cell(macs, fixed(macs, macs < 0.1 ? 4 : 2)),
            cell(
                Double(report.preprocessing.inputHeight),
                "\(report.preprocessing.inputHeight)×\(report.preprocessing.inputWidth)"),
            cell(results.speed.imagesPerSecond, decimals(results.speed.imagesPerSecond, 1)),
            cell(Double(results.peakResidentBytes), "\(results.peakResidentBytes >> 20)"),
        ]
        return "<tr>\(name)\(cells.joined())</tr>\n"
    }

    /// A dot with whiskers on a scale that all rows share.
    private func interval(_ results: EvaluationReport.Results, in range: ClosedRange<Double>) -> String {
        guard let value = results.top1, let low = results.top1Interval?.first, let high = results.top1Interval?.last
        else { return "<td data-value=\"-1\">–</td>" }
        func place(_ value: Double) -> String {
            fixed(4 + 92 * (value - range.lowerBound) / (range.upperBound - range.lowerBound), 1)
        }
        return """
            <td data-value="\(low)" class="interval"><span>\(fixed(low, 2))–\(fixed(high, 2))</span>\
            <svg viewBox="0 0 100 8" aria-hidden="true"><line x1="\(place(low))" x2="\(place(high))" y1="4" y2="4"/>\
            <circle cx="\(place(value))" cy="4" r="3"/></svg></td>
            """
    }

    // MARK: Plots

    private func plots(_ section: Section) -> String {
        func plot(
            _ title: String, _ xTitle: String, _ preference: ScatterPlot.Preference, _ x: (EvaluationReport) -> Double?
        ) -> String {
            let points = section.reports.compactMap { report -> ScatterPlot.Point? in
                guard let value = x(report), let y = report.results.top1 else { return nil }
                let ends = report.results.top1Interval ?? [y, y]
                return ScatterPlot.Point(
                    label: report.title, colour: colour(of: report.model), x: value, y: y, low: ends[0],
                    high: ends[1])
            }
            let plot = ScatterPlot(
                title: title, xTitle: xTitle, preference, yTitle: "top-1 %", points: points)
            guard let svg = plot.svg else { return "" }
            let note = plot.namesAll ? "" : " <small>named are those that no other beats in both</small>"
            return "<figure><figcaption>\(title)\(note)</figcaption>\n\(svg)</figure>\n"
        }
        let figures =
            plot("Accuracy against throughput", "images per second", .higher, \.results.speed.imagesPerSecond)
            + plot("Accuracy against parameters", "parameters, millions", .lower) { Double($0.model.parameters) / 1e6 }
        guard !figures.isEmpty else { return "" }
        let legend = families.enumerated().filter { family in
            section.reports.contains { $0.model.family == family.element }
        }.map { "<span><i class=\"dot f\($0.offset % Self.colours)\"></i>\(escaped($0.element))</span>" }.joined(
            separator: " ")
        return "<div class=\"plots\">\n\(figures)</div>\n<p class=\"legend\">\(legend)</p>\n"
    }

    // MARK: Environment

    private var environments: String {
        var known: [Environment] = []
        for report in reports where !known.contains(where: { $0.sameMachine(as: report.environment) }) {
            known.append(report.environment)
        }
        let blocks = known.map { environment in
            let libraries = environment.libraries.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            return Self.definitions([
                ("zoo", environment.zoo), ("processor", environment.cpu), ("cores", "\(environment.usableCores)"),
                ("instruction set", environment.instructionSet ?? "–"),
                ("precision", environment.precision?.rawValue ?? ""),
                ("threads", "\(environment.threads ?? 0), \(environment.decodeThreads ?? 0) for decoding"),
                ("system", environment.system), ("Swift", environment.swift), ("C compiler", environment.compiler),
                ("libraries", libraries.joined(separator: ", ")),
                ("load", environment.loadAverage.map { fixed($0, 2) }.joined(separator: " ")),
            ])
        }
        return "<section>\n<h2>Environment</h2>\n\(blocks.joined())</section>\n"
    }

    // MARK: Shared

    /// Names and values.
    static func definitions(_ pairs: [(name: String, value: String)]) -> String {
        let rows = pairs.filter { !$0.value.isEmpty }.map { pair in
            "<div><dt>\(escaped(pair.name))</dt><dd>\(escaped(pair.value))</dd></div>"
        }
        return "<dl>\(rows.joined(separator: "\n"))</dl>\n"
    }

    static func tags(_ report: EvaluationReport) -> String {
        report.tags.map { " <span class=\"tag\">\(escaped($0))</span>" }.joined()
    }

    /// Colours of the style sheet.
    private static let colours = 10

    func colour(of model: ModelCard) -> Int { (families.firstIndex(of: model.family) ?? 0) % Self.colours }

    static func millions(_ count: Int) -> String { "\(fixed(Double(count) / 1e6, 2)) M" }

    func decimals(_ value: Double?, _ digits: Int) -> String { value.map { fixed($0, digits) } ?? "–" }

    /// SHA-256 in the form of a content security policy.
    private static func digest(of text: String) -> String {
        let hex = Array(SHA256.hex(text.utf8))
        let bytes = stride(from: 0, to: hex.count, by: 2).compactMap { UInt8(String(hex[$0...$0 + 1]), radix: 16) }
        return Data(bytes).base64EncodedString()
    }
}

/// The text with nothing left that a browser would take for markup.
func escaped(_ text: String) -> String { Markup.escaped(text) }

extension Environment {
    /// Whether only the load at the time differs.
    fileprivate func sameMachine(as other: Environment) -> Bool {
        (zoo, cpu, system, swift, compiler) == (other.zoo, other.cpu, other.system, other.swift, other.compiler)
            && instructionSet == other.instructionSet && precision == other.precision && threads == other.threads
            && decodeThreads == other.decodeThreads
    }
}
