import Foundation
import ZooCore
import ZooNN

extension HTMLReport {
    /// Confused pairs that a card shows.
    private static let shownConfusions = 6

    /// One model: what was published, what was measured, where the time went, what was confused.
    func card(_ report: EvaluationReport, _ thumbnails: Thumbnails) -> String {
        let (model, results) = (report.model, report.results)
        return """
            <article>
            <h4><i class="dot f\(colour(of: model))"></i>\(escaped(model.name))\(Self.tags(report))</h4>
            <p class="paper">\(Self.linked(paper: model.paper))\(Self.linked(code: model.code))</p>
            \(accuracy(report))\(facts(report))\(time(results.speed))\(confusions(results, thumbnails))</article>

            """
    }

    /// Measured beside published.
    private func accuracy(_ report: EvaluationReport) -> String {
        let results = report.results
        var figures = [("measured", results.top1.map { "\(fixed($0, 2)) %" } ?? "–", Self.ends(results.top1Interval))]
        if let published = report.model.publishedTop1 {
            figures.append(("published", "\(fixed(published, 1)) %", "ImageNet, 50 000 images"))
            if let measured = results.top1, results.trained {
                let gap = measured - published
                figures.append(("gap", (gap >= 0 ? "+" : "−") + fixed(abs(gap), 2), "percentage points"))
            }
        }
        let cells = figures.map { name, value, note in
            "<div><span>\(name)</span><b>\(escaped(value))</b><small>\(escaped(note))</small></div>"
        }
        return "<div class=\"figures\">\(cells.joined())</div>\n"
    }

    private func facts(_ report: EvaluationReport) -> String {
        let (model, results, preprocessing) = (report.model, report.results, report.preprocessing)
        let statuses = results.imageStatus.filter { $0.key != DecodingStatus.ok.rawValue && $0.value > 0 }
            .sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return Self.definitions([
            ("parameters", Self.millions(model.parameters)),
            ("multiply-adds", "\(model.gmacs) + \(model.attentionGmacs) G in the attention cores"),
            (
                "input",
                "\(preprocessing.inputHeight)×\(preprocessing.inputWidth), \(preprocessing.interpolation.rawValue), "
                    + "crop \(preprocessing.cropMode.rawValue) \(preprocessing.cropPct)"
            ),
            ("weights", report.weights.source + (report.weights.sha256.map { ", SHA-256 \($0.prefix(12))" } ?? "")),
            ("top-5", "\(decimals(results.top5, 2)) %, \(Self.ends(results.top5Interval))"),
            ("loss", decimals(results.loss, 5)),
            ("memory", "\(results.peakResidentBytes >> 20) MiB at the peak"),
            ("bad images", statuses.joined(separator: ", ")),
        ])
    }

    /// Shares of the work as one bar.
    private func time(_ speed: EvaluationReport.Speed) -> String {
        guard let rate = speed.imagesPerSecond, let decode = speed.decodeShare, let resize = speed.preprocessShare,
            let model = speed.modelShare
        else { return "" }
        let shares = [("decode", decode), ("preprocess", resize), ("model", model)]
        let bars = shares.map { name, share in
            "<i class=\"\(name)\" style=\"width:\(fixed(100 * min(max(share, 0), 1), 2))%\"></i>"
        }.joined()
        let legend = shares.map { "\($0.0) \(fixed(100 * $0.1, 0)) %" }.joined(separator: ", ")
        return "<p class=\"time\"><b>\(fixed(rate, 1))</b> images/s<span class=\"bar\">\(bars)</span>"
            + "<small>\(legend) of the work</small></p>\n"
    }

    private func confusions(_ results: EvaluationReport.Results, _ thumbnails: Thumbnails) -> String {
        let pairs = results.confusions.prefix(Self.shownConfusions)
        guard !pairs.isEmpty else { return "" }
        let items = pairs.map { pair in
            let pictures = pair.examples.compactMap { id in
                thumbnails.picture(id).map { picture in
                    "<img src=\"\(picture.uri)\" alt=\"\(escaped(id))\" title=\"\(escaped(id))\""
                        + "\(picture.isTiny ? " class=\"tiny\"" : "")>"
                }
            }.joined()
            return "<li><span class=\"thumbs\">\(pictures)</span><span>\(escaped(pair.label)) "
                + "<em>taken for</em> \(escaped(pair.predicted))</span><span class=\"times\">\(pair.count)×</span></li>"
        }
        let note =
            thumbnails.isAvailable
            ? "" : "<p class=\"quiet\">The dataset is not readable here, so there are no pictures.</p>"
        return "<h5>Confused most</h5>\n<ul class=\"confusions\">\(items.joined(separator: "\n"))</ul>\n\(note)"
    }

    private static func ends(_ interval: [Double]?) -> String {
        guard let low = interval?.first, let high = interval?.last else { return "" }
        return "\(fixed(low, 2))–\(fixed(high, 2))"
    }

    /// The paper's title; its arXiv number, where there is one, becomes a link.
    private static func linked(paper: String) -> String {
        guard let range = paper.range(of: "arXiv [0-9]{4}\\.[0-9]{4,5}", options: .regularExpression) else {
            return escaped(paper)
        }
        let number = paper[range].dropFirst("arXiv ".count)
        return escaped(String(paper[..<range.lowerBound]))
            + "<a href=\"https://arxiv.org/abs/\(number)\">arXiv \(number)</a>"
            + escaped(String(paper[range.upperBound...]))
    }

    /// The repository, as a link if it is one on GitHub.
    private static func linked(code: String) -> String {
        let pattern = "^github\\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]+$"
        guard !code.isEmpty else { return "" }
        guard code.range(of: pattern, options: .regularExpression) != nil else { return " · \(escaped(code))" }
        return " · <a href=\"https://\(escaped(code))\">code</a>"
    }
}
