import ZooCore

/// What refines the map of a stage.
package protocol PyramidBlock: Sendable {
    /// - Throws: `ZooError` of kind `usage` if the block cannot take a map of this size.
    func check(height: Int, width: Int) throws(ZooError)

    /// In place.
    func callAsFunction(_ x: FeatureMap, on runtime: Runtime)

    /// Multiply-adds for one image whose map has this size.
    func cost(height: Int, width: Int) -> Cost
}

extension PyramidBlock {
    package func check(height: Int, width: Int) throws(ZooError) {}
}

/// One stage of a pyramid network: a coarser map of the images, and blocks that refine it in place.
package protocol PyramidStage: Sendable {
    associatedtype Block: PyramidBlock

    /// Channels of the stage's map.
    var channels: Int { get }
    var blocks: [Block] { get }

    /// The size of the map over an input map (for the first stage: images) of this size; 0 where none is left.
    func outputSize(height: Int, width: Int) -> (height: Int, width: Int)

    /// - Throws: `ZooError` of kind `usage` if no map can be made of an input map of this size.
    func checkEmbedding(height: Int, width: Int) throws(ZooError)

    /// Makes the map.
    func embed(_ x: FeatureMap, into map: FeatureMap, on runtime: Runtime)

    /// Multiply-adds of `embed` for so many pixels of the map.
    func embeddingCost(pixels: Int) -> Cost
}

extension PyramidStage {
    package func checkEmbedding(height: Int, width: Int) throws(ZooError) {}

    /// - Throws: `ZooError` of kind `usage` if the stage cannot take an input map of this size.
    fileprivate func check(height: Int, width: Int) throws(ZooError) {
        try checkEmbedding(height: height, width: width)
        let (height, width) = outputSize(height: height, width: width)
        for block in blocks { try block.check(height: height, width: width) }
    }

    /// Multiply-adds for one image whose map has this size.
    fileprivate func cost(height: Int, width: Int) -> Cost {
        blocks.reduce(embeddingCost(pixels: height * width)) { $0 + $1.cost(height: height, width: width) }
    }
}

/// A classifier of stages, each on a coarser map than the one before: layer norm (where there is one), mean over the
/// pixels and a linear classifier follow the last.
package struct PyramidClassifier<Stage: PyramidStage>: ImageClassifier {
    package let inputChannels: Int
    package var classes: Int { head.outputs }
    package var preLogitsWidth: Int { head.inputs }
    private let stages: [Stage]
    private let norm: LayerNorm?
    private let head: Linear

    package init(inputChannels: Int, stages: [Stage], norm: LayerNorm?, head: Linear) {
        self.inputChannels = inputChannels
        self.stages = stages
        self.norm = norm
        self.head = head
    }

    package func forward(
        _ images: ImageBatch, into output: ClassifierOutput, on runtime: Runtime
    ) throws(ZooError) {
        try check(images)
        runtime.workspace.scope {
            classify(features(images, intermediates: output.intermediates, on: runtime), into: output, on: runtime)
        }
    }

    package func forwardFeatures(
        _ images: ImageBatch, into features: UnsafeMutablePointer<Float>, on runtime: Runtime
    ) throws(ZooError) {
        try check(images)
        runtime.workspace.scope {
            let map = self.features(images, intermediates: nil, on: runtime)
            features.update(from: map.base, count: map.rows * map.channels)
        }
    }

    package func forwardHead(
        _ features: ImageBatch, into output: ClassifierOutput, on runtime: Runtime
    ) throws(ZooError) {
        guard features.channels == head.inputs, features.batch > 0, features.height > 0, features.width > 0 else {
            throw ZooError(
                .usage, "feature map does not fit the head", expected: "\(head.inputs) channels",
                found: "\(features.channels)")
        }
        runtime.workspace.scope { classify(FeatureMap(features), into: output, on: runtime) }
    }

    package func intermediateShapes(height: Int, width: Int) -> [MapShape] {
        var (height, width) = (height, width)
        return stages.map { stage in
            (height, width) = stage.outputSize(height: height, width: width)
            return MapShape(channels: stage.channels, height: height, width: width)
        }
    }

    package func cost(height: Int, width: Int) -> Cost {
        zip(stages, intermediateShapes(height: height, width: width)).reduce(head.cost(pixels: 1)) { sum, stage in
            sum + stage.0.cost(height: stage.1.height, width: stage.1.width)
        }
    }

    private func check(_ images: ImageBatch) throws(ZooError) {
        var (height, width) = (images.height, images.width)
        guard images.channels == inputChannels, images.batch > 0, height > 0, width > 0 else {
            throw ZooError(
                .usage, "images have the wrong shape", expected: "[batch, height, width, \(inputChannels)]",
                found: "[\(images.batch), \(height), \(width), \(images.channels)]")
        }
        for index in stages.indices {
            do {
                try stages[index].check(height: height, width: width)
            } catch {
                throw ZooError(
                    error.kind, "images of \(images.height)x\(images.width) do not fit the network: \(error.problem)",
                    at: "stage \(index + 1)", expected: error.expected, found: error.found)
            }
            (height, width) = stages[index].outputSize(height: height, width: width)
            guard height > 0, width > 0 else {
                throw ZooError(
                    .usage, "images of \(images.height)x\(images.width) are too small for the network",
                    at: "stage \(index + 1)", expected: "a map of at least 1x1", found: "\(height)x\(width)")
            }
        }
    }

    /// About the tokens whose packed projection fills a second-level cache.
    private var groupRows: Int { 1024 }

    /// The map of the last stage; copies every stage's map to `intermediates`.
    ///
    /// Every stage takes the batch in groups of images, so that its activations stay in the caches: one image at a
    /// time where tokens are many, several where weights are large.
    private func features(
        _ images: ImageBatch, intermediates: [UnsafeMutablePointer<Float>]?, on runtime: Runtime
    ) -> FeatureMap {
        let workspace = runtime.workspace
        var x = FeatureMap(images)
        // By index, as a copy of a stage or block would be a heap allocation in this generic code.
        for index in stages.indices {
            let (height, width) = stages[index].outputSize(height: x.height, width: x.width)
            let map = FeatureMap(
                workspace, batch: x.batch, height: height, width: width, channels: stages[index].channels)
            let input = x
            for group in map.groups(rows: groupRows) {
                workspace.scope {
                    stages[index].embed(input.images(group), into: map.images(group), on: runtime)
                    let blocks = stages[index].blocks
                    for block in blocks.indices { blocks[block](map.images(group), on: runtime) }
                }
            }
            intermediates?[index].update(from: map.base, count: map.rows * map.channels)
            x = map
        }
        return x
    }

    private func classify(_ x: FeatureMap, into output: ClassifierOutput, on runtime: Runtime) {
        guard output.logits != nil || output.preLogits != nil else { return }
        let workspace = runtime.workspace
        let pooled = FeatureMap(
            batch: x.batch, height: 1, width: 1, channels: x.channels,
            base: output.preLogits ?? workspace.floats(x.batch * x.channels))
        workspace.scope {
            var normed = x
            if let norm {
                normed = x.like(channels: x.channels, workspace)
                norm(x, into: normed, on: runtime)
            }
            globalAveragePool(normed, into: pooled, on: runtime)
        }
        guard let logits = output.logits else { return }
        let scores = FeatureMap(batch: x.batch, height: 1, width: 1, channels: classes, base: logits)
        head(pooled, into: scores, on: runtime)
    }
}
