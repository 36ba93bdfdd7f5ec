import Foundation
import ZooCore

/// A plot with logarithmic axes as one panel of an SVG image.
///
/// The colours are middle tones on a transparent ground, so that the image reads on light and dark pages; the same
/// content always gives the same bytes.
package struct LogLogPlot {
    package struct Series {
        let label: String
        let points: [(x: Double, y: Double)]
        let style: Style

        package init(label: String, points: [(x: Double, y: Double)], style: Style) {
            self.label = label
            self.points = points
            self.style = style
        }

        package enum Style {
            /// Marks joined by a line.
            case joined
            case marks
            /// A grey line without marks.
            case ceiling
        }
    }

    /// A place on an axis.
    package struct Tick {
        let value: Double
        let label: String?

        package init(value: Double, label: String?) {
            self.value = value
            self.label = label
        }
    }

    let title: String
    let xTitle: String
    let yTitle: String
    let series: [Series]
    let xTicks: [Tick]?

    /// - Parameter xTicks: in ascending order, in the place of round numbers; labels that would overlap are left out.
    package init(title: String, xTitle: String, yTitle: String, series: [Series], xTicks: [Tick]? = nil) {
        self.title = title
        self.xTitle = xTitle
        self.yTitle = yTitle
        self.series = series
        self.xTicks = xTicks
    }

    static let width = 640.0
    private static let plotHeight = 400.0
    private static let (left, right, top) = (70.0, 20.0, 40.0)
    /// The room of a label under the x axis.
    private static let labelWidth = 30.0
    private static let grey = "#808080"
    private static let palette = [
        "#3b82c4", "#d9822b", "#3a9d5d", "#c94f4f", "#8a63c9", "#a0784f", "#c95fa3", "#5f9ea0", "#9a9a2e", "#5c6bc0",
    ]

    /// The height of the panel: the plot, its axis titles and a legend line per series.
    var height: Double { Self.top + Self.plotHeight + 60 + 18 * Double(series.count) }

    /// Panels side by side.
    package static func image(_ panels: [LogLogPlot]) -> String {
        let width = Double(max(panels.count, 1)) * Self.width
        let height = panels.map(\.height).max() ?? 0
        var svg = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(number(width))" height="\(number(height))" \
            viewBox="0 0 \(number(width)) \(number(height))" font-family="sans-serif" font-size="12" fill="\(grey)">

            """
        for (index, panel) in panels.enumerated() { svg += panel.group(x: Double(index) * Self.width) }
        return svg + "</svg>\n"
    }

    private func group(x: Double) -> String {
        let points = series.flatMap(\.points)
        let xAxis = Axis(points.map(\.x), from: Self.left, to: Self.width - Self.right)
        let yAxis = Axis(points.map(\.y), from: Self.top + Self.plotHeight, to: Self.top)
        var svg = "<g transform=\"translate(\(Self.number(x)) 0)\">\n"
        svg += Self.text(title, Self.width / 2, 24, anchor: "middle", size: 15)
        svg += grid(xAxis, yAxis)
        var colours = Self.palette.makeIterator()
        for (index, one) in series.enumerated() {
            let colour = one.style == .ceiling ? Self.grey : colours.next() ?? Self.grey
            svg += draw(one, colour, xAxis, yAxis)
            let y = Self.top + Self.plotHeight + 62 + 18 * Double(index)
            if one.style != .marks {
                svg += Self.line(
                    Self.left, y - 4, Self.left + 24, y - 4, colour, width: 2, dashed: one.style == .ceiling)
            }
            if one.style != .ceiling { svg += Self.mark(Self.left + 12, y - 4, colour) }
            svg += Self.text(one.label, Self.left + 32, y)
        }
        return svg + "</g>\n"
    }

    private func grid(_ x: Axis, _ y: Axis) -> String {
        let bottom = Self.top + Self.plotHeight
        var svg = ""
        var free = -Double.infinity
        for tick in xTicks ?? x.ticks {
            let position = x.position(tick.value)
            svg += Self.line(position, Self.top, position, bottom, Self.grey, width: 0.5, opacity: 0.35)
            guard let label = tick.label, position >= free else { continue }
            svg += Self.text(label, position, bottom + 18, anchor: "middle")
            free = position + Self.labelWidth
        }
        for tick in y.ticks {
            let position = y.position(tick.value)
            svg += Self.line(
                Self.left, position, Self.width - Self.right, position, Self.grey, width: 0.5, opacity: 0.35)
            if let label = tick.label { svg += Self.text(label, Self.left - 8, position + 4, anchor: "end") }
        }
        svg += Self.text(xTitle, (Self.left + Self.width - Self.right) / 2, bottom + 38, anchor: "middle")
        let middle = Self.top + Self.plotHeight / 2
        svg += "<text x=\"16\" y=\"\(Self.number(middle))\" text-anchor=\"middle\" "
        svg += "transform=\"rotate(-90 16 \(Self.number(middle)))\">\(Markup.escaped(yTitle))</text>\n"
        return svg
    }

    private func draw(_ series: Series, _ colour: String, _ x: Axis, _ y: Axis) -> String {
        let places = series.points.map { (x.position($0.x), y.position($0.y)) }
        var svg = ""
        if series.style != .marks, places.count > 1 {
            let path = places.map { "\(Self.number($0.0)),\(Self.number($0.1))" }.joined(separator: " ")
            let dash = series.style == .ceiling ? " stroke-dasharray=\"6 4\"" : ""
            svg += "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"\(dash)/>\n"
        }
        guard series.style != .ceiling else { return svg }
        return svg + places.map { Self.mark($0.0, $0.1, colour) }.joined()
    }

    /// A logarithmic scale over whole thirds of decades around the data.
    private struct Axis {
        let low: Double
        let high: Double
        let from: Double
        let to: Double

        init(_ values: [Double], from: Double, to: Double) {
            let positive = values.filter { $0 > 0 && $0.isFinite }
            let margin = 0.05
            low = log10(positive.min() ?? 1) - margin
            high = max(log10(positive.max() ?? 10) + margin, low + 0.5)
            self.from = from
            self.to = to
        }

        func position(_ value: Double) -> Double { from + (log10(value) - low) / (high - low) * (to - from) }

        /// 1, 2, 5 of every decade; labels at all of them on short axes, at powers of ten on long ones.
        var ticks: [Tick] {
            let all = Int(low.rounded(.down))...Int(high.rounded(.up))
            return all.flatMap { decade in
                [1.0, 2, 5].map { factor in
                    let value = factor * pow(10, Double(decade))
                    return Tick(value: value, label: factor == 1 || high - low < 3 ? LogLogPlot.tick(value) : nil)
                }
            }.filter { log10($0.value) >= low && log10($0.value) <= high }
        }
    }

    private static func line(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String, width: Double, opacity: Double = 1,
        dashed: Bool = false
    ) -> String {
        let dash = dashed ? " stroke-dasharray=\"6 4\"" : ""
        return "<line x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\" "
            + "stroke=\"\(colour)\" stroke-width=\"\(number(width))\" stroke-opacity=\"\(number(opacity))\"\(dash)/>\n"
    }

    private static func mark(_ x: Double, _ y: Double, _ colour: String) -> String {
        "<circle cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"3.5\" fill=\"\(colour)\"/>\n"
    }

    private static func text(
        _ text: String, _ x: Double, _ y: Double, anchor: String = "start", size: Int = 12
    ) -> String {
        "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\" font-size=\"\(size)\">"
            + "\(Markup.escaped(text))</text>\n"
    }

    /// At most two digits after the point: enough for a pixel grid, and the same everywhere.
    private static func number(_ value: Double) -> String {
        var text = value.fixed(2)
        while text.hasSuffix("0") { text.removeLast() }
        return text.hasSuffix(".") ? String(text.dropLast()) : text
    }

    /// 0.001, 20, 5 k, 1 M.
    private static func tick(_ value: Double) -> String {
        switch value {
        case 999_999...: "\(number(value / 1e6)) M"
        case 9_999...: "\(number(value / 1e3)) k"
        default: String(format: "%g", value)
        }
    }
}
