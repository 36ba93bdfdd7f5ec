import ZooCore
import ZooImage

extension Explanation {
    /// The weights as heat maps over the image: the image with the query's token, the mean over the heads where there are
    /// several, every head, and a legend. Every map has its own scale, written below it; where there are negative weights, all maps have
    /// colours for both signs.
    ///
    /// - Parameters:
    ///   - image: the part of the image that the model sees, at any resolution.
    ///   - title: a line above.
    ///   - only: shows this head alone.
    public func picture(of image: RGBImage, title: String, head only: Int? = nil) throws -> RGBImage {
        let shown = (only ?? (heads.count == 1 ? 0 : nil)).map { [$0 + 1] } ?? Array(maps.indices)
        let layout = Layout(image: image, panels: shown.count + 1, caption: title)
        let photograph = try image.resized(
            height: layout.panelHeight, width: layout.panelWidth, interpolation: .bicubic, limits: ResourceLimits())
        var canvas = Canvas(height: layout.height, width: layout.width, background: Layout.ground)
        for (line, text) in layout.title.enumerated() {
            canvas.write(text, x: Layout.margin, y: Layout.margin + line * Layout.lineHeight, scale: 2, Layout.ink)
        }
        let hasNegative = ([mean] + heads).contains { $0.negativeShare > Self.visibleShare }
        let map: ColourMap = hasNegative ? .diverging : .sequential
        var place = layout.origin(0)
        canvas.draw(photograph, x: place.x, y: place.y)
        mark(on: &canvas, place, layout)
        canvas.write("image", x: place.x, y: place.y + layout.panelHeight + 8, scale: 2, Layout.ink)
        canvas.write(queryText, x: place.x, y: place.y + layout.panelHeight + 30, scale: 2, Layout.quiet)
        for (number, index) in shown.enumerated() {
            place = layout.origin(number + 1)
            let head = index == 0 ? mean : heads[index - 1]
            paint(maps[index], map, over: photograph, on: &canvas, at: place)
            mark(on: &canvas, place, layout)
            let name = index == 0 ? "mean of \(heads.count)" : "head \(index - 1)"
            let negative = hasNegative ? "  neg \(fixed(100 * head.negativeShare, 0))%" : ""
            let y = place.y + layout.panelHeight
            canvas.write("\(name)  h \(fixed(head.relativeEntropy, 2))", x: place.x, y: y + 8, scale: 2, Layout.ink)
            canvas.write(
                "max \(Self.short(maps[index].map(abs).max() ?? 0))\(negative)", x: place.x, y: y + 30, scale: 2,
                Layout.quiet)
        }
        legend(map, on: &canvas, layout)
        return canvas.image
    }

    /// Rounding leaves negative weights of this share of the magnitude; fewer are no property of the operator.
    private static let visibleShare = 1e-4

    private var queryText: String {
        if let token { return "token \(token[0]),\(token[1]) of \(gridHeight)x\(gridWidth)" }
        return query == .mean ? "mean of all queries" : "class token"
    }

    /// Three significant digits at most.
    private static func short(_ value: Float) -> String {
        let text = fixed(Double(value), value < 0.01 ? 5 : value < 1 ? 3 : 2)
        return text.hasPrefix("0.") ? String(text.dropFirst()) : text
    }

    /// The frame of the query's token.
    private func mark(on canvas: inout Canvas, _ place: (x: Int, y: Int), _ layout: Layout) {
        guard let token else { return }
        let (left, right) = (token[1] * layout.panelWidth / gridWidth, (token[1] + 1) * layout.panelWidth / gridWidth)
        let (top, bottom) = (
            token[0] * layout.panelHeight / gridHeight, (token[0] + 1) * layout.panelHeight / gridHeight
        )
        // At least nine pixels, so that a token of a fine grid can be found.
        let (width, height) = (max(right - left, 9), max(bottom - top, 9))
        let (x, y) = (place.x + (left + right - width) / 2, place.y + (top + bottom - height) / 2)
        canvas.frame(x: x - 1, y: y - 1, width: width + 2, height: height + 2, thickness: 1, .init(0, 0, 0))
        canvas.frame(x: x, y: y, width: width, height: height, thickness: 2, .init(0.35, 1, 0.55))
    }

