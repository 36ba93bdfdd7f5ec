import CKernels

extension ck_linear_attention_args: KernelCall {
    package var kind: KernelKind { .attention }
    package var shape: String {
        "linear \(batch)x\(heads)x\(tokens)x\(features)->\(value_dim)" + (local == nil ? "" : " local")
    }
    package var multiplyAdds: Int {
        batch * heads * (tokens + key_tokens) * features * (value_dim + (normalised == 0 ? 0 : 1))
    }
    package var bytes: Int { 4 * batch * heads * (tokens + key_tokens) * (features + value_dim) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_linear_attention_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_linear_attention_f32(context, $0, scratch) }
    }
}

extension ck_row_map_args: KernelCall {
    package var kind: KernelKind { .norm }
    package var shape: String { "rows \(batch)x\(heads)x\(tokens)x\(dim)" }
    /// About one for each of statistic, function and scaling.
    package var multiplyAdds: Int { 3 * batch * heads * tokens * dim }
    package var bytes: Int {
        let maps = 2 + (function == CK_ROW_SOFTMAX_PAIR ? 1 : 0) + (gate == nil ? 0 : 1)
        return 4 * batch * heads * tokens * (maps * dim + (y == nil ? 0 : y_dim))
    }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_row_map_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_row_map_f32(context, $0, scratch) }
    }
}

extension ck_bidirectional_scan_args: KernelCall {
    package var kind: KernelKind { .attention }
    package var shape: String { "scan \(paths)x2 \(batch)x\(heads)x\(tokens)x\(features)->\(value_dim)" }
    package var multiplyAdds: Int { 6 * paths * batch * heads * tokens * features * value_dim }
    package var bytes: Int { 8 * batch * heads * tokens * (features + value_dim) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_bidirectional_scan_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_bidirectional_scan_f32(context, $0, scratch) }
    }
}

extension ck_causal_scan_args: KernelCall {
    package var kind: KernelKind { .attention }
    package var shape: String { "causal \(batch)x\(heads)x\(tokens)x\(features)->\(value_dim)" }
    package var multiplyAdds: Int { 3 * batch * heads * tokens * features * value_dim }
    package var bytes: Int { 4 * batch * heads * tokens * ((gate == nil ? 2 : 3) * features + 2 * value_dim) }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_causal_scan_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_causal_scan_f32(context, $0, scratch) }
    }
}
