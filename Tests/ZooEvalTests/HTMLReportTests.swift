import Foundation
import Testing
import ZooCore
import ZooDatasets
import ZooEval

@Suite struct HTMLReportTests {
    @Test func thePageHasEveryPart() throws {
        let reports = [try digitsReport(), try digitsReport("mavit-nano")]
        let page = HTMLReport(reports).html
        for part in [
            "<!DOCTYPE html>", "<table class=\"board\">", "Accuracy against throughput",
            "Accuracy against parameters", "ravlt-nano", "mavit-nano", "Confused most", "data:image/png;base64,",
            "arxiv.org/abs/2411.07635", "prefers-color-scheme: dark", "name=\"viewport\"", reports[0].environment.cpu,
        ] {
            #expect(page.contains(part), "\(part)")
        }
        // The better one stands first.
        let names = reports.sorted(by: Leaderboard.precedes).map { "data-value=\"\($0.model.name)\"" }
        let places = try names.map { try #require(page.range(of: $0)).lowerBound }
        #expect(places == places.sorted())
    }

    /// Nothing is fetched: every address is a data URI, a link for people, or an XML namespace.
    @Test func thePageLoadsNothing() throws {
        let page = try HTMLReport([digitsReport { $0.limit = 40 }]).html
        for pattern in ["<link", "@import", "url\\(", "src=\"(?!data:)", "<iframe", "fetch\\("] {
            #expect(page.range(of: pattern, options: .regularExpression) == nil, "\(pattern)")
        }
        #expect(page.contains("default-src 'none'"))
    }

    /// Strings from a result file stay text wherever they are shown.
    @Test func nothingFromAFileBecomesMarkup() throws {
        let attack = "\\\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
        var text = try jsonText(digitsReport { $0.limit = 40 })
        for field in ["name", "family", "paper", "code", "origin", "source", "cpu", "system", "label", "predicted"] {
            text = text.replacingOccurrences(
                of: "\"\(field)\" : \"[^\"]*\"",
                with: "\"\(field)\" : \"\(NSRegularExpression.escapedTemplate(for: attack))\"",
                options: .regularExpression)
        }
        let page = try withFile(text) { try HTMLReport(ResultFile.read($0)).html }
        #expect(!page.contains("<script>alert") && !page.contains("<img src=x"))
        #expect(page.contains("&lt;script&gt;alert(1)"))
        #expect(page.components(separatedBy: "<script>").count == 2)
        // No attribute ends early: every quote inside a value is escaped.
        #expect(!page.contains("\"'>"))
    }

    @Test func picturesNeedTheSameDataset() throws {
        var text = try jsonText(digitsReport { $0.limit = 100 })
        let fingerprint = try DatasetCatalog.open("digits").fingerprint
        text = text.replacing(fingerprint, with: String(repeating: "a", count: 64))
        let page = try withFile(text) { try HTMLReport(ResultFile.read($0)).html }
        #expect(!page.contains("data:image") && page.contains("not readable here"))
    }

    @Test func labelsCoverNeitherEachOtherNorPoints() {
        var state: UInt64 = 7
        func next(_ range: Double) -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 40) / Double(1 << 24) * range
        }
        let area = (left: 46.0, right: 478.0, top: 14.0, bottom: 292.0)
        var points: [(x: Double, y: Double)] = (0..<12).map { _ in (60 + next(380), 30 + next(240)) }
        points += [(200, 100), (200, 100)]
        let boxes = LabelPlacement(points: points, widths: points.map { _ in 80 }, within: area).boxes
        #expect(boxes.count == points.count)
        for (index, box) in boxes.enumerated() {
            #expect(box.x >= area.left && box.x + box.width <= area.right)
            for other in boxes[..<index] { #expect(box.overlap(other) == 0) }
            for point in points {
                #expect(box.overlap(.init(x: point.x - 4, y: point.y - 4, width: 8, height: 8)) == 0)
            }
        }
    }

    @Test(arguments: [(ScatterPlot.Preference.higher, [0, 1, 4]), (.lower, [3, 4])])
    func ofManyPointsTheBestAreNamed(_ preference: ScatterPlot.Preference, _ best: [Int]) {
        func plot(_ points: [(Double, Double)]) -> ScatterPlot {
            ScatterPlot(
                title: "t", xTitle: "x", preference, yTitle: "y",
                points: points.map { .init(label: "a", colour: 0, x: $0.0, y: $0.1, low: $0.1, high: $0.1) })
        }
        let points = [(9.0, 80.0), (8, 81), (7, 81), (1, 79), (2, 84)]
        let others = [(Double, Double)](repeating: (1.5, 70), count: 10)
        #expect(plot(points).named == Array(points.indices))
        let many = plot(points + others)
        #expect(many.named == best && !many.namesAll)
        #expect(many.svg?.components(separatedBy: "class=\"name\"").count == best.count + 1)
    }

    @Test func plotsStandDegenerateNumbers() {
        func plot(_ points: [(Double, Double)]) -> String? {
            ScatterPlot(
                title: "t", xTitle: "x", .higher, yTitle: "y",
                points: points.map { .init(label: "a", colour: 0, x: $0.0, y: $0.1, low: $0.1, high: $0.1) }
            ).svg
        }
        #expect(plot([]) == nil && plot([(0, 1)]) == nil && plot([(.infinity, 1)]) == nil && plot([(1, .nan)]) == nil)
        for points in [[(1.0, 0.0)], [(5, 100), (5, 100)], [(1e-9, 0), (1e12, 100)]] {
            let svg = plot(points)
            #expect(svg?.contains("nan") == false && svg?.contains("inf") == false && svg?.contains(">-0<") == false)
        }
    }
}
