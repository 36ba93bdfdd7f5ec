import Glibc
import ZooCore

/// The accuracies of two results on the same images, image by image.
public struct PairedAccuracy: Codable, Sendable, Equatable {
    /// Images that count in both results.
    public let images: Int
    public let bothRight: Int
    public let onlyA: Int
    public let onlyB: Int
    public let bothWrong: Int
    /// B's accuracy minus A's in percentage points.
    public let difference: Double
    /// The ends of its 95 % interval.
    public let interval: [Double]
    /// Two-sided, of McNemar's exact test: would two equally good models differ this much on these images?
    public let p: Double

    /// What the test says of B.
    public enum Verdict: String, Codable, Sendable {
        case better = "B is more accurate"
        case worse = "B is less accurate"
        case undecided = "no significant difference"
    }

    /// McNemar's exact test decides, not the interval: they come from different approximations, and near the border of
    /// significance one may see a difference where the other doesn't.
    public func verdict(level: Double) -> Verdict {
        guard p < level else { return .undecided }
        return difference > 0 ? .better : .worse
    }

    /// Whether the interval, taken for a test, would see a difference.
    public var intervalExcludesZero: Bool { interval[0] > 0 || interval[1] < 0 }

    /// - Parameters:
    ///   - a, b: as many images in both.
    ///   - k: an image is right if its class is among the `k` best.
    ///   - skipsFailed: leaves out images that could not be decoded in one of the results.
    public init(_ a: PerImage, _ b: PerImage, top k: Int, skipsFailed: Bool) {
        precondition(a.count == b.count, "results on other images")
        var counts = [0, 0, 0, 0]
        for index in 0..<a.count where !skipsFailed || !(a.isFailed(index) || b.isFailed(index)) {
            counts[(a.isRight(index, top: k) ? 2 : 0) + (b.isRight(index, top: k) ? 1 : 0)] += 1
        }
        self.init(bothRight: counts[3], onlyA: counts[2], onlyB: counts[1], bothWrong: counts[0])
    }

    package init(bothRight: Int, onlyA: Int, onlyB: Int, bothWrong: Int) {
        images = bothRight + onlyA + onlyB + bothWrong
        self.bothRight = bothRight
        self.onlyA = onlyA
        self.onlyB = onlyB
        self.bothWrong = bothWrong
        difference = images > 0 ? 100 * Double(onlyB - onlyA) / Double(images) : 0
        interval = Self.interval(bothRight, onlyA, onlyB, bothWrong)
        p = Self.mcNemar(onlyA, onlyB)
    }

    /// Twice the probability of at most `min(b, c)` heads among `b + c` tosses of a fair coin.
    private static func mcNemar(_ b: Int, _ c: Int) -> Double {
        let (n, k) = (Double(b + c), min(b, c))
        guard b != c else { return 1 }
        var term = exp(lgamma(n + 1) - lgamma(Double(k) + 1) - lgamma(n - Double(k) + 1) - n * log(2))
        var sum = 0.0
        for i in stride(from: k, through: 0, by: -1) {
            sum += term
            term *= Double(i) / (n - Double(i) + 1)
        }
        return min(1, 2 * sum)
    }

    /// Newcombe's interval for the difference of paired proportions (Statistics in Medicine 17, 1998, method 10):
    /// Wilson's intervals of the two, combined by their correlation. In percentage points.
    private static func interval(_ bothRight: Int, _ onlyA: Int, _ onlyB: Int, _ bothWrong: Int) -> [Double] {
        let n = bothRight + onlyA + onlyB + bothWrong
        let (a, b) = (
            Proportion(count: bothRight + onlyA, total: n), Proportion(count: bothRight + onlyB, total: n)
        )
        guard let x = a.percent, let y = b.percent, let wilsonA = a.wilson95, let wilsonB = b.wilson95 else {
            return [0, 0]
        }
        let sides = Double(a.count) * Double(n - a.count) * Double(b.count) * Double(n - b.count)
        let excess = Double(bothRight) * Double(bothWrong) - Double(onlyA) * Double(onlyB)
        let corrected = excess > 0 ? max(excess - Double(n) / 2, 0) : excess
        let correlation = sides > 0 ? corrected / sides.squareRoot() : 0
        func distance(_ u: Double, _ v: Double) -> Double {
            max(0, u * u - 2 * correlation * u * v + v * v).squareRoot()
        }
        return [
            y - x - distance(y - wilsonB.lowerBound, wilsonA.upperBound - x),
            y - x + distance(wilsonB.upperBound - y, x - wilsonA.lowerBound),
        ]
    }
}

/// Two results on the same images of the same dataset.
public struct ResultPair: Sendable {
    public let a: EvaluationReport
    public let b: EvaluationReport
    public let top1: PairedAccuracy
    public let top5: PairedAccuracy
    /// What makes times and memory incomparable, in words; empty on the same machine with the same settings.
    public let differences: [String]

    /// - Throws: `ZooError` of kind `badData` if the results are not on the same images, or count them differently.
    public init(_ a: EvaluationReport, _ b: EvaluationReport, files: (a: String, b: String)) throws(ZooError) {
        func require(_ x: String, _ y: String, _ problem: String) throws(ZooError) {
            guard x == y else {
                throw ZooError(
                    .badData, "\(problem) than in \(files.a)", file: files.b, expected: x, found: y,
                    code: "compare.other-run")
            }
        }
        func dataset(_ report: EvaluationReport) -> String {
            "\(report.dataset.name), fingerprint \(report.dataset.fingerprint.prefix(16))"
        }
        if a.dataset.fingerprint != b.dataset.fingerprint {
            try require(dataset(a), dataset(b), "measured on another dataset")
        }
        try require("\(a.perImage.count)", "\(b.perImage.count)", "measured on another number of images")
        try require(a.fingerprint["among"] ?? "", b.fingerprint["among"] ?? "", "answers chosen among other classes")
        try require(a.results.onBadImage, b.results.onBadImage, "bad images count otherwise")
        self.a = a
        self.b = b
        let skips = a.results.onBadImage == BadImagePolicy.skip.rawValue
        top1 = PairedAccuracy(a.perImage, b.perImage, top: 1, skipsFailed: skips)
        top5 = PairedAccuracy(a.perImage, b.perImage, top: 5, skipsFailed: skips)
        let (x, y) = (a.environment, b.environment)
        let settings: [(String, String, String)] = [
            ("processor", x.cpu, y.cpu), ("system", x.system, y.system), ("zoo", x.zoo, y.zoo),
            ("instruction set", x.instructionSet ?? "", y.instructionSet ?? ""),
            ("precision", a.precision.rawValue, b.precision.rawValue),
            ("threads", "\(x.threads ?? 0)", "\(y.threads ?? 0)"),
            ("decoding threads", "\(x.decodeThreads ?? 0)", "\(y.decodeThreads ?? 0)"),
        ]
        differences = settings.filter { $0.1 != $0.2 }.map { "\($0.0): \($0.1) and \($0.2)" }
    }
}

extension EvaluationReport {
    fileprivate var perImage: PerImage { results.perImage }
}
