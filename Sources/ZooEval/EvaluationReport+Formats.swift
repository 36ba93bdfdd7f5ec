import Foundation
import ZooCore

/// JSON text as all commands print it: keys in snake case and sorted, one object, a line feed at the end.
public func jsonText(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
}

extension EvaluationReport {
    /// The result as a table of one row, with the column names of timm's result files.
    public var csv: String { Self.csv([self]) }

    /// Results as a table with the column names of timm's result files. What is not the ordinary case has a column of
    /// its own: `precision` other than fp32, and `trained` for untrained weights, so that such a row cannot be taken
    /// for a measurement.
    public static func csv(_ reports: [EvaluationReport]) -> String {
        let marksPrecision = reports.contains { $0.precision != .fp32 }
        let marksUntrained = reports.contains { !$0.results.trained }
        let titles = [
            "model", "top1", "top1_err", "top5", "top5_err", "param_count", "img_size", "crop_pct", "interpolation",
        ]
        let extra = (marksPrecision ? ["precision"] : []) + (marksUntrained ? ["trained"] : [])
        var table = Table((titles + extra).map { Table.Column($0) })
        for report in reports {
            let results = report.results
            let cells = [
                report.model.name, percent(results.top1), percent(results.top1.map { 100 - $0 }),
                percent(results.top5), percent(results.top5.map { 100 - $0 }),
                fixed(Double(report.model.parameters) / 1e6, 2), "\(report.preprocessing.inputHeight)",
                "\(report.preprocessing.cropPct)", report.preprocessing.interpolation.rawValue,
            ]
            table.append(
                cells + (marksPrecision ? [report.precision.rawValue] : [])
                    + (marksUntrained ? ["\(results.trained)"] : []))
        }
        return table.rendered(.csv)
    }

    /// The result for people.
    public var text: String {
        var lines = [
            "model      \(model.name), \(fixed(Double(model.parameters) / 1e6, 2)) M parameters, "
                + "\(preprocessing.inputHeight)x\(preprocessing.inputWidth)",
            "weights    \(weights.source)" + (weights.sha256.map { ", SHA-256 \($0.prefix(16))..." } ?? ""),
            "data       \(dataset.name), \(dataset.images) images, \(dataset.classes) classes"
                + (dataset.origin == dataset.name ? "" : " (\(dataset.origin))"),
        ]
        if let note = results.note { lines.append("note       trained: false; \(note)") }
        lines += [
            "top-1      " + accuracy(results.top1, results.top1Correct, results.top1Interval),
            "top-5      " + accuracy(results.top5, results.top5Correct, results.top5Interval),
            "loss       " + (results.loss.map { fixed($0, 6) } ?? "none"),
        ]
        let statuses = DecodingStatus.allCases.filter { $0 != .ok }.compactMap { status in
            results.imageStatus[status.rawValue].flatMap { $0 > 0 ? "\($0) \(status.rawValue)" : nil }
        }
        if !statuses.isEmpty { lines.append("images     \(statuses.joined(separator: ", "))") }
        lines += results.badImages.prefix(10).map { "           \($0.id): \($0.status.rawValue): \($0.problem)" }
        if results.badImages.count > 10 { lines.append("           and \(results.badImages.count - 10) more") }
        lines += [speedLine, "memory     \(results.peakResidentBytes >> 20) MiB at the peak"]
        if let perClass = results.perClass {
            lines += ["", "class                                          top-1   images"]
            lines += perClass.map {
                pad("\($0.index) \($0.name)", 44) + lead(Self.percent($0.top1, 2), 8) + lead("\($0.images)", 9)
            }
            if !results.confusions.isEmpty {
                lines += ["", "label                          taken for                      times"]
                lines += results.confusions.map { pad($0.label, 31) + pad($0.predicted, 31) + "\($0.count)" }
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private var speedLine: String {
        let speed = results.speed
        guard let rate = speed.imagesPerSecond, let decode = speed.decodeShare,
            let preprocess = speed.preprocessShare, let model = speed.modelShare
        else { return "speed      nothing computed in this run" }
        return "speed      \(fixed(rate, 1)) images/s (decode \(fixed(100 * decode, 0)) %, preprocess "
            + "\(fixed(100 * preprocess, 0)) %, model \(fixed(100 * model, 0)) % of the work), "
            + "\(environment.threads ?? 0) threads, \(environment.instructionSet ?? ""), \(precision.rawValue)"
    }

    private func accuracy(_ value: Double?, _ correct: Int, _ interval: [Double]?) -> String {
        guard let value, let low = interval?.first, let high = interval?.last else { return "none" }
        let ends = "\(fixed(low, 2))...\(fixed(high, 2))"
        return "\(fixed(value, 2)) %  (\(correct)/\(results.images), 95 % interval \(ends))"
    }

    private static func percent(_ value: Double?, _ decimals: Int = 3) -> String {
        value.map { fixed($0, decimals) } ?? ""
    }

    private func pad(_ text: String, _ width: Int) -> String {
        let cut = text.count > width - 2 ? text.prefix(width - 5) + "..." : text[...]
        return cut + String(repeating: " ", count: width - cut.count)
    }

    private func lead(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(width - text.count, 0)) + text
    }
}

/// A number with a fixed number of decimals, independent of the locale.
public func fixed(_ value: Double, _ decimals: Int) -> String {
    String(format: "%.\(decimals)f", value)
}
