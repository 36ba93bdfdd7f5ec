import ZooCore
import ZooNN

/// The Inception network behind FID: Inception-v3 as trained in 2015, in the variant that TensorFlow's evaluation graph
/// has and PyTorch's metrics copied.
///
/// - Paper: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv 1512.00567; FID is
///   arXiv 1706.08500.
/// - Weights: `pt_inception-2015-12-05-6726825d.pth`, published with pytorch-fid; tensor names are those of that file.
/// - Beside torchvision's Inception: 1008 classes, no auxiliary head, averages that leave the padding out, a maximum in
///   the last block's pool.
public enum Inception {
    static let family = ModelFamily(
        name: "fid-inception", aliases: ["inception"], defaultVariant: "fid-inception", cards: [card],
        build: { _, hyperparameters, weights in
            if let file = hyperparameters { try file.finish() }
            return InceptionNetwork(weights)
        },
        isBuffer: { $0.hasSuffix(".num_batches_tracked") })

    /// The one variant's card.
    public static let card = ModelCard(
        name: "fid-inception", aliases: ["pt_inception-2015-12-05"], family: "fid-inception", task: .features,
        parameters: 23_850_960, gmacs: 5.713, attentionGmacs: 0,
        preprocessing: Preprocessing(
            inputHeight: InceptionNetwork.inputSize, inputWidth: InceptionNetwork.inputSize, cropPct: 1,
            mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]),
        classes: InceptionNetwork.classes, labels: "imagenet-2015",
        paper: "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium, arXiv 1706.08500",
        code: "github.com/mseitzer/pytorch-fid",
        checkpoint: PublishedCheckpoint(
            page: "github.com/mseitzer/pytorch-fid/releases", file: "pt_inception-2015-12-05-6726825d.pth",
            licence: "Apache-2.0"))
}

/// What a pass of the FID Inception gives; what is `nil` is not computed.
public struct InceptionOutput {
    /// [batch, 2048]: FID, KID, precision and recall.
    public var pool3: UnsafeMutablePointer<Float>?
    /// [batch, 2023]: seven channels of a block in the middle, row by row; sFID.
    public var spatial: UnsafeMutablePointer<Float>?
    /// [batch, 1008], with bias.
    public var logits: UnsafeMutablePointer<Float>?
    /// [batch, 1008], without bias: the inception score.
    public var unbiasedLogits: UnsafeMutablePointer<Float>?

    public init(
        pool3: UnsafeMutablePointer<Float>? = nil, spatial: UnsafeMutablePointer<Float>? = nil,
        logits: UnsafeMutablePointer<Float>? = nil, unbiasedLogits: UnsafeMutablePointer<Float>? = nil
    ) {
        self.pool3 = pool3
        self.spatial = spatial
        self.logits = logits
        self.unbiasedLogits = unbiasedLogits
    }
}

/// The network. Immutable and safe to share between threads; every thread brings its own `Runtime`.
public struct InceptionNetwork: Network {
    /// Rows and columns of an input.
    public static let inputSize = 299
    public static let featureWidth = 2048
    public static let spatialWidth = 17 * 17 * spatialChannels
    public static let classes = 1008
    /// Those of `Mixed_6d.branch1x1` that sFID looks at.
    private static let spatialChannels = 7

    private let stem: [Stem]
    private let blocks: [(name: String, block: any InceptionBlock)]
    private let fc: Linear
    private let unbiased: Linear

