import Foundation
import Testing
import ZooBench
import ZooCore

@Suite struct PlotTests {
    private static func plot(_ label: String = "rala: tokens^1.00") -> LogLogPlot {
        LogLogPlot(
            title: "Time", xTitle: "tokens", yTitle: "ms",
            series: [
                .init(label: label, points: [(196, 0.1), (784, 0.4), (3136, 1.6)], style: .joined),
                .init(label: "marks", points: [(196, 1)], style: .marks),
                .init(label: "roof", points: [(196, 2), (3136, 2)], style: .ceiling),
            ])
    }

    @Test func determinismOfImages() {
        #expect(LogLogPlot.image([Self.plot()]) == LogLogPlot.image([Self.plot()]))
    }

    /// The first tag that is closed without being open, or left open at the end.
    private static func unbalancedTag(_ svg: String) -> String? {
        var open: [Substring] = []
        for piece in svg.split(separator: "<").dropFirst(svg.hasPrefix("<") ? 0 : 1) {
            guard let end = piece.firstIndex(of: ">") else { return String(piece) }
            let tag = piece[..<end]
            let name = tag.drop { $0 == "/" }.prefix { $0 != " " && $0 != "/" && $0 != "\n" }
            if tag.hasPrefix("?") || tag.hasPrefix("!") || tag.hasSuffix("/") { continue }
            if !tag.hasPrefix("/") {
                open.append(name)
            } else if open.popLast() != name {
                return String(name)
            }
        }
        return open.last.map(String.init)
    }

    @Test func imagesAreWellFormed() throws {
        let svg = LogLogPlot.image([Self.plot("a < b & \"c\""), Self.plot()])
        #expect(Self.unbalancedTag(svg) == nil)
        #expect(svg.contains("a &lt; b &amp; &quot;c&quot;"))
        #expect(!svg.contains("nan") && !svg.contains("inf"))
    }

    /// Equal ratios are equal distances.
    @Test func axesAreLogarithmic() throws {
        let svg = LogLogPlot.image([Self.plot()])
        let line = try #require(svg.split(separator: "\n").first { $0.hasPrefix("<polyline") })
        let numbers = line.split(separator: "\"")[1].split { $0 == " " || $0 == "," }.compactMap { Double($0) }
        try #require(numbers.count == 6)
        #expect(abs((numbers[2] - numbers[0]) - (numbers[4] - numbers[2])) < 0.03)
        #expect(abs((numbers[1] - numbers[3]) - (numbers[3] - numbers[5])) < 0.03)
    }

    /// Measured sizes stand in the place of round numbers, without labels that overlap.
    @Test func ticksCanBeGiven() {
        let sizes = [224.0, 225, 512]
        let plot = LogLogPlot(
            title: "", xTitle: "", yTitle: "",
            series: [.init(label: "", points: sizes.map { ($0 * $0, $0) }, style: .joined)],
            xTicks: sizes.map { .init(value: $0 * $0, label: "side \(Int($0))") })
        let svg = LogLogPlot.image([plot])
        #expect(svg.contains(">side 224<") && svg.contains(">side 512<"))
        #expect(!svg.contains(">side 225<") && !svg.contains(">100 k<"))
    }

    @Test func degenerateDataStillGiveAnImage() {
        for points in [[], [(1.0, 1.0)], [(1.0, 1.0), (1.0, 1.0)]] {
            let plot = LogLogPlot(
                title: "", xTitle: "", yTitle: "", series: [.init(label: "", points: points, style: .joined)])
            let svg = LogLogPlot.image([plot])
            #expect(svg.hasSuffix("</svg>\n") && !svg.contains("nan") && !svg.contains("inf"))
        }
    }

    @Test func powerLawsAreFound() throws {
        let law = try #require(PowerLaw(fitting: [(1, 3), (10, 300), (100, 30000)]))
        #expect(abs(law.exponent - 2) < 1e-12 && abs(law.factor - 3) < 1e-10)
        #expect(PowerLaw(fitting: [(5, 1), (5, 2)]) == nil)
        #expect(PowerLaw(fitting: []) == nil)
    }

    @Test func tablesKeepTheirCells() {
        var table = Table([.init("name", .left), .init("ms")])
        table.append(["a,\"b\"", "1.5"])
        table.append(["c", "10"])
        #expect(table.rendered(.csv) == "name,ms\n\"a,\"\"b\"\"\",1.5\nc,10\n")
        #expect(table.rendered(.markdown) == "| name | ms |\n| --- | --: |\n| a,\"b\" | 1.5 |\n| c | 10 |\n")
        #expect(table.rendered(.text) == "name    ms\na,\"b\"  1.5\nc       10\n")
    }
}
