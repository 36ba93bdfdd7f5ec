import ZooCore
import ZooNN

/// ViT as timm publishes it: the network of DeiT, trained otherwise and with another normalisation of the images.
///
/// - Papers: Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021,
///   arXiv 2010.11929; Steiner et al., "How to train your ViT? Data, Augmentation, and Regularization in Vision
///   Transformers", TMLR 2022, arXiv 2106.10270, whose weights the cards name (ImageNet-21k, then ImageNet-1k).
/// - Code: github.com/google-research/vision_transformer; tensor names are timm's.
public enum ViT {
    static let family = ModelFamily(
        name: "vit", aliases: [], defaultVariant: "vit-small", cards: cards, build: DeiT.build,
        isBuffer: { _ in false })

    private static let cards: [ModelCard] = [
        card("tiny", parameters: 5_717_416, gmacs: 1.075, attentionGmacs: 0.179, top1: 75.5),
        card("small", parameters: 22_050_664, gmacs: 4.241, attentionGmacs: 0.358, top1: 81.4),
        card("base", parameters: 86_567_656, gmacs: 16.849, attentionGmacs: 0.715, top1: 84.5),
    ]

    private static func card(
        _ variant: String, parameters: Int, gmacs: Double, attentionGmacs: Double, top1: Double
    ) -> ModelCard {
        let official = "vit_\(variant)_patch16_224"
        return ModelCard(
            name: "vit-\(variant)", aliases: [official, "\(official).augreg_in21k_ft_in1k"], family: "vit",
            parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs,
            preprocessing: .timm(size: 224, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]), classes: 1000,
            labels: "imagenet-1k",
            paper:
                "How to train your ViT? Data, Augmentation, and Regularization in Vision Transformers, arXiv 2106.10270",
            code: "github.com/google-research/vision_transformer", publishedTop1: top1,
            checkpoint: PublishedCheckpoint(
                page: "huggingface.co/timm/\(official).augreg_in21k_ft_in1k", file: "model.safetensors",
                licence: "Apache-2.0"))
    }
}