    init(_ w: Weights) {
        func unit(
            _ name: String, in inputs: Int, out outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0
        ) -> Stem {
            .unit(
                Unit(
                    w[name], in: inputs, out: outputs, kernel: (kernel, kernel), stride: stride,
                    padding: .same(padding)), name)
        }
        stem = [
            unit("Conv2d_1a_3x3", in: 3, out: 32, kernel: 3, stride: 2),
            unit("Conv2d_2a_3x3", in: 32, out: 32, kernel: 3),
            unit("Conv2d_2b_3x3", in: 32, out: 64, kernel: 3, padding: 1),
            .pool(.reduction, channels: 64, "pool1"),
            unit("Conv2d_3b_1x1", in: 64, out: 80, kernel: 1),
            unit("Conv2d_4a_3x3", in: 80, out: 192, kernel: 3),
            .pool(.reduction, channels: 192, "pool2"),
        ]
        var blocks: [(name: String, block: any InceptionBlock)] = []
        func add(_ name: String, _ make: (Weights) -> any InceptionBlock) {
            blocks.append((name: name, block: make(w[name])))
        }
        add("Mixed_5b") { BlockA($0, in: 192, pooled: 32) }
        add("Mixed_5c") { BlockA($0, in: 256, pooled: 64) }
        add("Mixed_5d") { BlockA($0, in: 288, pooled: 64) }
        add("Mixed_6a") { BlockB($0, in: 288) }
        add("Mixed_6b") { BlockC($0, in: 768, width: 128) }
        add("Mixed_6c") { BlockC($0, in: 768, width: 160) }
        add(Self.spatialBlock) { BlockC($0, in: 768, width: 160) }
        add("Mixed_6e") { BlockC($0, in: 768, width: 192) }
        add("Mixed_7a") { BlockD($0, in: 768) }
        add("Mixed_7b") { BlockE($0, in: 1280, pooling: .average) }
        add("Mixed_7c") { BlockE($0, in: 2048, pooling: .max) }
        self.blocks = blocks
        let weight = w["fc"].tensor("weight", [Self.classes, Self.featureWidth])
        let bias = w["fc"].tensor("bias", [Self.classes])
        func head(_ name: String, _ bias: [Float]) -> Linear {
            Linear(
                name: name, weight: weight, bias: bias, outputs: Self.classes, in: Self.featureWidth, norm: nil,
                precision: w.precision)
        }
        fc = head("fc", bias)
        unbiased = head("fc, no bias", [Float](repeating: 0, count: bias.count))
    }

    private static let spatialBlock = "Mixed_6d"

    /// Computes features.
    ///
    /// - Parameters:
    ///   - images: [batch, 299, 299, 3], resized and normalised as a `FeatureResizing` does it.
    ///   - output: what to fill.
    /// - Throws: `ZooError` of kind `usage` for images of another size.
    public func forward(_ images: ImageBatch, into output: InceptionOutput, on runtime: Runtime) throws(ZooError) {
        try forward(images, into: output, on: runtime) { _, _ in }
    }

    /// The same, and shows the map of each block.
    package func forward(
        _ images: ImageBatch, into output: InceptionOutput, on runtime: Runtime,
        stage: (_ name: String, _ map: FeatureMap) -> Void
    ) throws(ZooError) {
        guard images.height == Self.inputSize, images.width == Self.inputSize, images.channels == 3 else {
            throw ZooError(
                .usage, "images have the wrong shape", expected: "\(Self.inputSize)x\(Self.inputSize)x3",
                found: "\(images.height)x\(images.width)x\(images.channels)")
        }
        let workspace = runtime.workspace
        workspace.scope {
            // Two buffers take turns; the largest map comes out of the third convolution.
            let largest = images.batch * 147 * 147 * 64
            let buffers = (workspace.floats(largest), workspace.floats(largest))
            var x = FeatureMap(images)
            var isFirst = true
            func next(_ height: Int, _ width: Int, _ channels: Int) -> FeatureMap {
                defer { isFirst.toggle() }
                return FeatureMap(
                    batch: x.batch, height: height, width: width, channels: channels,
                    base: isFirst ? buffers.0 : buffers.1)
            }
            for step in stem {
                let y = next(step.outputSize(x.height), step.outputSize(x.width), step.outputs)
                step(x, into: y, on: runtime)
                stage(step.name, y)
                x = y
            }
            for (name, block) in blocks {
                let y = next(block.outputSize(x.height), block.outputSize(x.width), block.outputs)
                workspace.scope { block(x, into: y, on: runtime) }
                stage(name, y)
                if name == Self.spatialBlock, let spatial = output.spatial { Self.copySpatial(y, to: spatial) }
                x = y
            }
            head(x, into: output, on: runtime)
        }
    }

