/// A view of channels-last activations [batch, height, width, channels] in memory that somebody else owns.
///
/// The same memory seen as tokens is [batch, height * width, channels]: token n = row * width + column. Pixels are
/// `stride` floats apart, so a column range of a packed projection is a feature map too. Nothing is ever transposed.
package struct FeatureMap {
    package let batch: Int
    package let height: Int
    package let width: Int
    package let channels: Int
    /// Floats from one pixel to the next, at least `channels`.
    package let stride: Int
    package let base: UnsafeMutablePointer<Float>

    package init(
        batch: Int, height: Int, width: Int, channels: Int, stride: Int? = nil, base: UnsafeMutablePointer<Float>
    ) {
        self.batch = batch
        self.height = height
        self.width = width
        self.channels = channels
        self.stride = stride ?? channels
        self.base = base
    }

    /// Takes memory for a map from the workspace; contents undefined.
    package init(_ workspace: Workspace, batch: Int, height: Int, width: Int, channels: Int) {
        self.init(
            batch: batch, height: height, width: width, channels: channels,
            base: workspace.floats(batch * height * width * channels))
    }

    package var tokens: Int { height * width }
    /// Rows of the matrix [batch * tokens, channels].
    package var rows: Int { batch * height * width }

    /// The channels `range` of this map, in place.
    package func columns(_ range: Range<Int>) -> FeatureMap {
        FeatureMap(
            batch: batch, height: height, width: width, channels: range.count, stride: stride,
            base: base + range.lowerBound)
    }

    /// Some images of the batch, in place.
    package func images(_ range: Range<Int>) -> FeatureMap {
        FeatureMap(
            batch: range.count, height: height, width: width, channels: channels, stride: stride,
            base: base + range.lowerBound * tokens * stride)
    }

    /// Some rows of a batch of one image, in place.
    package func lines(_ range: Range<Int>) -> FeatureMap {
        precondition(batch == 1, "rows of \(batch) images do not follow each other")
        return FeatureMap(
            batch: 1, height: range.count, width: width, channels: channels, stride: stride,
            base: base + range.lowerBound * width * stride)
    }

    /// The batch in consecutive groups of about `rows` tokens, at least one image each.
    package func groups(rows: Int) -> ImageGroups {
        ImageGroups(batch: batch, size: max(1, rows / max(tokens, 1)))
    }

    /// A map of the same grid with another number of channels, from the workspace.
    package func like(channels: Int, _ workspace: Workspace) -> FeatureMap {
        FeatureMap(workspace, batch: batch, height: height, width: width, channels: channels)
    }

    /// The same for projections side by side and for hidden layers, whose readers take a few channels of many pixels:
    /// pixels a multiple of 1 KB apart would fall into few sets of the first-level cache and drive each other out (a product
    /// copies such rows first), so they lie a line further apart.
    package func packed(channels: Int, _ workspace: Workspace) -> FeatureMap {
        let stride = channels.isMultiple(of: 256) ? channels + 16 : channels
        return FeatureMap(
            batch: batch, height: height, width: width, channels: channels, stride: stride,
            base: workspace.floats(rows * stride))
    }
}

/// Ranges of images that are computed together. An iterator of its own because a lazy map's closure would be allocated
/// in every forward pass.
package struct ImageGroups: Sequence, IteratorProtocol {
    private let batch: Int
    private let size: Int
    private var start = 0

    init(batch: Int, size: Int) {
        self.batch = batch
        self.size = size
    }

    package mutating func next() -> Range<Int>? {
        guard start < batch else { return nil }
        defer { start += size }
        return start..<Swift.min(start + size, batch)
    }
}
