extension Operator {
    /// All operators, in the order they are listed: the softmax baseline, then by name.
    public static let all: [Operator] = [
        attention(.softmax, name: "softmax", summary: "softmax(q k^T / sqrt(d)) v"),
        inline,
        lit,
        attention(.mala, name: "mala", summary: "magnitude-aware linear attention, arXiv 2507.00698"),
        attention(.rala, name: "rala", summary: "rank-augmented linear attention, arXiv 2411.07635"),
        scattered,
        additive, agent, blockDiagonal, efficient, focused, gatedLinear, hedgehog, l2vit, lightNetBidirectional,
        lightNetCausal, linearElu, linearReLU, linformer, linFusion, lionDecay, lionDecaySnake, lionLit, lionSelective,
        lionSelectiveSnake, logNormal, logNormalDiagonal, normLinear, performerReLU, performerSoftmax,
    ]
}
