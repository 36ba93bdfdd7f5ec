import Foundation
import ZooCore

/// Points with labels over a logarithmic axis, as an SVG element for a page: colours and fonts come from its style
/// sheet. The same content always gives the same text.
package struct ScatterPlot {
    package struct Point {
        let label: String
        /// Which colour of the style sheet, `f0` to `f9`.
        let colour: Int
        let x: Double
        let y: Double
        /// The ends of the interval of `y`.
        let low: Double
        let high: Double

        package init(label: String, colour: Int, x: Double, y: Double, low: Double, high: Double) {
            (self.label, self.colour) = (label, colour)
            (self.x, self.y, self.low, self.high) = (x, y, low, high)
        }
    }

    /// Which end of the horizontal axis is the good one.
    package enum Preference: Sendable { case lower, higher }

    let title: String
    let preference: Preference
    let xTitle: String
    let yTitle: String
    let points: [Point]

    /// - Parameter points: those with an `x` that is not positive and finite are left out.
    package init(title: String, xTitle: String, _ preference: Preference, yTitle: String, points: [Point]) {
        self.title = title
        self.preference = preference
        self.xTitle = xTitle
        self.yTitle = yTitle
        self.points = points.filter { $0.x > 0 && [$0.x, $0.y, $0.low, $0.high].allSatisfy(\.isFinite) }
    }

    private static let (width, height) = (480.0, 340.0)
    private static let (left, right, top, bottom) = (46.0, 464.0, 14.0, 292.0)

    /// Points that all carry their name.
    private static let fewPoints = 12

    /// Whether every point carries its name.
    package var namesAll: Bool { points.count <= Self.fewPoints }

    /// The points that carry their name: a few all do, of many those that no other beats in both directions.
    package var named: [Int] {
        func beats(_ a: Point, _ b: Point) -> Bool {
            let (x, other) = preference == .higher ? (a.x, b.x) : (-a.x, -b.x)
            return x >= other && a.y >= b.y && (x, a.y) != (other, b.y)
        }
        return points.indices.filter { index in namesAll || !points.contains { beats($0, points[index]) } }
    }

    /// `nil` without points.
    package var svg: String? {
        guard !points.isEmpty else { return nil }
        let x = LogAxis(points.map(\.x), from: Self.left, to: Self.right)
        let y = LinearAxis(points.flatMap { [$0.low, $0.high] }, from: Self.bottom, to: Self.top)
        let name = Markup.escaped(title)
        var text = """
            <svg viewBox="0 0 \(Self.number(Self.width)) \(Self.number(Self.height))" role="img" aria-label="\(name)">

            """
        for tick in y.ticks {
            let place = y.position(tick)
            text += Self.line("grid", Self.left, place, Self.right, place)
            text += Self.text("tick", y.label(tick), Self.left - 8, place + 4, anchor: "end")
        }
        for tick in x.ticks {
            let place = x.position(tick)
            text += Self.line("grid", place, Self.top, place, Self.bottom)
            text += Self.text("tick", LogAxis.label(tick), place, Self.bottom + 17, anchor: "middle")
        }
        text += Self.text("axis", xTitle, (Self.left + Self.right) / 2, Self.height - 8, anchor: "middle")
        let middle = Self.number((Self.top + Self.bottom) / 2)
        text += "<text class=\"axis\" x=\"11\" y=\"\(middle)\" text-anchor=\"middle\" "
        text += "transform=\"rotate(-90 11 \(middle))\">\(Markup.escaped(yTitle))</text>\n"
        return text + marks(x, y) + "</svg>\n"
    }

    private func marks(_ x: LogAxis, _ y: LinearAxis) -> String {
        let places = points.map { (x: x.position($0.x), y: y.position($0.y)) }
        var text = ""
        for (point, place) in zip(points, places) {
            let (low, high) = (y.position(point.low), y.position(point.high))
            text += Self.line("whisker f\(point.colour)", place.x, low, place.x, high)
        }
        for (point, place) in zip(points, places) {
            text += "<circle class=\"f\(point.colour)\" cx=\"\(Self.number(place.x))\" "
            text += "cy=\"\(Self.number(place.y))\" r=\"4.5\"><title>\(Markup.escaped(point.label)): "
            text += "\(fixed(point.y, 2)) %</title></circle>\n"
        }
        let named = named
        let boxes = LabelPlacement(
            points: named.map { places[$0] }, widths: named.map { Double(points[$0].label.count) * 6.3 + 2 },
            avoiding: places, within: (left: Self.left, right: Self.width - 2, top: Self.top, bottom: Self.bottom)
        ).boxes
        for (index, box) in zip(named, boxes) {
            let place = places[index]
            let (nearX, nearY) = (
                min(max(place.x, box.x), box.x + box.width), min(max(place.y, box.y), box.y + box.height)
            )
            if hypot(nearX - place.x, nearY - place.y) > 12 {
                text += Self.line("leader", place.x, place.y, nearX, nearY)
            }
            text += Self.text("name", points[index].label, box.x, box.y + 10.5)
        }
        return text
    }

    private static func line(_ style: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        "<line class=\"\(style)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"/>\n"
    }

    private static func text(
        _ style: String, _ text: String, _ x: Double, _ y: Double, anchor: String = "start"
    ) -> String {
        "<text class=\"\(style)\" x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">"
            + "\(Markup.escaped(text))</text>\n"
    }

    /// One digit after the point.
    private static func number(_ value: Double) -> String {
        let text = fixed(value, 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}

/// A logarithmic scale with a margin around the data.
private struct LogAxis {
    let low: Double
    let high: Double
    let from: Double
    let to: Double

    init(_ values: [Double], from: Double, to: Double) {
        let smallest = log10(values.min() ?? 1)
        let largest = log10(values.max() ?? 1)
        let margin = max(0.08 * (largest - smallest), 0.12)
        low = smallest - margin
        high = largest + margin
        self.from = from
        self.to = to
    }

    func position(_ value: Double) -> Double { from + (log10(value) - low) / (high - low) * (to - from) }

    /// Round values: powers of ten on long axes, with 2 and 5 on shorter ones, at equal steps on the shortest.
    var ticks: [Double] {
        guard high - low > 0.8 else { return roundValues(from: pow(10, low), to: pow(10, high)) }
        let digits: [Double] = high - low > 2.5 ? [1] : [1, 2, 5]
        let all = (Int(low.rounded(.down))...Int(high.rounded(.up))).flatMap { decade in
            digits.map { $0 * pow(10, Double(decade)) }
        }.filter { (low...high).contains(log10($0)) }
        let step = max(1, (all.count + 5) / 6)
        return all.enumerated().filter { $0.offset % step == 0 }.map(\.element)
    }

    /// 0.17, 25, 3 k, 1 M.
    static func label(_ value: Double) -> String {
        switch value {
        case 999_999...: String(format: "%.4g M", value / 1e6)
        case 9_999...: String(format: "%.4g k", value / 1e3)
        default: String(format: "%.4g", value)
        }
    }
}

/// A linear scale with a margin around the data and round ticks.
private struct LinearAxis {
    let low: Double
    let high: Double
    let step: Double
    let from: Double
    let to: Double

    init(_ values: [Double], from: Double, to: Double) {
        let smallest = values.min() ?? 0
        let largest = values.max() ?? 1
        let margin = max(0.06 * (largest - smallest), 0.05)
        low = smallest - margin
        high = largest + margin
        step = roundStep(from: low, to: high)
        self.from = from
        self.to = to
    }

    func position(_ value: Double) -> Double { from + (value - low) / (high - low) * (to - from) }

    var ticks: [Double] { roundValues(from: low, to: high) }

    func label(_ value: Double) -> String { fixed(value, step < 0.1 ? 2 : step < 1 ? 1 : 0) }
}

/// 1, 2 or 5 times a power of ten, of which about five make up the range.
private func roundStep(from low: Double, to high: Double) -> Double {
    let rough = (high - low) / 5
    let decade = pow(10, log10(rough).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * decade >= rough } ?? 10) * decade
}

/// The multiples of the round step within the range.
private func roundValues(from low: Double, to high: Double) -> [Double] {
    let step = roundStep(from: low, to: high)
    // Adding zero turns a negative zero into an ordinary one.
    return stride(from: (low / step).rounded(.up), through: (high / step).rounded(.down), by: 1).map { $0 * step + 0 }
}

/// Places one label at each point so that labels cover neither points nor each other, where there is room: greedily,
/// the nearest free place first.
package struct LabelPlacement {
    package struct Box {
        package let x: Double
        package let y: Double
        package let width: Double
        package let height: Double

        package init(x: Double, y: Double, width: Double, height: Double) {
            (self.x, self.y, self.width, self.height) = (x, y, width, height)
        }

        package func overlap(_ other: Box) -> Double {
            let w = min(x + width, other.x + other.width) - max(x, other.x)
            let h = min(y + height, other.y + other.height) - max(y, other.y)
            return w > 0 && h > 0 ? w * h : 0
        }
    }

    package private(set) var boxes: [Box] = []

    private static let lineHeight = 13.0

    package init(
        points: [(x: Double, y: Double)], widths: [Double], avoiding others: [(x: Double, y: Double)] = [],
        within area: (left: Double, right: Double, top: Double, bottom: Double)
    ) {
        let marks = (points + others).map { Box(x: $0.x - 5, y: $0.y - 5, width: 10, height: 10) }
        for (point, width) in zip(points, widths) {
            var best: (box: Box, cost: Double)?
            for (rank, candidate) in Self.candidates(around: point, width: width).enumerated() {
                let outside =
                    max(0, area.left - candidate.x) + max(0, candidate.x + width - area.right)
                    + max(0, area.top - candidate.y) + max(0, candidate.y + candidate.height - area.bottom)
                let covered = (marks + boxes).reduce(0) { $0 + $1.overlap(candidate) }
                let cost = 1000 * outside + 100 * covered + Double(rank)
                if best.map({ cost < $0.cost }) ?? true { best = (candidate, cost) }
            }
            if let best { boxes.append(best.box) }
        }
    }

    /// Eight directions at growing distances, to the right first.
    private static func candidates(around point: (x: Double, y: Double), width: Double) -> [Box] {
        let directions = [(1.0, 0.0), (0, -1), (-1, 0), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1)]
        return [9.0, 17, 28, 42, 60, 80].flatMap { distance in
            directions.map { dx, dy in
                let reach = dx != 0 && dy != 0 ? distance * 0.8 : distance
                let x = point.x + dx * reach + (dx == 0 ? -width / 2 : dx < 0 ? -width : 0)
                let vertical = dy == 0 ? -lineHeight / 2 : dy < 0 ? -lineHeight + 2 : -2
                return Box(x: x, y: point.y + dy * reach + vertical, width: width, height: lineHeight)
            }
        }
    }
}