    private func head(_ x: FeatureMap, into output: InceptionOutput, on runtime: Runtime) {
        func row(_ width: Int, _ base: UnsafeMutablePointer<Float>) -> FeatureMap {
            FeatureMap(batch: x.batch, height: 1, width: 1, channels: width, base: base)
        }
        let pooled = row(
            Self.featureWidth, output.pool3 ?? runtime.workspace.floats(x.batch * Self.featureWidth))
        globalAveragePool(x, into: pooled, on: runtime)
        if let logits = output.logits { fc(pooled, into: row(Self.classes, logits), on: runtime) }
        if let logits = output.unbiasedLogits { unbiased(pooled, into: row(Self.classes, logits), on: runtime) }
    }

    /// The first branch of the block comes first among its channels.
    private static func copySpatial(_ x: FeatureMap, to spatial: UnsafeMutablePointer<Float>) {
        for pixel in 0..<x.rows {
            (spatial + pixel * spatialChannels).update(from: x.base + pixel * x.stride, count: spatialChannels)
        }
    }

    /// Multiply-adds of one pass.
    package var cost: Cost {
        var size = Self.inputSize
        var total = fc.cost(pixels: 1)
        for step in stem {
            size = step.outputSize(size)
            total += step.cost(pixels: size * size)
        }
        for (_, block) in blocks {
            total += block.cost(pixels: size * size)
            size = block.outputSize(size)
        }
        return total
    }
}

/// A step before the blocks.
private enum Stem: Sendable {
    case unit(Unit, String)
    case pool(Pool, channels: Int, String)

    var name: String {
        switch self {
        case .unit(_, let name), .pool(_, _, let name): name
        }
    }

    var outputs: Int {
        switch self {
        case .unit(let unit, _): unit.outputs
        case .pool(_, let channels, _): channels
        }
    }

    func outputSize(_ size: Int) -> Int {
        switch self {
        case .unit(let unit, _): unit.outputSize(size)
        case .pool(let pool, _, _): pool.outputSize(size)
        }
    }

    func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        switch self {
        case .unit(let unit, _): unit(x, into: output, on: runtime)
        case .pool(let pool, _, _): pool(x, into: output, on: runtime)
        }
    }

    /// Multiply-adds for `pixels` output pixels.
    func cost(pixels: Int) -> Cost {
        guard case .unit(let unit, _) = self else { return Cost() }
        return unit.cost(pixels: pixels)
    }
}

/// A block: branches whose outputs lie side by side. Each branch writes to its columns of the output.
private protocol InceptionBlock: Sendable {
    var outputs: Int { get }
    /// Whether the block halves the map.
    var isReduction: Bool { get }
    /// Writes to `output`, which must not overlap `x`.
    func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime)
    /// Multiply-adds for `pixels` input pixels.
    func cost(pixels: Int) -> Cost
}

extension InceptionBlock {
    func outputSize(_ size: Int) -> Int { isReduction ? Pool.reduction.outputSize(size) : size }
}

/// 1x1; 5x5; 3x3 twice; average and 1x1.
private struct BlockA: InceptionBlock {
    private let branch1x1: Unit
    private let branch5x5: [Unit]
    private let branch3x3dbl: [Unit]
    private let branchPool: Unit

    init(_ w: Weights, in inputs: Int, pooled: Int) {
        branch1x1 = Unit(w["branch1x1"], in: inputs, out: 64)
        branch5x5 = [
            Unit(w["branch5x5_1"], in: inputs, out: 48),
            Unit(w["branch5x5_2"], in: 48, out: 64, kernel: (5, 5), padding: .same(2)),
        ]
        branch3x3dbl = [
            Unit(w["branch3x3dbl_1"], in: inputs, out: 64),
            Unit(w["branch3x3dbl_2"], in: 64, out: 96, kernel: (3, 3), padding: .same(1)),
            Unit(w["branch3x3dbl_3"], in: 96, out: 96, kernel: (3, 3), padding: .same(1)),
        ]
        branchPool = Unit(w["branch_pool"], in: inputs, out: pooled)
    }

