import CKernels
import ZooCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The attention matrix that an operator applies in effect, whatever its formula: the outputs of a core are linear in
/// its values, so the weight that query i gives to key j is what it answers when value j is one and all others zero.
///
/// A head of dimension d takes d such unit values at a time, so N keys need ceil(N / d) runs of the core. Local terms
/// and gates are left out, and so is what windows see of the padding around the grid.
package struct EffectiveAttention {
    /// Which query's weights are kept.
    package enum Query: Sendable, Equatable {
        case token(Int)
        /// The mean over all queries.
        case mean
    }

    /// What gives the weights.
    package enum Core: Sendable {
        case attention(AttentionCore)
        case linear(LinearAttention)
    }

    /// An attention of a network: its core and what that is given.
    package struct Source {
        package let core: Core
        fileprivate let arguments: ck_attention_args

        package init(_ call: AttentionCall) {
            core = .attention(call.core)
            arguments = call.arguments
        }

        /// `nil` unless the heads lie side by side, with as many features as values.
        package init?(_ call: ck_linear_attention_args) {
            let strides = [call.q_strides, call.k_strides, call.v_strides]
            guard call.features == call.value_dim, call.heads == 1 || strides.allSatisfy({ $0.head == call.features })
            else { return nil }
            core = .linear(LinearAttention(of: call))
            var arguments = ck_attention_args()
            (arguments.batch, arguments.heads, arguments.head_dim) = (call.batch, call.heads, call.features)
            (arguments.tokens, arguments.key_tokens) = (call.tokens, call.key_tokens)
            (arguments.q, arguments.q_stride) = (call.q, call.q_strides.row)
            (arguments.k, arguments.k_stride) = (call.k, call.k_strides.row)
            (arguments.v, arguments.v_stride) = (call.v, call.v_strides.row)
            self.arguments = arguments
        }

        /// `nil` for a call that cannot be unrolled.
        fileprivate init?(_ call: some KernelCall) {
            switch call {
            case let call as AttentionCall: self.init(call)
            case let call as ck_linear_attention_args: self.init(call)
            default: return nil
            }
        }
    }

    /// What changes in the block before its attention is unrolled.
    package struct Change: Sendable {
        /// Another core on the same queries and keys; `nil` for the block's own.
        package var core: Core?
        /// Multiplied into the queries.
        package var queryScale: Float = 1

        package init() {}
    }

    /// One head.
    package struct Head: Sendable {
        /// The weights of the chosen query for every key.
        package let weights: [Float]
        /// Of every query, in order.
        package let rows: [Row]
    }

    /// One row of the matrix in numbers.
    package struct Row: Sendable, Equatable {
        /// The sum of the weights.
        package var sum = 0.0
        /// The sum of their magnitudes.
        package var magnitude = 0.0
        /// The magnitude of the negative ones.
        package var negative = 0.0
        /// The sum of `|a| log |a|`.
        fileprivate var logarithmic = 0.0

        fileprivate init() {}

        package init(_ weights: [Float]) {
            for weight in weights { add(weight) }
        }

        fileprivate mutating func add(_ weight: Float) {
            let size = Double(abs(weight))
            sum += Double(weight)
            magnitude += size
            if weight < 0 { negative += size }
            if size > 0 { logarithmic += size * log(size) }
        }

        /// Shannon's entropy in nats of the magnitudes, normalised to sum to one; 0 for a row of zeros.
        package var entropy: Double {
            magnitude > 0 ? max(0, log(magnitude) - logarithmic / magnitude) : 0
        }

        /// The share of the magnitude that is negative.
        package var negativeShare: Double { magnitude > 0 ? negative / magnitude : 0 }
    }

    /// The cores that take the same arguments, so that one can stand in for another.
    package static let interchangeable: [Core] =
        ([.softmax, .rala, .mala] + InLineKernel.allCases.map { .inline($0) }).map { .attention($0) }
        + [.linear(.l2vit())]

    /// The core that was unrolled.
    package let core: Core
    /// Queries; with windows those of the whole grid.
    package let tokens: Int
    /// Keys, likewise.
    package let keyTokens: Int
    package let headDim: Int
    package let heads: [Head]
    /// The queries (scaled as asked for), keys and values of the block, [tokens, heads * headDim] each.
    package let queries: [Float]
    package let keys: [Float]
    package let values: [Float]

    /// Unrolls the first batch element of an attention.
    ///
    /// - Precondition: another core than the attention's takes its arguments: see `AttentionProbe.Block.isPlain`.
    /// - Parameter runtime: unobserved meanwhile.
    package init(of source: Source, query: Query, change: Change = Change(), on runtime: Runtime) {
        var arguments = source.arguments
        var windows = arguments.windows?.pointee
        windows?.outside_value = nil
        let tokens = windows.map { $0.height * $0.width } ?? arguments.tokens
        let keyTokens = windows.map { $0.height * $0.width } ?? arguments.key_tokens
        let (heads, headDim) = (arguments.heads, arguments.head_dim)
        let channels = heads * headDim
        let observer = runtime.observer
        runtime.observer = nil
        defer { runtime.observer = observer }
        core = change.core ?? source.core
        queries = Self.copy(arguments.q, arguments.q_stride, tokens, channels).map { $0 * change.queryScale }
        keys = Self.copy(arguments.k, arguments.k_stride, keyTokens, channels)
        values = Self.copy(arguments.v, arguments.v_stride, keyTokens, channels)
        self.tokens = tokens
        self.keyTokens = keyTokens
        if !core.takesRotation { arguments.rope = nil }
        self.headDim = headDim
        var rows = [[Row]](repeating: [Row](repeating: Row(), count: tokens), count: heads)
        var weights = [[Double]](repeating: [Double](repeating: 0, count: keyTokens), count: heads)
        let (core, queries) = (core, queries)
        queries.withUnsafeBufferPointer { queries in
            runtime.workspace.scope {
                let units = runtime.workspace.floats(keyTokens * channels)
                let output = runtime.workspace.floats(tokens * channels)
                units.update(repeating: 0, count: keyTokens * channels)
                arguments.batch = 1
                arguments.q = queries.baseAddress
                arguments.q_stride = channels
                arguments.v = UnsafePointer(units)
                arguments.v_stride = channels
                arguments.local = nil
                arguments.gate = nil
                arguments.out = output
                arguments.out_stride = channels
                for first in stride(from: 0, to: keyTokens, by: headDim) {
                    let count = min(headDim, keyTokens - first)
                    Self.setUnits(units, to: 1, first..<first + count, heads: heads, headDim: headDim)
                    Self.run(core, arguments, windows, on: runtime)
                    Self.setUnits(units, to: 0, first..<first + count, heads: heads, headDim: headDim)
                    for head in 0..<heads {
                        for token in 0..<tokens {
                            let answers = output + token * channels + head * headDim
                            for t in 0..<count { rows[head][token].add(answers[t]) }
                            guard query == .mean || query == .token(token) else { continue }
                            for t in 0..<count { weights[head][first + t] += Double(answers[t]) }
                        }
                    }
                }
            }
        }
        let divisor = query == .mean ? Double(tokens) : 1
        self.heads = (0..<heads).map { head in
            Head(weights: weights[head].map { Float($0 / divisor) }, rows: rows[head])
        }
    }

    private static func run(
        _ core: Core, _ arguments: ck_attention_args, _ windows: ck_windows?, on runtime: Runtime
    ) {
        switch core {
        case .linear(let mixer): mixer(Projections(arguments), into: HeadMap(arguments), on: runtime)
        case .attention(let core):
            var arguments = arguments
            guard let windows else {
                return runtime.run(AttentionCall(core: core, arguments: arguments), in: "effective attention")
            }
            withUnsafePointer(to: windows) { windows in
                arguments.windows = windows
                runtime.run(AttentionCall(core: core, arguments: arguments), in: "effective attention")
            }
        }
    }

    private static func copy(
        _ base: UnsafePointer<Float>, _ stride: Int, _ rows: Int, _ columns: Int
    ) -> [Float] {
        (0..<rows).flatMap { UnsafeBufferPointer(start: base + $0 * stride, count: columns) }
    }

    /// Channel t of every head carries the value of token `tokens.lowerBound + t`.
    private static func setUnits(
        _ values: UnsafeMutablePointer<Float>, to value: Float, _ tokens: Range<Int>, heads: Int, headDim: Int
    ) {
        for (t, token) in tokens.enumerated() {
            for head in 0..<heads { values[(token * heads + head) * headDim + t] = value }
        }
    }
}

