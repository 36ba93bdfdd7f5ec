import Foundation
import Testing
import ZooCore
import ZooDatasets
import ZooEval
import ZooIO
import ZooModels

/// A result on the first `limit` of the digits.
func digitsReport(
    _ model: String = "ravlt-nano", weights: String? = nil, _ configure: (inout EvaluationOptions) -> Void = { _ in }
) throws -> EvaluationReport {
    var options = EvaluationOptions()
    configure(&options)
    let card = try Registry.card(named: model)
    let evaluation = try Evaluation(
        card: card, weights: WeightsResolver().resolve(card, weights: weights), dataset: DatasetCatalog.open("digits"),
        options: options)
    guard case .complete(let metrics, let timing) = try evaluation.run() else {
        throw ZooError(.interrupted, "not complete")
    }
    return EvaluationReport(evaluation, metrics, timing, commandLine: "zoo eval", details: true)
}

@Suite struct PairedAccuracyTests {
    /// Two-sided binomial tests with p = 1/2, as in R's binom.test.
    @Test(arguments: [
        (0, 0, 1.0), (4, 4, 1.0), (1, 0, 1.0), (0, 5, 0.0625), (6, 16, 0.0524790), (16, 6, 0.0524790),
        (9, 21, 0.0427739), (1, 9, 0.0214844), (20, 40, 0.0134893),
    ])
    func mcNemarIsTheExactBinomialTest(_ onlyA: Int, _ onlyB: Int, _ p: Double) {
        let paired = PairedAccuracy(bothRight: 100, onlyA: onlyA, onlyB: onlyB, bothWrong: 50)
        #expect(abs(paired.p - p) < 5e-7)
    }

    @Test func mcNemarStandsLargeCounts() {
        #expect(PairedAccuracy(bothRight: 0, onlyA: 25_000, onlyB: 25_000, bothWrong: 0).p == 1)
        let rare = PairedAccuracy(bothRight: 0, onlyA: 24_000, onlyB: 26_000, bothWrong: 0).p
        // The normal approximation: z = 1999 / sqrt(50000).
        #expect(abs(rare / erfc(1999 / 50_000.0.squareRoot() / 2.0.squareRoot()) - 1) < 0.02)
        #expect(PairedAccuracy(bothRight: 0, onlyA: 0, onlyB: 50_000, bothWrong: 0).p == 0)
    }

    /// Against the formulas in float64, with the first case of Newcombe's table mirrored (his difference is A - B).
    @Test(arguments: [
        ((20, 12, 2, 16), (-32.9206995, -5.6156425)), ((353, 4, 3, 0), (-2.0794982, 1.4547886)),
    ])
    func theIntervalIsNewcombes(_ counts: (Int, Int, Int, Int), _ ends: (Double, Double)) {
        let paired = PairedAccuracy(bothRight: counts.0, onlyA: counts.1, onlyB: counts.2, bothWrong: counts.3)
        #expect(abs(paired.interval[0] - ends.0) < 1e-4 && abs(paired.interval[1] - ends.1) < 1e-4)
    }

    /// Where the interval leaves 0 out and the test is not significant, the test decides.
    @Test func theVerdictIsThatOfTheTest() {
        let border = PairedAccuracy(bothRight: 200, onlyA: 6, onlyB: 16, bothWrong: 138)
        #expect(border.intervalExcludesZero && border.verdict(level: 0.05) == .undecided)
        #expect(border.verdict(level: 0.06) == .better)
        let mirrored = PairedAccuracy(bothRight: 200, onlyA: 16, onlyB: 6, bothWrong: 138)
        #expect(mirrored.intervalExcludesZero && mirrored.verdict(level: 0.06) == .worse)
        let equal = PairedAccuracy(bothRight: 200, onlyA: 6, onlyB: 6, bothWrong: 148)
        #expect(!equal.intervalExcludesZero && equal.verdict(level: 0.999) == .undecided)
    }

