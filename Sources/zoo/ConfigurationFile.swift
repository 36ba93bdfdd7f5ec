import Foundation
import ZooCore
import ZooNN

/// A `--config` file: JSON with a network's hyper-parameters at the top level or under the key `config`.
struct ConfigurationFile {
    let path: String
    let hyperparameters: Hyperparameters

    /// - Throws: `ZooError` of kind `missingInput`, or `badData` that names the file.
    init(path: String) throws {
        self.path = path
        let data = try Self.read(path)
        let value: Value
        do {
            value = try JSONDecoder().decode(Value.self, from: data)
        } catch {
            throw ZooError(.badData, "not a readable JSON file: \(Self.explain(error))", file: path)
        }
        guard case .object(let top) = value.value else {
            throw ZooError(.badData, "not a configuration", file: path, expected: "a JSON object")
        }
        guard let nested = top["config"] else {
            hyperparameters = Hyperparameters(top)
            return
        }
        guard case .object(let config) = nested else {
            throw ZooError(.badData, "not a configuration", file: path, at: "config", expected: "a JSON object")
        }
        hyperparameters = Hyperparameters(config)
    }

    /// A configuration is a few hundred bytes; reading a checkpoint by mistake must not take its size in memory.
    private static let maximumBytes = 1 << 20

    private static func read(_ path: String) throws -> Data {
        let handle: FileHandle
        do {
            handle = try FileHandle(forReadingFrom: URL(filePath: path))
        } catch {
            throw ZooError(.missingInput, "cannot be opened", file: path)
        }
        defer { try? handle.close() }
        let data: Data
        do {
            data = try handle.read(upToCount: maximumBytes + 1) ?? Data()
        } catch {
            throw ZooError(.inputOutput, "cannot be read", file: path)
        }
        guard data.count <= maximumBytes else {
            throw ZooError(.badData, "too large for a configuration", file: path, expected: "at most 1 MiB")
        }
        return data
    }

    private static func explain(_ error: Error) -> String {
        guard case .dataCorrupted(let context) = error as? DecodingError else { return "unexpected content" }
        let cause = (context.underlyingError as NSError?)?.userInfo[NSDebugDescriptionErrorKey] as? String
        return cause ?? context.debugDescription
    }

    /// A JSON value as `Hyperparameters` takes it.
    private struct Value: Decodable {
        let value: Hyperparameters.Value

        init(from decoder: Decoder) throws {
            guard decoder.codingPath.count <= 16 else {
                throw DecodingError.dataCorrupted(
                    .init(codingPath: decoder.codingPath, debugDescription: "nested too deeply"))
            }
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                value = .null
            } else if let flag = try? container.decode(Bool.self) {
                value = .bool(flag)
            } else if let number = try? container.decode(Double.self) {
                value = .number(number)
            } else if let text = try? container.decode(String.self) {
                value = .text(text)
            } else if var list = try? decoder.unkeyedContainer() {
                var values: [Hyperparameters.Value] = []
                while !list.isAtEnd { values.append(try list.decode(Value.self).value) }
                value = .list(values)
            } else {
                value = .object(try container.decode([String: Value].self).mapValues(\.value))
            }
        }
    }
}
