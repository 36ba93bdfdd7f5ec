import Testing
import ZooCore
import ZooImage

/// A hand-made defective file and what the decoder must say to it.
struct Malformed: Sendable {
    enum Outcome: Sendable, Equatable, CustomStringConvertible {
        /// Thrown, with this defect's code.
        case rejected(ImageDefect)
        /// Decoded with a warning of this defect's code.
        case warned(ImageDefect)
        /// Decoded without complaint: the defect does not touch the pixels.
        case decoded

        var description: String {
            switch self {
            case .rejected(let defect): "rejected \(defect.rawValue)"
            case .warned(let defect): "warned \(defect.rawValue)"
            case .decoded: "decoded"
            }
        }
    }

    let name: String
    let bytes: [UInt8]
    let expected: Outcome

    /// What the decoder does with `bytes`; `nil` if it reports a code that is no `ImageDefect`.
    static func outcome(of bytes: [UInt8], limits: ResourceLimits = ResourceLimits()) throws -> Outcome? {
        do {
            switch try ImageDecoder.decode(bytes, limits: limits).status {
            case .ok: return .decoded
            case .warned(let error): return error.code.flatMap(ImageDefect.init).map(Outcome.warned)
            case .failed: return nil
            }
        } catch let error as ZooError {
            return error.code.flatMap(ImageDefect.init).map(Outcome.rejected)
        }
    }

    func check() throws {
        let outcome = try Malformed.outcome(of: bytes)
        #expect(outcome == expected, "\(name): \(outcome?.description ?? "no defect"), not \(expected)")
    }
}
