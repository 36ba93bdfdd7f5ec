import ZooCore

/// Stands for a `ZooError` of kind `usage`.
struct ZooErrorOfUsage: Error {}

/// Turns a usage error into `ZooErrorOfUsage`; every other error passes.
func asUsage<R>(_ body: () throws -> R) throws -> R {
    do {
        return try body()
    } catch let error as ZooError where error.kind == .usage {
        throw ZooErrorOfUsage()
    }
}
