import ZooCore

extension FeatureMap {
    /// Images as the first layer reads them. Layers never write to their input, so the cast is sound.
    package init(_ images: ImageBatch) {
        self.init(
            batch: images.batch, height: images.height, width: images.width, channels: images.channels,
            base: UnsafeMutablePointer(mutating: images.values))
    }
}
