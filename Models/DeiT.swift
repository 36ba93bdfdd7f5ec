import ZooCore
import ZooNN

/// DeiT, the plain vision transformer with softmax attention, in timm's naming.
///
/// - Paper: Touvron, Cord, Douze, Massa, Sablayrolles, Jégou, "Training data-efficient image transformers & distillation
///   through attention", ICML 2021, arXiv 2012.12877.
/// - Code: github.com/facebookresearch/deit; tensor names are those of timm's `VisionTransformer`, which the original
///   files share.
/// - Other image sizes, multiples of the patch, get a position embedding resampled as timm does it.
/// - The distilled variants have another token and another head: their checkpoints are refused.
public enum DeiT {
    static let family = ModelFamily(
        name: "deit", aliases: [], defaultVariant: "deit-small", cards: cards, build: build,
        isBuffer: { _ in false })

    /// The network of a variant whose name ends in `-tiny`, `-small`, `-base` or one of these and the image size.
    static let build:
        @Sendable (_ variant: String, _ replacing: Hyperparameters?, _ weights: Weights) throws
            -> any ImageClassifier = { variant, hyperparameters, weights in
                try VisionTransformer(configuration(of: variant).replaced(by: hyperparameters), weights)
            }

    private static func configuration(of variant: String) -> VisionTransformer.Configuration {
        let parts = variant.split(separator: "-").map(String.init)
        let (embedDim, heads) = parts[1] == "base" ? (768, 12) : parts[1] == "small" ? (384, 6) : (192, 3)
        return VisionTransformer.Configuration(
            imageSize: parts.count > 2 ? 384 : 224, embedDim: embedDim, heads: heads, attention: .softmax,
            resampling: .antialiasedBicubic)
    }

    private static let cards: [ModelCard] = [
        card("tiny", parameters: 5_717_416, gmacs: 1.075, attentionGmacs: 0.179, top1: 72.190),
        card("small", parameters: 22_050_664, gmacs: 4.241, attentionGmacs: 0.358, top1: 79.856),
        card("base", parameters: 86_567_656, gmacs: 16.849, attentionGmacs: 0.715, top1: 81.980),
        card("base", size: 384, parameters: 86_859_496, gmacs: 49.348, attentionGmacs: 6.137, top1: 83.108),
    ]

    private static func card(
        _ variant: String, size: Int = 224, parameters: Int, gmacs: Double, attentionGmacs: Double, top1: Double
    ) -> ModelCard {
        let official = "deit_\(variant)_patch16_\(size)"
        return ModelCard(
            name: "deit-\(variant)" + (size == 224 ? "" : "-\(size)"), aliases: [official, "\(official).fb_in1k"],
            family: "deit", parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs,
            preprocessing: .timm(size: size), classes: 1000, labels: "imagenet-1k",
            paper: "Training data-efficient image transformers & distillation through attention, arXiv 2012.12877",
            code: "github.com/facebookresearch/deit", publishedTop1: top1,
            checkpoint: PublishedCheckpoint(
                page: "huggingface.co/timm/\(official).fb_in1k", file: "model.safetensors", licence: "Apache-2.0"))
    }
}

extension Preprocessing {
    /// timm's rule for its transformers: shorter side to `floor(size / 0.9)` up to 224 pixels, no margin above.
    static func timm(
        size: Int, mean: [Double] = Preprocessing.imageNetMean, std: [Double] = Preprocessing.imageNetStd
    ) -> Preprocessing {
        Preprocessing(
            inputHeight: size, inputWidth: size, cropPct: size > 224 ? 1 : 0.9, mean: mean, std: std)
    }
}
