/// A network of the catalogue, whatever its task. Immutable, and safe to share between threads.
public protocol Network: Sendable {}
