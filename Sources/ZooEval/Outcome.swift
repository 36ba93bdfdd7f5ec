import Glibc

/// How far an image got on its way to the model.
public enum DecodingStatus: String, Codable, Sendable, CaseIterable {
    /// Decoded without complaint.
    case ok
    /// Decoded and scored, but the decoder complained: truncated or corrupt data.
    case warned
    /// Not decoded.
    case failed
}

/// What became of one image of an evaluation.
public struct ImageOutcome: Codable, Sendable, Equatable {
    /// The position in the order of evaluation.
    public let index: Int
    public let status: DecodingStatus
    /// Why the status is not `ok`.
    public let problem: String?
    /// The model's class that is right.
    public let label: Int
    /// The five best classes, best first; empty if the image failed.
    public let top: [Int]
    /// How many classes score higher than the right one; `nil` if the image failed.
    public let rank: Int?
    /// Cross-entropy of the right class in nats; `nil` if the image failed or a logit is not finite.
    public let loss: Double?

    package init(
        index: Int, status: DecodingStatus, problem: String?, label: Int, top: [Int], rank: Int?, loss: Double?
    ) {
        self.index = index
        self.status = status
        self.problem = problem
        self.label = label
        self.top = top
        self.rank = rank
        self.loss = loss
    }
}

/// A model's answer to one image, held against the right class.
package struct Score: Equatable {
    package let top: [Int]
    package let rank: Int
    package let loss: Double?

    /// Scores `logits` among the classes `candidates`, `nil` for all.
    ///
    /// Ties go to the lower index and NaN counts as the largest value, as in `torch.topk`. The loss is
    /// `log(sum(exp(logit))) - logit[label]` in float64.
    package init(_ logits: UnsafeBufferPointer<Float>, label: Int, among candidates: [Int]? = nil) {
        var top: [Int] = []
        var rank = 0
        var largest = -Double.infinity
        var isFinite = true
        func visit(_ index: Int) {
            let place = top.firstIndex { precedes(index, $0, logits) } ?? top.count
            if place < 5 {
                if top.count == 5 { top.removeLast() }
                top.insert(index, at: place)
            }
            if index != label, precedes(index, label, logits) { rank += 1 }
            largest = Swift.max(largest, Double(logits[index]))
            isFinite = isFinite && logits[index].isFinite
        }
        var sum = 0.0
        if let candidates {
            candidates.forEach(visit)
            for index in candidates { sum += exp(Double(logits[index]) - largest) }
        } else {
            logits.indices.forEach(visit)
            for logit in logits { sum += exp(Double(logit) - largest) }
        }
        self.top = top
        self.rank = rank
        loss = isFinite ? log(sum) + largest - Double(logits[label]) : nil
    }
}

/// Whether class `a` ranks before class `b`.
func precedes(_ a: Int, _ b: Int, _ logits: UnsafeBufferPointer<Float>) -> Bool {
    let x = logits[a]
    let y = logits[b]
    if x.isNaN || y.isNaN { return x.isNaN && (!y.isNaN || a < b) }
    return x > y || (x == y && a < b)
}
