/// Batch norm at inference, folded into the convolution before it: `y = x * scale + shift` per channel.
///
/// Reads `weight`, `bias`, `running_mean`, `running_var`; exact in float64.
package struct BatchNorm {
    private let scale: [Double]
    private let shift: [Double]

    package init(_ w: Weights, channels: Int, epsilon: Double = 1e-5) {
        let weight = w.tensor("weight", [channels])
        let bias = w.tensor("bias", [channels])
        let mean = w.tensor("running_mean", [channels])
        let variance = w.tensor("running_var", [channels])
        let factors = zip(weight, variance).map { Double($0) / (Double($1) + epsilon).squareRoot() }
        scale = factors
        shift = bias.indices.map { Double(bias[$0]) - Double(mean[$0]) * factors[$0] }
    }

    /// The factors and addends themselves, for a norm that cannot be folded.
    package var scales: [Float] { scale.map { Float($0) } }
    package var shifts: [Float] { shift.map { Float($0) } }

    /// The weight [out][k] and bias [out] of a convolution that does both.
    package func folded(into weight: [Float], bias: [Float]) -> (weight: [Float], bias: [Float]) {
        guard !weight.isEmpty else { return (weight, bias) }
        let k = weight.count / scale.count
        let folded = weight.indices.map { Float(Double(weight[$0]) * scale[$0 / k]) }
        return (folded, bias.indices.map { Float(Double(bias[$0]) * scale[$0] + shift[$0]) })
    }
}