    var outputs: Int { 224 + branchPool.outputs }
    var isReduction: Bool { false }

    func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        branch1x1(x, into: output.columns(0..<64), on: runtime)
        branch5x5(x, into: output.columns(64..<128), on: runtime)
        branch3x3dbl(x, into: output.columns(128..<224), on: runtime)
        branchPool(pooling: x, .average, into: output.columns(224..<outputs), on: runtime)
    }

    func cost(pixels: Int) -> Cost {
        branch1x1.cost(pixels: pixels) + branch5x5.cost(pixels: pixels) + branch3x3dbl.cost(pixels: pixels)
            + branchPool.cost(pixels: pixels)
    }
}

/// Halves the map: 3x3; 3x3 twice; maximum.
private struct BlockB: InceptionBlock {
    private let branch3x3: Unit
    private let branch3x3dbl: [Unit]
    let outputs: Int
    var isReduction: Bool { true }

    init(_ w: Weights, in inputs: Int) {
        branch3x3 = Unit(w["branch3x3"], in: inputs, out: 384, kernel: (3, 3), stride: 2)
        branch3x3dbl = [
            Unit(w["branch3x3dbl_1"], in: inputs, out: 64),
            Unit(w["branch3x3dbl_2"], in: 64, out: 96, kernel: (3, 3), padding: .same(1)),
            Unit(w["branch3x3dbl_3"], in: 96, out: 96, kernel: (3, 3), stride: 2),
        ]
        outputs = 480 + inputs
    }

    func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        branch3x3(x, into: output.columns(0..<384), on: runtime)
        branch3x3dbl(x, into: output.columns(384..<480), on: runtime)
        Pool.reduction(x, into: output.columns(480..<outputs), on: runtime)
    }

    func cost(pixels: Int) -> Cost {
        let side = Int(Double(pixels).squareRoot())
        let reduced = outputSize(side) * outputSize(side)
        return branch3x3.cost(pixels: reduced) + branch3x3dbl.dropLast().cost(pixels: pixels)
            + branch3x3dbl[2].cost(pixels: reduced)
    }
}

/// 1x1; 7x7 in two strips; 7x7 twice in four strips; average and 1x1.
private struct BlockC: InceptionBlock {
    private let branch1x1: Unit
    private let branch7x7: [Unit]
    private let branch7x7dbl: [Unit]
    private let branchPool: Unit
    var outputs: Int { 768 }
    var isReduction: Bool { false }

    init(_ w: Weights, in inputs: Int, width: Int) {
        branch1x1 = Unit(w["branch1x1"], in: inputs, out: 192)
        branch7x7 = [
            Unit(w["branch7x7_1"], in: inputs, out: width),
            Unit(w["branch7x7_2"], in: width, out: width, row: 7),
            Unit(w["branch7x7_3"], in: width, out: 192, column: 7),
        ]
        branch7x7dbl = [
            Unit(w["branch7x7dbl_1"], in: inputs, out: width),
            Unit(w["branch7x7dbl_2"], in: width, out: width, column: 7),
            Unit(w["branch7x7dbl_3"], in: width, out: width, row: 7),
            Unit(w["branch7x7dbl_4"], in: width, out: width, column: 7),
            Unit(w["branch7x7dbl_5"], in: width, out: 192, row: 7),
        ]
        branchPool = Unit(w["branch_pool"], in: inputs, out: 192)
    }

    func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        branch1x1(x, into: output.columns(0..<192), on: runtime)
        branch7x7(x, into: output.columns(192..<384), on: runtime)
        branch7x7dbl(x, into: output.columns(384..<576), on: runtime)
        branchPool(pooling: x, .average, into: output.columns(576..<768), on: runtime)
    }

    func cost(pixels: Int) -> Cost {
        branch1x1.cost(pixels: pixels) + branch7x7.cost(pixels: pixels) + branch7x7dbl.cost(pixels: pixels)
            + branchPool.cost(pixels: pixels)
    }
}

