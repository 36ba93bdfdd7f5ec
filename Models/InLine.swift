import ZooCore
import ZooNN

/// What the four InLine backbones share: the attention module, the cards' common part, the pattern of attention types.
///
/// - Paper: Han, Pu, Xia, Han, Pan, Li, Lu, Song, Huang, "Bridging the Divide: Reconsidering Softmax and Linear
///   Attention", NeurIPS 2024, arXiv 2412.06590.
/// - Code: github.com/LeapLabTHU/InLine, `models/inline_{deit,pvt,swin,cswin}.py`; tensor names are those of its
///   checkpoints, which `main.py` (`model`) and `main_ema.py` (`model` and, preferred, `state_dict_ema`) write.
enum InLine {
    static let paper = "Bridging the Divide: Reconsidering Softmax and Linear Attention, arXiv 2412.06590"
    static let code = "github.com/LeapLabTHU/InLine"

    /// - Parameters:
    ///   - file: the configuration file of the official code, another name of the variant.
    ///   - crops: whether the evaluation cuts a margin off (`TEST.CROP`). Either way it resizes both sides to a square.
    static func card(
        _ name: String, family: String, file: String, size: Int = 224, crops: Bool = true, parameters: Int,
        gmacs: Double, attentionGmacs: Double, top1: Double?
    ) -> ModelCard {
        ModelCard(
            name: name, aliases: [file], family: family, parameters: parameters, gmacs: gmacs,
            attentionGmacs: attentionGmacs,
            preprocessing: Preprocessing(
                inputHeight: size, inputWidth: size, cropPct: crops ? 0.875 : 1, cropMode: .squash),
            classes: 1000, labels: "imagenet-1k", paper: paper, code: code, publishedTop1: top1,
            checkpoint: PublishedCheckpoint(page: code, file: nil, licence: nil))
    }

    /// - Throws: `ZooError` unless the heads divide the channels into parts that the attention cores can take.
    static func checkHeads(_ heads: Int, channels: Int) throws(ZooError) {
        try Hyperparameters.require(
            channels.isMultiple(of: heads) && channels / heads <= 1024, "num_heads",
            "divisors of the channels, at most 1024 channels a head")
    }

    /// - Throws: `ZooError` unless the MLP has a width.
    static func checkWidth(_ ratio: Double, channels: Int) throws(ZooError) {
        try Hyperparameters.require(Int(ratio * Double(channels)) > 0, "mlp_ratio", "an MLP width of at least 1")
    }
}

/// Which blocks of each stage use InLine attention rather than softmax attention.
struct AttentionPattern: Sendable {
    /// For each stage and block.
    let isInLine: [[Bool]]

    /// Reads the official `ATTN_TYPE`: one letter per stage, I for InLine, S for softmax, M for both. The stage M has as
    /// many InLine blocks as the number after the letters says, then softmax blocks. Words after a space are a comment.
    ///
    /// - Throws: `ZooError` of kind `badData`.
    init(_ type: String, depths: [Int]) throws(ZooError) {
        let word = type.prefix { $0 != " " }
        let letters = word.prefix(depths.count)
        let count = Int(word.dropFirst(depths.count)) ?? 0
        guard letters.count == depths.count, letters.allSatisfy("ISM".contains),
            letters.contains("M") == (word.count > depths.count), (0...1_000_000).contains(count)
        else {
            throw ZooError(
                .badData, "hyper-parameter has an unusable value", at: "attn_type",
                expected: "\(depths.count) letters I, S or M and, after an M, the number of its InLine blocks",
                found: type)
        }
        isInLine = zip(letters, depths).map { letter, depth in
            (0..<depth).map { letter == "I" || letter == "M" && $0 < count }
        }
    }
}

