import CKernels

/// The implementations that a kernel can run on; `best` is what a `Runtime` takes unless told otherwise.
public enum InstructionSet: String, Sendable, CaseIterable {
    case ref, portable, avx2, avx512

    package var ck: ck_isa {
        switch self {
        case .ref: CK_ISA_REF
        case .portable: CK_ISA_PORTABLE
        case .avx2: CK_ISA_AVX2
        case .avx512: CK_ISA_AVX512
        }
    }

    /// Whether this machine can run it.
    public var isAvailable: Bool { ck_isa_available(ck) }

    /// The fastest one this machine can run.
    public static var best: InstructionSet { allCases.last { $0.isAvailable } ?? .ref }

    /// Those this machine can run, slowest first.
    public static var available: [InstructionSet] { allCases.filter(\.isAvailable) }

    /// - Throws: `ZooError` of kind `usage` for an unknown name, `unavailable` where this machine lacks it.
    public init(named name: String) throws(ZooError) {
        guard let value = InstructionSet(rawValue: name) else {
            throw ZooError(
                .usage, "unknown instruction set", expected: Self.allCases.map(\.rawValue).joined(separator: ", "),
                found: name)
        }
        guard value.isAvailable else {
            throw ZooError(
                .unavailable, "instruction set \(name) is not available on this machine",
                expected: "one of " + Self.available.map(\.rawValue).joined(separator: ", "), found: name)
        }
        self = value
    }
}

/// What computing needs besides the numbers: threads, an instruction set and reusable memory.
///
/// A runtime serves one forward pass at a time and is therefore not `Sendable`; a server makes one for each of its
/// workers. Models are immutable and shared by all of them. Several runtimes run side by side without knowing of each
/// other. Results do not depend on `threads`.
public final class Runtime {
    public let threads: Int
    public let instructionSet: InstructionSet
    /// Scratch memory, kept between forward passes so that the second one allocates nothing.
    package let workspace = Workspace()
    package let context: UnsafePointer<ck_context>
    /// When present, it sees and times every kernel call; when `nil`, that costs one comparison per call.
    package var observer: (any KernelObserver)?
    private let pool: OpaquePointer
    private var ropes: [RopeTable] = []
    private var tables: [WeightTable] = []

    /// - Parameters:
    ///   - threads: workers including the calling thread; `nil` takes `Processor.usableCores`.
    ///   - instructionSet: `nil` takes `ZOO_ISA` from the environment where set, else the best available.
    /// - Throws: `ZooError` of kind `usage` (thread count out of 1...1024, unknown instruction set or `ZOO_BF16`),
    ///   `unavailable` (instruction set; threads that can't be started).
    public init(threads: Int? = nil, instructionSet: InstructionSet? = nil) throws(ZooError) {
        let threads = threads ?? Processor.usableCores
        guard (1...1024).contains(threads) else {
            throw ZooError(.usage, "invalid thread count", expected: "1...1024", found: "\(threads)")
        }
        let chosen: InstructionSet
        if let instructionSet {
            chosen = try InstructionSet(named: instructionSet.rawValue)
        } else if let named = Processor.environment("ZOO_ISA"), !named.isEmpty {
            chosen = try InstructionSet(named: named)
        } else {
            chosen = .best
        }
        if let choice = Processor.environment("ZOO_BF16"), !choice.isEmpty, choice != "widen" {
            throw ZooError(.usage, "unknown choice of bf16 products", at: "ZOO_BF16", expected: "widen", found: choice)
        }
        var pool: OpaquePointer?
        let status = ck_pool_create(threads, &pool)
        guard status == CK_OK, let pool else {
            throw ZooError(
                .unavailable, "could not start \(threads) threads: \(String(cString: ck_status_name(status)))")
        }
        self.threads = threads
        self.instructionSet = chosen
        self.pool = pool
        let context = UnsafeMutablePointer<ck_context>.allocate(capacity: 1)
        context.initialize(to: ck_context(isa: chosen.ck, pool: pool))
        self.context = UnsafePointer(context)
    }

    deinit {
        ck_pool_destroy(pool)
        context.deallocate()
    }

    /// Rotary position tables for a token grid, computed once per grid and head dimension.
    ///
    /// - Precondition: `headDim` is a positive multiple of 4 and the grid is not empty; models check both at load.
    package func rope(height: Int, width: Int, headDim: Int) -> UnsafePointer<ck_rope> {
        for table in ropes where table.matches(height, width, headDim) { return table.rope }
        let table = RopeTable(height: height, width: width, headDim: headDim)
        ropes.append(table)
        return table.rope
    }

    /// A table made of weights for one grid, such as a resampled position embedding: filled at first use, then kept.
    ///
    /// - Parameter owner: whose table it is; kept alive with it.
    package func table(
        of owner: AnyObject, height: Int, width: Int, count: Int, fill: (UnsafeMutablePointer<Float>) -> Void
    ) -> UnsafePointer<Float> {
        for table in tables where table.owner === owner && table.height == height && table.width == width {
            return UnsafePointer(table.values)
        }
        let table = WeightTable(owner: owner, height: height, width: width, count: count)
        fill(table.values)
        tables.append(table)
        return UnsafePointer(table.values)
    }

    /// Runs a kernel: the one way by which layers reach C.
    ///
    /// - Parameter layer: for the observer; see there.
    package func run(_ call: some KernelCall, in layer: String) {
        let start = observer == nil ? 0 : MonotonicClock.nanoseconds
        workspace.scope {
            let scratch = workspace.floats((call.scratch(context) + 3) / 4)
            check(call(context, scratch: UnsafeMutableRawPointer(scratch)))
        }
        observer?.observe(call, layer: layer, nanoseconds: MonotonicClock.nanoseconds - start)
    }

    /// A kernel refuses only what a layer got wrong: shapes from outside are checked before a network runs.
    package func check(_ status: ck_status) {
        precondition(status == CK_OK, "kernel refused its arguments: \(String(cString: ck_status_name(status)))")
    }
}

/// What `Runtime.table` keeps.
private final class WeightTable {
    let owner: AnyObject
    let height: Int
    let width: Int
    let values: UnsafeMutablePointer<Float>

    init(owner: AnyObject, height: Int, width: Int, count: Int) {
        (self.owner, self.height, self.width) = (owner, height, width)
        values = .allocate(capacity: max(count, 1))
    }

    deinit { values.deallocate() }
}

/// The tables behind one `ck_rope`.
private final class RopeTable {
    private let tables: UnsafeMutablePointer<Float>
    private let storage: UnsafeMutablePointer<ck_rope>
    var rope: UnsafePointer<ck_rope> { UnsafePointer(storage) }

    init(height: Int, width: Int, headDim: Int) {
        tables = .allocate(capacity: ck_rope_count(height, width, headDim))
        storage = .allocate(capacity: 1)
        storage.initialize(to: ck_rope())
        let status = ck_rope_fill(height, width, headDim, tables, storage)
        precondition(status == CK_OK, "no rotary position embedding for \(height)x\(width), head dimension \(headDim)")
    }

    deinit {
        tables.deallocate()
        storage.deallocate()
    }

    func matches(_ height: Int, _ width: Int, _ headDim: Int) -> Bool {
        rope.pointee.height == height && rope.pointee.width == width && rope.pointee.head_dim == headDim
    }
}