/// Halves the map: 3x3; 7x7 in two strips and 3x3; maximum.
private struct BlockD: InceptionBlock {
    private let branch3x3: [Unit]
    private let branch7x7x3: [Unit]
    let outputs: Int
    var isReduction: Bool { true }

    init(_ w: Weights, in inputs: Int) {
        branch3x3 = [
            Unit(w["branch3x3_1"], in: inputs, out: 192),
            Unit(w["branch3x3_2"], in: 192, out: 320, kernel: (3, 3), stride: 2),
        ]
        branch7x7x3 = [
            Unit(w["branch7x7x3_1"], in: inputs, out: 192),
            Unit(w["branch7x7x3_2"], in: 192, out: 192, row: 7),
            Unit(w["branch7x7x3_3"], in: 192, out: 192, column: 7),
            Unit(w["branch7x7x3_4"], in: 192, out: 192, kernel: (3, 3), stride: 2),
        ]
        outputs = 512 + inputs
    }

    func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        branch3x3(x, into: output.columns(0..<320), on: runtime)
        branch7x7x3(x, into: output.columns(320..<512), on: runtime)
        Pool.reduction(x, into: output.columns(512..<outputs), on: runtime)
    }

    func cost(pixels: Int) -> Cost {
        let side = Int(Double(pixels).squareRoot())
        let reduced = outputSize(side) * outputSize(side)
        return branch3x3[0].cost(pixels: pixels) + branch3x3[1].cost(pixels: reduced)
            + branch7x7x3.dropLast().cost(pixels: pixels) + branch7x7x3[3].cost(pixels: reduced)
    }
}

/// 1x1; 3x3 as a row beside a column; 3x3 and the same again; a pool and 1x1.
private struct BlockE: InceptionBlock {
    private let branch1x1: Unit
    private let branch3x3: Unit
    private let branch3x3ends: (row: Unit, column: Unit)
    private let branch3x3dbl: [Unit]
    private let branch3x3dblEnds: (row: Unit, column: Unit)
    private let branchPool: Unit
    private let pooling: Pool.Kind
    var outputs: Int { 2048 }
    var isReduction: Bool { false }

    init(_ w: Weights, in inputs: Int, pooling: Pool.Kind) {
        branch1x1 = Unit(w["branch1x1"], in: inputs, out: 320)
        branch3x3 = Unit(w["branch3x3_1"], in: inputs, out: 384)
        branch3x3ends = (
            Unit(w["branch3x3_2a"], in: 384, out: 384, row: 3), Unit(w["branch3x3_2b"], in: 384, out: 384, column: 3)
        )
        branch3x3dbl = [
            Unit(w["branch3x3dbl_1"], in: inputs, out: 448),
            Unit(w["branch3x3dbl_2"], in: 448, out: 384, kernel: (3, 3), padding: .same(1)),
        ]
        branch3x3dblEnds = (
            Unit(w["branch3x3dbl_3a"], in: 384, out: 384, row: 3),
            Unit(w["branch3x3dbl_3b"], in: 384, out: 384, column: 3)
        )
        branchPool = Unit(w["branch_pool"], in: inputs, out: 192)
        self.pooling = pooling
    }

    func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        branch1x1(x, into: output.columns(0..<320), on: runtime)
        let workspace = runtime.workspace
        workspace.scope {
            let middle = x.like(channels: 384, workspace)
            branch3x3(x, into: middle, on: runtime)
            branch3x3ends.row(middle, into: output.columns(320..<704), on: runtime)
            branch3x3ends.column(middle, into: output.columns(704..<1088), on: runtime)
            branch3x3dbl(x, into: middle, on: runtime)
            branch3x3dblEnds.row(middle, into: output.columns(1088..<1472), on: runtime)
            branch3x3dblEnds.column(middle, into: output.columns(1472..<1856), on: runtime)
        }
        branchPool(pooling: x, pooling, into: output.columns(1856..<2048), on: runtime)
    }

    func cost(pixels: Int) -> Cost {
        let units =
            [
                branch1x1, branch3x3, branch3x3ends.row, branch3x3ends.column, branch3x3dblEnds.row,
                branch3x3dblEnds.column, branchPool,
            ] + branch3x3dbl
        return units.cost(pixels: pixels)
    }
}

