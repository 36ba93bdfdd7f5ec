/// From a number to a colour, by interpolation between fixed colours at equal distances.
public enum ColourMap: Sendable {
    /// Dark violet over red to pale yellow, its lightness rising evenly: for 0...1.
    case sequential
    /// Blue over near-white to red, for -1...1.
    case diverging

    /// - Parameter value: values outside the map's range get the colour of its end, NaN that of its middle.
    public func colour(_ value: Float) -> Canvas.Colour {
        let position = self == .sequential ? value : (value + 1) / 2
        let clamped = position.isNaN ? 0.5 : min(max(position, 0), 1)
        let place = clamped * Float(stops.count - 1)
        let below = min(Int(place), stops.count - 2)
        return stops[below] + (stops[below + 1] - stops[below]) * (place - Float(below))
    }

    private var stops: [Canvas.Colour] {
        switch self {
        case .sequential: Self.sequentialStops
        case .diverging: Self.divergingStops
        }
    }

    private static let sequentialStops = [
        (0.00, 0.00, 0.02), (0.12, 0.05, 0.28), (0.33, 0.06, 0.43), (0.53, 0.13, 0.42), (0.73, 0.21, 0.33),
        (0.89, 0.35, 0.19), (0.97, 0.55, 0.04), (0.98, 0.79, 0.20), (0.99, 1.00, 0.65),
    ].map { Canvas.Colour($0.0, $0.1, $0.2) }

    private static let divergingStops = [
        (0.08, 0.22, 0.52), (0.20, 0.45, 0.74), (0.53, 0.71, 0.88), (0.95, 0.95, 0.94), (0.95, 0.67, 0.54),
        (0.82, 0.34, 0.27), (0.52, 0.06, 0.15),
    ].map { Canvas.Colour($0.0, $0.1, $0.2) }
}