extension EffectiveAttention.Core: CustomStringConvertible {
    /// InLine and linear attention take no rotation.
    fileprivate var takesRotation: Bool {
        switch self {
        case .attention(.inline), .linear: false
        case .attention: true
        }
    }

    package var description: String {
        switch self {
        case .attention(let core): "\(core)"
        case .linear(let mixer): mixer.isL2ViT ? "l2vit" : "linear"
        }
    }
}

extension HeadMap {
    fileprivate init(
        rowsAt base: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, of arguments: ck_attention_args
    ) {
        let map = FeatureMap(
            batch: 1, height: 1, width: tokens, channels: arguments.heads * arguments.head_dim, stride: stride,
            base: UnsafeMutablePointer(mutating: base))
        self.init(map, heads: arguments.heads)
    }

    /// The outputs of one image.
    fileprivate init(_ arguments: ck_attention_args) {
        self.init(rowsAt: arguments.out, arguments.out_stride, arguments.tokens, of: arguments)
    }
}

extension Projections {
    /// Those of one image.
    fileprivate init(_ arguments: ck_attention_args) {
        self.init(
            q: HeadMap(rowsAt: arguments.q, arguments.q_stride, arguments.tokens, of: arguments),
            k: HeadMap(rowsAt: arguments.k, arguments.k_stride, arguments.key_tokens, of: arguments),
            v: HeadMap(rowsAt: arguments.v, arguments.v_stride, arguments.key_tokens, of: arguments))
    }
}

