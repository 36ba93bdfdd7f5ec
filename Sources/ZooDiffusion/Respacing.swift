import ZooCore

/// Which of the training steps a sampling run visits.
///
/// Source: `diffusion/respace.py` of facebookresearch/DiT.
public struct Respacing: Sendable, Equatable {
    /// The chosen steps, ascending, each below the number of training steps.
    public let timesteps: [Int]

    /// Chooses steps as the official scripts do.
    ///
    /// - Parameters:
    ///   - text: empty for all steps; `ddimN` for every s-th step from 0 on, with the smallest stride that gives
    ///     exactly N; else numbers separated by commas, one for each of as many equal sections of the steps, such as
    ///     `250`.
    ///   - total: the number of training steps.
    /// - Throws: `ZooError` of kind `usage` where no such choice exists.
    public init(_ text: String, of total: Int = 1000) throws(ZooError) {
        if text.isEmpty {
            timesteps = Array(0..<total)
        } else if text.hasPrefix("ddim") {
            timesteps = try Self.strided(text.dropFirst(4), of: total)
        } else {
            timesteps = try Self.sectioned(text.split(separator: ",", omittingEmptySubsequences: false), of: total)
        }
    }

    private static func count(_ text: Substring, of total: Int) throws(ZooError) -> Int {
        guard let count = Int(text), (0...total).contains(count) else {
            throw ZooError(
                .usage, "not a number of sampling steps",
                expected: "at most \(total), or ddimN, or a list such as 10,20",
                found: String(text))
        }
        return count
    }

    private static func strided(_ text: Substring, of total: Int) throws(ZooError) -> [Int] {
        let wanted = try count(text, of: total)
        for stride in 1..<max(total, 2) where (total + stride - 1) / stride == wanted {
            return Array(Swift.stride(from: 0, to: total, by: stride))
        }
        throw ZooError(
            .usage, "no integer stride gives this number of steps", expected: "a number such as 10, 50 or 250",
            found: "ddim\(text)")
    }

    private static func sectioned(_ texts: [Substring], of total: Int) throws(ZooError) -> [Int] {
        guard texts.count <= total else {
            throw ZooError(.usage, "more sections than steps", expected: "at most \(total)", found: "\(texts.count)")
        }
        var chosen: [Int] = []
        var start = 0
        for (section, text) in texts.enumerated() {
            let count = try count(text, of: total)
            let size = total / texts.count + (section < total % texts.count ? 1 : 0)
            guard count <= size else {
                throw ZooError(
                    .usage, "a section of \(size) steps can't be divided into \(count)", expected: "at most \(size)",
                    found: "\(count)")
            }
            // A running float64 sum and rounding half to even, as the official code has it.
            let stride = count <= 1 ? 1 : Double(size - 1) / Double(count - 1)
            var position = 0.0
            for _ in 0..<count {
                chosen.append(start + Int(position.rounded(.toNearestOrEven)))
                position += stride
            }
            start += size
        }
        return chosen
    }
}
