import Foundation
import ZooCore
import ZooIO
import ZooImage

/// A folder of generated images, one PNG file each: `000000.png`, `000001.png`, ... A record beside them says how they
/// were made, so that no run adds other images to them.
public struct SampleFolder {
    /// The record's file name.
    public static let recordName = "generation.json"

    private let path: String

    /// Opens the folder, or makes it.
    ///
    /// - Parameter parameters: of the run.
    /// - Throws: `ZooError` of kind `cannotCreate`; of kind `usage` if the folder holds images made otherwise, and which
    ///   parameter differs, or numbered images without a record.
    public init(_ path: String, parameters: [String: String]) throws {
        self.path = path
        try Self.create(path)
        let record = "\(path)/\(Self.recordName)"
        guard let data = FileManager.default.contents(atPath: record) else {
            if let image = Self.images(in: path).first {
                throw ZooError(
                    .usage, "the folder has numbered images but no record of how they were made",
                    file: "\(path)/\(image)", expected: "an empty folder, or \(Self.recordName)")
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let text = try encoder.encode(parameters)
            try AtomicFile.write(to: record) { try $0.write(text + Data("\n".utf8)) }
            return
        }
        guard let earlier = try? JSONDecoder().decode([String: String].self, from: data) else {
            throw ZooError(.badData, "not a record of generated images", file: record)
        }
        let names = Set(earlier.keys).union(parameters.keys).sorted()
        guard let name = names.first(where: { earlier[$0] != parameters[$0] }) else { return }
        throw ZooError(
            .usage, "the folder has images that were made with other parameters", file: path, at: name,
            expected: earlier[name] ?? "none", found: parameters[name] ?? "none")
    }

    /// Makes a folder unless there is one.
    ///
    /// - Throws: `ZooError` of kind `cannotCreate`.
    public static func create(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw ZooError(.cannotCreate, "the folder cannot be created", file: path)
        }
        guard access(path, W_OK) == 0 else { throw ZooError(.cannotCreate, "the folder is not writable", file: path) }
    }

    /// `000007.png`
    public static func name(_ number: Int, digits: Int = 6) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text + ".png"
    }

    /// Whether an image is there; it is complete then.
    public func has(_ number: Int) -> Bool { FileManager.default.fileExists(atPath: file(number)) }

    /// Reads an image back.
    ///
    /// - Throws: `ZooError` that names the file if it is damaged or an image of another size.
    public func read(_ number: Int, height: Int, width: Int) throws -> RGBImage {
        let path = file(number)
        let decoded = try ImageDecoder.decode(file: path, limits: ResourceLimits())
        if case .warned(let error) = decoded.status { throw error }
        let image = decoded.image
        guard (image.height, image.width) == (height, width) else {
            throw ZooError(
                .badData, "not an image of this run", file: path, expected: "\(height)x\(width) pixels",
                found: "\(image.height)x\(image.width)")
        }
        return image
    }

    /// Removes the images and the record of a folder, and the folder if nothing else is in it.
    public static func remove(_ path: String) {
        for name in images(in: path) + [recordName] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    /// Whether a folder has no images and no record.
    static func isFree(_ path: String) -> Bool {
        images(in: path).isEmpty && !FileManager.default.fileExists(atPath: "\(path)/\(recordName)")
    }

    private static func images(in path: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter(isImage)
    }

    private static func isImage(_ name: String) -> Bool {
        name.hasSuffix(".png") && name.dropLast(4).allSatisfy(\.isWholeNumber)
    }

    /// Whether a name is that of an image or of the record, so that no other file of a folder may have it.
    public static func isOwn(_ name: String) -> Bool { name == recordName || isImage(name) }

    private func file(_ number: Int) -> String { "\(path)/\(Self.name(number))" }

    /// Writes an image, complete or not at all.
    public func write(_ image: RGBImage, _ number: Int, text: [ImageEncoder.Text]) throws {
        let bytes = try ImageEncoder.png(image, text: text)
        try AtomicFile.write(to: file(number)) { try $0.write(bytes) }
    }
}