/// Injective linear attention over given queries, keys and values, with the local residual:
/// `core(q, k, v) + filter(x) * v`.
package struct InLineMixing: Sendable {
    private let channels: Int
    private let heads: Int
    private let core: AttentionCore
    private let local: LocalResidual

    package init(channels: Int, heads: Int, kernel: InLineKernel = .identity, local: LocalResidual) {
        self.channels = channels
        self.heads = heads
        core = .inline(kernel)
        self.local = local
    }

    /// - Parameters:
    ///   - packed: queries, keys and values side by side, [batch, tokens, 3 C].
    ///   - x: what the filters are predicted from; only its mean token counts.
    ///   - grid: of the last tokens of each image; tokens before it have no local part.
    package func callAsFunction(
        _ packed: FeatureMap, filtersFrom x: FeatureMap, grid: (height: Int, width: Int), into output: FeatureMap,
        on runtime: Runtime
    ) {
        let values = packed.columns(2 * channels..<3 * channels)
        local(x, values: values, grid: grid, into: output, on: runtime)
        core(
            queries: packed.columns(0..<channels), keys: packed.columns(channels..<2 * channels), values: values,
            heads: heads, rope: false, local: output, into: output, on: runtime)
    }

    /// - Parameters:
    ///   - tokens: of one image.
    ///   - pixels: those of them that lie on the grid.
    func cost(tokens: Int, pixels: Int) -> Cost {
        local.cost(pixels: pixels) + core.cost(tokens: tokens, heads: heads, headDim: channels / heads)
    }
}

/// The attention module of InLine-DeiT, InLine-PVT and InLine-Swin: projection, mixing, projection.
package struct InLineAttention: Sendable {
    private let qkv: Linear
    private let mixing: InLineMixing
    private let proj: Linear

    /// How the checkpoint stores the first projection.
    package enum Projection: Sendable {
        /// `qkv`
        case joint
        /// `q` and `kv`
        case split
    }

    package init(
        _ w: Weights, channels: Int, heads: Int, projection: Projection = .joint, kernel: InLineKernel = .identity,
        norm: LayerNorm?
    ) {
        switch projection {
        case .joint: qkv = Linear(w["qkv"], in: channels, out: 3 * channels, kernel: .linear, norm: norm)
        case .split: qkv = Linear(joining: [(w["q"], channels), (w["kv"], 2 * channels)], in: channels, norm: norm)
        }
        mixing = InLineMixing(
            channels: channels, heads: heads, kernel: kernel,
            local: LocalResidual(w["residual"], channels: channels, heads: heads, norm: norm))
        proj = Linear(w["proj"], in: channels, out: channels, kernel: .linear)
    }

    /// Writes `residual + attention(norm(x))` to `output`, which may be `residual`, and `x` too.
    ///
    /// - Parameter grid: of the last tokens of each image, a class token being before them; `nil` for the whole map.
    package func callAsFunction(
        _ x: FeatureMap, into output: FeatureMap, residual: FeatureMap? = nil,
        grid: (height: Int, width: Int)? = nil, on runtime: Runtime
    ) {
        let workspace = runtime.workspace
        workspace.scope {
            let mixed = x.like(channels: x.channels, workspace)
            workspace.scope {
                let packed = x.packed(channels: qkv.outputs, workspace)
                qkv(x, into: packed, on: runtime)
                mixing(packed, filtersFrom: x, grid: grid ?? (x.height, x.width), into: mixed, on: runtime)
            }
            proj(mixed, into: output, residual: residual, on: runtime)
        }
    }

    /// - Parameters:
    ///   - tokens: of a window.
    ///   - pixels: those of them that lie on the grid.
    ///   - windows: that the module runs on.
    func cost(tokens: Int, pixels: Int, windows: Int = 1) -> Cost {
        let one = qkv.cost(pixels: tokens) + mixing.cost(tokens: tokens, pixels: pixels) + proj.cost(pixels: tokens)
        return Cost(convolutions: windows * one.convolutions, attention: windows * one.attention)
    }
}

extension Hyperparameters {
    /// Accepts what the description of a golden case says beside the hyper-parameters.
    mutating func ignoreDescription() {
        ignore(
            "family", "note", "seed", "weights", "parameters", "buffers", "input_rule", "legend", "tensors",
            "noise_fp32_vs_fp64", "effective")
    }
}
