import CKernels

extension ck_fewhead_args: KernelCall {
    package var kind: KernelKind { .attention }

    package var shape: String {
        let branch = weight == nil ? "" : " k\(kernel)x\(kernel) on \(height)x\(width)"
        return "lit \(attention.batch)x\(attention.heads)x\(attention.tokens)x\(attention.head_dim)" + branch
    }

    package var multiplyAdds: Int {
        attention.batch * attention.heads * attention.tokens * attention.head_dim
            * (2 * attention.head_dim + (weight == nil ? 0 : kernel * kernel))
    }

    package var bytes: Int {
        16 * attention.batch * attention.heads * attention.tokens * attention.head_dim
    }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_fewhead_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_fewhead_f32(context, $0, scratch) }
    }
}

extension ck_scattered_args: KernelCall {
    package var kind: KernelKind { .attention }
    package var shape: String { "sla \(rows) rows in \(group_count) groups, \(heads)x\(head_dim)" }
    package var multiplyAdds: Int { 2 * rows * heads * head_dim * head_dim }
    package var bytes: Int { 16 * rows * heads * head_dim }

    package func scratch(_ context: UnsafePointer<ck_context>) -> Int {
        withUnsafePointer(to: self) { ck_scattered_scratch(context, $0) }
    }

    package func callAsFunction(
        _ context: UnsafePointer<ck_context>, scratch: UnsafeMutableRawPointer
    ) -> ck_status {
        withUnsafePointer(to: self) { ck_scattered_f32(context, $0, scratch) }
    }
}