extension Pool {
    /// The maximum over 3x3 pixels, every second one.
    fileprivate static let reduction = Pool(.max, kernel: 3, stride: 2, padding: 0)
}

/// Convolution without bias, batch norm, ReLU.
private struct Unit: Sendable {
    private let conv: Layer
    let outputs: Int

    private enum Layer: Sendable {
        case pointwise(Linear)
        case spatial(Conv2d)
    }

    /// Reads `conv.weight` [out, in, height, width] and `bn`.
    init(
        _ w: Weights, in inputs: Int, out outputs: Int, kernel: (height: Int, width: Int) = (1, 1), stride: Int = 1,
        padding: Padding = .same(0)
    ) {
        let norm = BatchNorm(w["bn"], channels: outputs, epsilon: 0.001)
        self.outputs = outputs
        if kernel == (1, 1), stride == 1 {
            conv = .pointwise(
                Linear(
                    w["conv"], in: inputs, out: outputs, hasBias: false, batchNorm: norm, activation: .relu))
        } else {
            conv = .spatial(
                Conv2d(
                    w["conv"], in: inputs, out: outputs, kernel: kernel, stride: stride, padding: padding,
                    hasBias: false, batchNorm: norm, activation: .relu))
        }
    }

    /// A kernel of one row that keeps the size.
    init(_ w: Weights, in inputs: Int, out outputs: Int, row width: Int) {
        self.init(w, in: inputs, out: outputs, kernel: (1, width), padding: .symmetric(0, width / 2))
    }

    /// A kernel of one column that keeps the size.
    init(_ w: Weights, in inputs: Int, out outputs: Int, column height: Int) {
        self.init(w, in: inputs, out: outputs, kernel: (height, 1), padding: .symmetric(height / 2, 0))
    }

    /// Rows of the output over `size` rows of input.
    func outputSize(_ size: Int) -> Int {
        switch conv {
        case .pointwise: size
        case .spatial(let conv): conv.outputSize(size)
        }
    }

    func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        switch conv {
        case .pointwise(let linear): linear(x, into: output, on: runtime)
        case .spatial(let conv): conv(x, into: output, on: runtime)
        }
    }

    /// The unit over the pooled map: 3x3, every pixel.
    func callAsFunction(pooling x: FeatureMap, _ kind: Pool.Kind, into output: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            let pooled = x.like(channels: x.channels, workspace)
            Pool(kind, kernel: 3, stride: 1, padding: 1)(x, into: pooled, on: runtime)
            self(pooled, into: output, on: runtime)
        }
    }

    /// Multiply-adds for `pixels` output pixels.
    func cost(pixels: Int) -> Cost {
        switch conv {
        case .pointwise(let linear): linear.cost(pixels: pixels)
        case .spatial(let conv): conv.cost(pixels: pixels)
        }
    }
}

extension Collection where Element == Unit {
    /// One unit after the other.
    fileprivate func callAsFunction(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
        let workspace = runtime.workspace
        workspace.scope {
            var x = x
            for (index, unit) in enumerated() {
                let isLast = index == count - 1
                let y =
                    isLast
                    ? output
                    : FeatureMap(
                        workspace, batch: x.batch, height: unit.outputSize(x.height), width: unit.outputSize(x.width),
                        channels: unit.outputs)
                unit(x, into: y, on: runtime)
                x = y
            }
        }
    }

    /// Multiply-adds for `pixels` output pixels of every unit.
    fileprivate func cost(pixels: Int) -> Cost { reduce(Cost()) { $0 + $1.cost(pixels: pixels) } }
}
