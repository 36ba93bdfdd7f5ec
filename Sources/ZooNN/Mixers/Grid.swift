import ZooCore

/// The token grid of an image: token t is pixel (t / width, t % width).
package struct Grid: Sendable, Equatable {
    package let height: Int
    package let width: Int

    package init(height: Int, width: Int) {
        self.height = height
        self.width = width
    }

    package var count: Int { height * width }

    /// The same memory as `tokens`, seen as images of this grid.
    package func map(_ tokens: FeatureMap) -> FeatureMap {
        FeatureMap(
            batch: tokens.batch, height: height, width: width, channels: tokens.channels, stride: tokens.stride,
            base: tokens.base)
    }
}
