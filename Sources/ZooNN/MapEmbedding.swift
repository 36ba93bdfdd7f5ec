import ZooCore

/// How a stage of Swin gets its map: patches of the images with a layer norm, or merged pixels of the map before.
package enum MapEmbedding: Sendable {
    case patches(Conv2d, LayerNorm, size: Int)
    case merging(PatchMerging)

    /// Reads `proj` [outputs, inputs, size, size] and `norm` [outputs].
    package static func patches(
        _ w: Weights, in inputs: Int, out outputs: Int, size: Int, epsilon: Float
    ) -> MapEmbedding {
        .patches(
            Conv2d(w["proj"], in: inputs, out: outputs, kernel: size, stride: size, padding: 0),
            LayerNorm(w["norm"], channels: outputs, epsilon: epsilon), size: size)
    }

    /// Reads a `PatchMerging` of maps with `channels` channels.
    package static func merging(_ w: Weights, channels: Int, epsilon: Float) -> MapEmbedding {
        .merging(PatchMerging(w, channels: channels, epsilon: epsilon))
    }

    /// - Throws: `ZooError` of kind `usage` unless images are made of whole patches.
    package func check(height: Int, width: Int) throws(ZooError) {
        guard case .patches(_, _, let size) = self else { return }
        guard height.isMultiple(of: size), width.isMultiple(of: size) else {
            throw ZooError(
                .usage, "images are not made of whole patches", expected: "sides that are multiples of \(size)",
                found: "\(height)x\(width)")
        }
    }

    package func outputSize(height: Int, width: Int) -> (height: Int, width: Int) {
        switch self {
        case .patches(let proj, _, _): (proj.outputSize(height), proj.outputSize(width))
        case .merging(let merging): (merging.outputSize(height), merging.outputSize(width))
        }
    }

    /// Writes to `map`, which has the size above.
    package func callAsFunction(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime) {
        switch self {
        case .patches(let proj, let norm, _):
            proj(x, into: map, on: runtime)
            norm(map, into: map, on: runtime)
        case .merging(let merging): merging(x, into: map, on: runtime)
        }
    }

    /// Multiply-adds for `pixels` output pixels.
    package func cost(pixels: Int) -> Cost {
        switch self {
        case .patches(let proj, _, _): proj.cost(pixels: pixels)
        case .merging(let merging): merging.cost(pixels: pixels)
        }
    }
}
