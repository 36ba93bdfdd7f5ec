import Foundation

/// A timestep of a diffusion process as a vector, before any learned layer: DiT, arXiv 2212.09748.
package enum TimestepFeatures {
    /// cos(t f_k) for all k, then sin(t f_k), with f_k = 10000^(-k / h) and h = width / 2 rounded down; an odd width ends
    /// with a zero.
    ///
    /// - Parameters:
    ///   - features: room for `width` values.
    ///   - timestep: t, whole or not.
    package static func fill(_ features: UnsafeMutablePointer<Float>, width: Int, timestep: Float) {
        let half = width / 2
        for index in 0..<half {
            let angle = Double(timestep) * exp(-log(10_000.0) * Double(index) / Double(half))
            features[index] = Float(cos(angle))
            features[half + index] = Float(sin(angle))
        }
        if !width.isMultiple(of: 2) { features[width - 1] = 0 }
    }
}