/// Watches a forward pass for its attention cores, and unrolls one of them.
package final class AttentionProbe: KernelObserver {
    /// An attention core of a network, in the order of computation.
    package struct Block: Sendable {
        /// Operator and sizes, as profiles show them.
        package let shape: String
        /// Queries of one image; `nil` for a core that cannot be unrolled.
        package let tokens: Int?
        /// Keys of one image, likewise.
        package let keyTokens: Int?
        /// The token grid of windows or a rotary position embedding, where there is one.
        package let grid: (height: Int, width: Int)?
        /// Whether queries and keys are rotated by their place in the grid.
        package let isRotated: Bool
        /// Whether any core takes the arguments: no windows, no bias, as many keys as queries.
        package let isPlain: Bool
    }

    /// The cores seen so far.
    package private(set) var blocks: [Block] = []
    /// What the chosen block looks at.
    package private(set) var result: EffectiveAttention?
    private let chosen: (block: Int, query: EffectiveAttention.Query, change: EffectiveAttention.Change)?
    private unowned let runtime: Runtime

    /// - Parameter chosen: the block to unroll; `nil` only lists blocks.
    package init(
        unrolling chosen: (block: Int, query: EffectiveAttention.Query, change: EffectiveAttention.Change)? = nil,
        on runtime: Runtime
    ) {
        self.chosen = chosen
        self.runtime = runtime
    }

    package func observe(_ call: some KernelCall, layer: String, nanoseconds: UInt64) {
        guard call.kind == .attention else { return }
        let source = EffectiveAttention.Source(call)
        if let chosen, chosen.block == blocks.count, let source {
            result = EffectiveAttention(of: source, query: chosen.query, change: chosen.change, on: runtime)
        }
        blocks.append(Block(source?.arguments, shape: call.shape))
    }
}

extension AttentionProbe.Block {
    fileprivate init(_ arguments: ck_attention_args?, shape: String) {
        let windows = (arguments?.windows?.pointee).map { (height: $0.height, width: $0.width) }
        let rope = (arguments?.rope?.pointee).map { (height: $0.height, width: $0.width) }
        let cells = windows.map { $0.height * $0.width }
        self.shape = shape
        tokens = cells ?? arguments?.tokens
        keyTokens = cells ?? arguments?.key_tokens
        grid = windows ?? rope
        isRotated = rope != nil
        isPlain = windows == nil && arguments?.bias == nil && arguments?.tokens == arguments?.key_tokens
    }
}