    /// Blends the colours of the weights, interpolated between the tokens' centres, over the image in grey.
    private func paint(
        _ weights: [Float], _ map: ColourMap, over image: RGBImage, on canvas: inout Canvas, at place: (x: Int, y: Int)
    ) {
        let largest = weights.map(abs).max() ?? 0
        let columns = Self.neighbours(image.width, keyWidth)
        for (y, row) in Self.neighbours(image.height, keyHeight).enumerated() {
            for (x, column) in columns.enumerated() {
                func weight(_ r: Int, _ c: Int) -> Float { weights[r * keyWidth + c] }
                let upper =
                    weight(row.low, column.low) * (1 - column.share) + weight(row.low, column.high) * column.share
                let lower =
                    weight(row.high, column.low) * (1 - column.share) + weight(row.high, column.high) * column.share
                let value = largest > 0 ? (upper * (1 - row.share) + lower * row.share) / largest : 0
                let pixel = image.pixels[(3 * (y * image.width + x))..<(3 * (y * image.width + x) + 3)].map(Float.init)
                let grey = (0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]) / 255
                let opacity: Float = 0.55 + 0.3 * abs(value)
                let base = Canvas.Colour(repeating: map == .sequential ? 0.8 * grey : 0.25 + 0.65 * grey)
                canvas.set(x: place.x + x, y: place.y + y, base * (1 - opacity) + map.colour(value) * opacity)
            }
        }
    }

    /// For every pixel of an axis, the tokens before and after its centre and the share of the latter.
    private static func neighbours(_ pixels: Int, _ tokens: Int) -> [(low: Int, high: Int, share: Float)] {
        (0..<pixels).map { pixel in
            let position = (Float(pixel) + 0.5) * Float(tokens) / Float(pixels) - 0.5
            let clamped = min(max(position, 0), Float(tokens - 1))
            let low = Int(clamped)
            return (low, min(low + 1, tokens - 1), clamped - Float(low))
        }
    }

    private func legend(_ map: ColourMap, on canvas: inout Canvas, _ layout: Layout) {
        let y = layout.height - Layout.margin - Layout.legendHeight
        let width = min(240, layout.width - 2 * Layout.margin)
        for x in 0..<width {
            let position = Float(x) / Float(width - 1)
            let colour = map.colour(map == .sequential ? position : 2 * position - 1)
            canvas.fill(x: Layout.margin + x, y: y, width: 1, height: 14, colour)
        }
        let end = Layout.margin + width - 3 * PixelFont.advance * 2
        canvas.write(map == .sequential ? "0" : "-max", x: Layout.margin, y: y + 20, scale: 2, Layout.quiet)
        if map == .diverging { canvas.write("0", x: Layout.margin + width / 2 - 5, y: y + 20, scale: 2, Layout.quiet) }
        canvas.write("max", x: end + 2, y: y + 20, scale: 2, Layout.quiet)
    }
}

/// Where things are in a picture.
private struct Layout {
    static let margin = 20
    static let lineHeight = 26
    static let captionHeight = 62
    static let legendHeight = 40
    static let ground = Canvas.Colour(1, 1, 1)
    static let ink = Canvas.Colour(0.10, 0.11, 0.12)
    static let quiet = Canvas.Colour(0.40, 0.41, 0.44)
    /// Of a panel's longer side.
    private static let side = 288

    let panelHeight: Int
    let panelWidth: Int
    let columns: Int
    let rows: Int
    let title: [String]

    init(image: RGBImage, panels: Int, caption: String) {
        let longest = max(image.height, image.width)
        panelHeight = max(16, image.height * Self.side / longest)
        panelWidth = max(Self.side / 2, image.width * Self.side / longest)
        columns = panels <= 4 ? panels : panels <= 6 ? 3 : panels <= 8 ? 4 : 5
        rows = (panels + columns - 1) / columns
        let width = columns * (panelWidth + Self.margin) - Self.margin
        title = Self.wrapped(caption, to: width / (2 * PixelFont.advance))
    }

    var width: Int { Self.margin + columns * (panelWidth + Self.margin) }
    private var top: Int { Self.margin + title.count * Self.lineHeight + 8 }
    var height: Int { top + rows * (panelHeight + Self.captionHeight) + Self.legendHeight + Self.margin }

    func origin(_ panel: Int) -> (x: Int, y: Int) {
        (
            Self.margin + panel % columns * (panelWidth + Self.margin),
            top + panel / columns * (panelHeight + Self.captionHeight)
        )
    }

    /// Lines of at most `length` characters, broken at spaces.
    private static func wrapped(_ text: String, to length: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + word.count < length {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(String(word.prefix(max(length, 1))))
            }
        }
        return lines
    }
}
