import ZooCore
import ZooDatasets

/// An image on the command line: a file, or `sample:NAME` for one that ships with the program.
enum ImageArgument {
    static let help = "An image file, or sample:NAME for an embedded one such as sample:chelsea.png."

    /// Calls `body` with the compressed bytes; its errors get the image's name.
    static func withBytes<R>(
        of argument: String, limits: ResourceLimits, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        do {
            if argument.hasPrefix(EmbeddedSample.scheme) {
                return try EmbeddedSample.withBytes(
                    named: String(argument.dropFirst(EmbeddedSample.scheme.count)), body)
            }
            return try withFile(argument, limit: limits.maxFileBytes, body)
        } catch let error as ZooError {
            throw error.naming(file: argument)
        }
    }
}
