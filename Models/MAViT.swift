import ZooCore
import ZooNN

/// MAViT, the magnitude-aware vision transformer (the code calls it MALA): RAVLT's network with another linear
/// attention core and a wider projection before the classifier.
///
/// - Paper: Fan, Huang, Ai, He, "Rectifying Magnitude Neglect in Linear Attention", ICCV 2025, arXiv 2507.00698.
/// - Code: github.com/qhfan/MALA, `classfication_release/model.py`; tensor names are those of its checkpoints. They do
///   not differ from RAVLT's: the width of `proj.weight` tells the families apart.
public enum MAViT {
    static let family = ModelFamily(
        name: "mavit", aliases: ["mala"], defaultVariant: "mavit-t", cards: cards,
        build: { variant, hyperparameters, weights in
            try PyramidNetwork(
                configuration(of: variant).replaced(by: hyperparameters), linearAttention: .mala, weights)
        },
        isBuffer: PyramidNetwork.isBuffer)

    private static func configuration(of variant: String) -> PyramidNetwork.Configuration {
        if variant == "mavit-nano" { return .nano }
        return .released(size: variant.suffix(1), projection: variant == "mavit-l" ? 2560 : 2048)
    }

    private static let cards: [ModelCard] = [
        card("t", parameters: 16_449_128, gmacs: 2.439, attentionGmacs: 0.201, top1: 82.9),
        card("s", parameters: 27_142_568, gmacs: 4.533, attentionGmacs: 0.371, top1: 84.7),
        card("b", parameters: 49_792_648, gmacs: 9.829, attentionGmacs: 0.776, top1: 85.7),
        card("l", parameters: 97_766_088, gmacs: 16.142, attentionGmacs: 1.114, top1: 86.0),
        PyramidNetwork.nanoCard(
            name: "mavit-nano", family: "mavit", parameters: 169_762, gmacs: 0.001925, attentionGmacs: 0.000114,
            paper: paper,
            code: code),
    ]

    private static let paper = "Rectifying Magnitude Neglect in Linear Attention, arXiv 2507.00698"
    private static let code = "github.com/qhfan/MALA"

    private static func card(
        _ size: String, parameters: Int, gmacs: Double, attentionGmacs: Double, top1: Double
    ) -> ModelCard {
        ModelCard(
            name: "mavit-\(size)", aliases: ["mavit_\(size)", "mala-\(size)"], family: "mavit",
            parameters: parameters, gmacs: gmacs, attentionGmacs: attentionGmacs, preprocessing: .ravlt(size: 224),
            classes: 1000, labels: "imagenet-1k", paper: paper, code: code, publishedTop1: top1,
            checkpoint: PublishedCheckpoint(page: "huggingface.co/aldjalkdf/MAViT", file: nil, licence: nil))
    }
}
