import CKernels

/// What the factors of linear layers and convolutions are rounded to. Sums and everything else are float32 in both.
public enum Precision: String, Sendable, Codable, CaseIterable {
    case fp32
    /// Weights are rounded to bfloat16, to nearest, when a model is loaded, which halves their memory; inputs are when
    /// they enter a product, after a fused norm. Norms, attention cores, depthwise convolutions, activations and the
    /// residual stream stay in float32.
    case bf16

    /// Whether products on this instruction set use a dot product of the processor made for this precision. `bf16` is
    /// computed everywhere: where this is false it is widened to float32, and no faster.
    public func isNative(on instructionSet: InstructionSet) -> Bool {
        switch self {
        case .fp32: true
        case .bf16: instructionSet == .avx512 && ck_bf16_dot_available()
        }
    }
}
