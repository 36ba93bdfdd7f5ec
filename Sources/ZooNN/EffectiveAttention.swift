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

    /// What changes in the block before its attention is unrolled.
    package struct Change: Sendable {
        /// Another core on the same queries and keys; `nil` for the block's own.
        package var core: AttentionCore?
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
    package static let interchangeable: [AttentionCore] =
        [.softmax, .rala, .mala] + InLineKernel.allCases.map { .inline($0) }

    /// The core that was unrolled.
    package let core: AttentionCore
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

    /// Unrolls the first batch element of a call.
    ///
    /// - Precondition: another core than the call's takes its arguments: see `AttentionProbe.Block.isPlain`.
    /// - Parameter runtime: unobserved meanwhile.
    package init(of call: AttentionCall, query: Query, change: Change = Change(), on runtime: Runtime) {
        var arguments = call.arguments
        var windows = arguments.windows?.pointee
        windows?.outside_value = nil
        let tokens = windows.map { $0.height * $0.width } ?? arguments.tokens
        let keyTokens = windows.map { $0.height * $0.width } ?? arguments.key_tokens
        let (heads, headDim) = (arguments.heads, arguments.head_dim)
        let channels = heads * headDim
        let observer = runtime.observer
        runtime.observer = nil
        defer { runtime.observer = observer }
        core = change.core ?? call.core
        queries = Self.copy(arguments.q, arguments.q_stride, tokens, channels).map { $0 * change.queryScale }
        keys = Self.copy(arguments.k, arguments.k_stride, keyTokens, channels)
        values = Self.copy(arguments.v, arguments.v_stride, keyTokens, channels)
        self.tokens = tokens
        self.keyTokens = keyTokens
        // InLine attention takes no rotation.
        if case .inline = core { arguments.rope = nil }
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
        _ core: AttentionCore, _ arguments: ck_attention_args, _ windows: ck_windows?, on runtime: Runtime
    ) {
        var arguments = arguments
        guard let windows else {
            return runtime.run(AttentionCall(core: core, arguments: arguments), in: "effective attention")
        }
        withUnsafePointer(to: windows) { windows in
            arguments.windows = windows
            runtime.run(AttentionCall(core: core, arguments: arguments), in: "effective attention")
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
        let attention = call as? AttentionCall
        if let chosen, chosen.block == blocks.count, let attention {
            result = EffectiveAttention(of: attention, query: chosen.query, change: chosen.change, on: runtime)
        }
        blocks.append(Block(attention?.arguments, shape: call.shape))
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