    @Test func theIntervalHoldsTheDifferenceAndIsMirrored() {
        for counts in [(20, 12, 2, 16), (353, 4, 3, 0), (0, 5, 5, 0), (40, 0, 0, 0), (0, 9, 0, 1)] {
            let paired = PairedAccuracy(
                bothRight: counts.0, onlyA: counts.1, onlyB: counts.2, bothWrong: counts.3)
            let mirrored = PairedAccuracy(
                bothRight: counts.0, onlyA: counts.2, onlyB: counts.1, bothWrong: counts.3)
            #expect(paired.interval[0] <= paired.difference && paired.difference <= paired.interval[1])
            #expect(abs(paired.interval[0] + mirrored.interval[1]) < 1e-9)
            #expect(paired.interval.allSatisfy { abs($0) <= 100 })
        }
    }

    /// Over many draws from known probabilities, close to 95 % of the intervals hold the true difference.
    @Test func theIntervalCoversTheTruth() {
        let shares = [0.7, 0.12, 0.08, 0.10]
        var covered = 0
        let (draws, images) = (2000, 200)
        let random = SeededSource.uniform("draws", shape: [draws, images]).values
        for draw in 0..<draws {
            var counts = [0, 0, 0, 0]
            for value in random[draw * images..<(draw + 1) * images] {
                var place = Double(value + 1) / 2
                let cell = shares.firstIndex { share in
                    place -= share
                    return place < 0
                }
                counts[cell ?? 3] += 1
            }
            let paired = PairedAccuracy(
                bothRight: counts[0], onlyA: counts[1], onlyB: counts[2], bothWrong: counts[3])
            if paired.interval[0] <= -4, -4 <= paired.interval[1] { covered += 1 }
        }
        #expect((0.93...0.98).contains(Double(covered) / Double(draws)))
    }

    @Test func imagesAreCountedByTheirRank() throws {
        let a = try JSONDecoder().decode(PerImage.self, from: Data("\"0014-x\"".utf8))
        let b = try JSONDecoder().decode(PerImage.self, from: Data("\"0100-0\"".utf8))
        let top1 = PairedAccuracy(a, b, top: 1, skipsFailed: false)
        #expect((top1.bothRight, top1.onlyA, top1.onlyB, top1.bothWrong) == (1, 1, 3, 1))
        let top5 = PairedAccuracy(a, b, top: 5, skipsFailed: true)
        #expect((top5.bothRight, top5.onlyA, top5.onlyB, top5.bothWrong) == (4, 0, 0, 1))
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(PerImage.self, from: Data("\"05\"".utf8)) }
    }
}

@Suite struct ResultPairTests {
    private func failure(_ a: EvaluationReport, _ b: EvaluationReport) -> ZooError? {
        do {
            _ = try ResultPair(a, b, files: ("a.json", "b.json"))
            return nil
        } catch { return error }
    }

    @Test func accuraciesAgreeWithTheReports() throws {
        let (a, b) = (try digitsReport(), try digitsReport("mavit-nano"))
        let pair = try ResultPair(a, b, files: ("a", "b"))
        #expect(pair.top1.bothRight + pair.top1.onlyA == a.results.top1Correct)
        #expect(pair.top1.bothRight + pair.top1.onlyB == b.results.top1Correct)
        #expect(pair.top5.bothRight + pair.top5.onlyB == b.results.top5Correct)
        #expect(pair.top1.images == 360)
        #expect(pair.differences.isEmpty)
    }

    @Test func rejectsResultsOnOtherImages() throws {
        let whole = try digitsReport()
        let part = try digitsReport { $0.limit = 20 }
        let among = try digitsReport { $0.amongDatasetClasses = true }
        let skipping = try digitsReport { $0.badImages = .skip }
        #expect(failure(whole, part)?.problem.contains("number of images") == true)
        #expect(failure(whole, among)?.problem.contains("other classes") == true)
        #expect(failure(whole, skipping)?.problem.contains("bad images") == true)
        var text = try jsonText(whole)
        text = text.replacing(whole.dataset.fingerprint, with: String(repeating: "0", count: 64))
        try withFile(text) { path in
            let other = try #require(try ResultFile.read(path).first)
            let error = try #require(failure(whole, other))
            #expect(error.kind == .badData && error.file == "b.json")
            #expect(error.description.contains("a.json") && error.description.contains("another dataset"))
        }
    }

    @Test func otherConditionsAreNamed() throws {
        let pair = try ResultPair(
            digitsReport { $0.threads = 1 }, digitsReport { $0.threads = 2 }, files: ("a", "b"))
        #expect(pair.differences.contains("threads: 1 and 2"))
    }
}

@Suite struct ResultFileTests {
    @Test func resultsSurviveTheWayThroughAFile() throws {
        let report = try digitsReport { $0.limit = 30 }
        try withFile(jsonText(report)) { path in
            let read = try #require(try ResultFile.read(path).first)
            #expect(try jsonText(read) == jsonText(report))
        }
        let board = Leaderboard(
            [report], failures: [.init(model: "x", exitCode: nil, error: "crashed")], withoutWeights: ["y"],
            otherClasses: [], otherTasks: ["z"], commandLine: "zoo eval --all")
        try withFile(jsonText(board)) { path in
            let names = try ResultFile.read(path).map(\.model.name)
            #expect(names == ["ravlt-nano"])
        }
    }

    @Test(arguments: [
        ("", "no JSON"), ("[1]", "has the wrong type"), ("{}", "'schema_version' is missing"),
        (#"{"schema_version":2,"command":"eval"}"#, "schema version"),
        (#"{"schema_version":1,"command":"list"}"#, "expected zoo eval, found list"),
        (#"{"schema_version":1,"command":"eval"}"#, "is missing"),
        (
            #"{"schema_version":1,"command":"eval","model":{"name":"lit-nano","task":"generate"}}"#,
            "a generator's result"
        ),
        (#"{"schema_version":1,"command":"eval --all","command_line":"","results":{"models":7}}"#, "wrong type"),
    ])
    func rejectsWhatIsNoResult(_ text: String, _ problem: String) throws {
        try withFile(text) { path in
            #expect {
                try ResultFile.read(path)
            } throws: { error in
                guard let error = error as? ZooError else { return false }
                return error.kind == .badData && error.file == path && error.description.contains(problem)
            }
        }
    }

    @Test(arguments: [
        ("\"top1\" : [0-9.]+", "\"top1\" : 101"), ("\"per_image\" : \"0", "\"per_image\" : \"7"),
        ("\"per_image\" : \"[0-4x-]+\"", "\"per_image\" : \"0\""), ("\"images\" : 30", "\"images\" : -30"),
        ("\"samples\" : \\[\\s*[0-9.e-]+", "\"samples\" : [1e300"),
        ("\"peak_resident_bytes\" : ", "\"peak_resident_bytes\" : -"), ("\"gmacs\" : ", "\"gmacs\" : -"),
        ("\"input_height\" : 32", "\"input_height\" : -7"),
    ])
    func rejectsNumbersThatCannotBe(_ pattern: String, _ replacement: String) throws {
        let text = try jsonText(digitsReport { $0.limit = 30 })
        let changed = text.replacingOccurrences(of: pattern, with: replacement, options: .regularExpression)
        #expect(changed != text)
        try withFile(changed) { path in
            #expect { try ResultFile.read(path) } throws: { ($0 as? ZooError)?.kind == .badData }
        }
    }

    @Test func theLeaderboardIsSortedAndKeepsFailures() throws {
        let (good, bad) = (try digitsReport { $0.limit = 50 }, try digitsReport(weights: "seeded:1") { $0.limit = 50 })
        let board = Leaderboard(
            [bad, good], failures: [.init(model: "deit-x", exitCode: 65, error: "no such tensor")],
            withoutWeights: [], otherClasses: [], otherTasks: [], commandLine: "")
        let lines = board.text.split(separator: "\n")
        try #require(lines.count > 3)
        #expect(lines[1].hasPrefix("ravlt-nano  ") && lines[2].hasPrefix("ravlt-nano (untrained)"))
        #expect(lines[3].hasPrefix("deit-x") && lines[3].contains("failed"))
        #expect(board.text.contains("deit-x: no such tensor"))
        let rows = board.csv.split(separator: "\n")
        try #require(rows.count == 3)
        #expect(rows[0].hasSuffix("interpolation,trained"))
        #expect(rows[1].hasSuffix(",true") && rows[2].hasSuffix(",false"))
    }
}

/// Calls `body` with the path of a file with this content.
@discardableResult
func withFile<R>(_ text: String, _ body: (String) throws -> R) throws -> R {
    let path = FileManager.default.temporaryDirectory.appending(path: "zoo-\(UUID().uuidString).json").path
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
}
