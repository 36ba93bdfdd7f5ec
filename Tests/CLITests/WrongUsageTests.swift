import Foundation
import TestSupport
import Testing

/// Wrong invocations of the evaluation side: each ends in one line and the right exit code, none in a trap.
@Suite struct WrongUsageTests {
    /// Command lines without `zoo`.
    private static let usage = """
        evaluate
        eval no-such-model
        eval ''
        eval ravlt-nano mavit-nano
        eval --data imagenet-subset
        eval --no-such-flag
        eval ravlt-nano --data
        DIGITS --batch-size 0
        DIGITS --batch-size -1
        DIGITS --batch-size x
        DIGITS --batch-size 99999999999999999999
        DIGITS --batch-size 100000
        DIGITS --threads 0
        DIGITS --threads -3
        DIGITS --threads 9999999
        DIGITS --threads two
        DIGITS --decode-threads 0
        DIGITS --decode-threads 1000000
        DIGITS --limit 0
        DIGITS --limit -5
        DIGITS --limit 1.5
        DIGITS --isa sse9
        DIGITS --isa ''
        DIGITS --precision int3
        DIGITS --image-size 0
        DIGITS --image-size -32
        DIGITS --image-size 32x
        DIGITS --image-size x32
        DIGITS --image-size 1x2x3
        DIGITS --image-size 99999
        DIGITS --image-size 99999999999999999999
        DIGITS --crop-pct 0
        DIGITS --crop-pct -1
        DIGITS --crop-pct nan
        DIGITS --crop-pct inf
        DIGITS --crop-pct 1e9
        DIGITS --interpolation nearest
        DIGITS --on-bad-image maybe
        DIGITS --expect top1
        DIGITS --expect top7=1
        DIGITS --expect top1=1±-1
        DIGITS --json --csv
        DIGITS --weights seeded:
        DIGITS --weights seeded:-1
        DIGITS --weights seeded:1,=2
        DIGITS --weights seeded:1,a=inf
        DIGITS --weights-key model
        DIGITS --weights CHECKPOINT --weights-key nope
        DIGITS --labels TEXT
        eval lit-nano --labels TEXT
        eval --all --data digits --labels TEXT
        eval ravlt-t --data imagenet-subset --weights seeded:1 --labels TEXT
        predict
        predict ravlt-nano
        predict nope sample:chelsea.png
        predict sd-vae sample:chelsea.png --weights seeded:1
        predict lit-nano sample:1445.png
        predict ravlt-nano sample:1445.png --top-k 0
        predict ravlt-nano sample:1445.png --top-k 11
        preprocess
        preprocess sample:chelsea.png
        preprocess sample:chelsea.png --output x.bmp
        preprocess sample:chelsea.png --output x.png --mean 1,2
        preprocess sample:chelsea.png --output x.png --mean 1,2,x
        preprocess sample:chelsea.png --output x.png --std 0,1,1
        preprocess sample:chelsea.png --output x.png --model nope
        preprocess sample:chelsea.png --output x.png --image-size 20000
        data nothing
        data list extra
        data list --labels TEXT
        data subset --from digits --labels TEXT --classes 3 --per-class 1 --output x
        data subset
        data subset --from digits --classes 3 --per-class 0 --output x
        data subset --from digits --classes 3 --per-class -1 --output x
        data subset --from digits --classes , --per-class 1 --output x
        data subset --from digits --classes 3 --per-class 1 --seed -1 --output x
        """

    /// Exit codes and command lines.
    private static let inputs = """
        65 eval ravlt-nano --data imagenet-subset
        66 DIGITS --data TEXT
        65 eval ravlt-nano --data ARCHIVE
        65 eval ravlt-t --weights CHECKPOINT
        65 eval ravlt-t --weights TEXT
        65 eval ravlt-t --weights ARCHIVE
        65 eval ravlt-t --data digits --weights seeded:1
        65 predict ravlt-nano TEXT
        65 preprocess TEXT --output x.png
        65 data subset --from digits --classes tench --per-class 1 --output x
        65 data subset --from digits --classes 10 --per-class 1 --output x
        66 eval ravlt-nano --data no-such-dataset
        66 eval ravlt-nano --data ''
        66 DIGITS --data-root /nowhere
        66 eval ravlt-nano --weights /nowhere/w.safetensors
        66 eval ravlt-t --weights ''
        66 eval ravlt-t --data digits
        66 predict ravlt-t sample:chelsea.png
        66 preprocess /nowhere/a.png --output x.png
        66 preprocess sample:none.png --output x.png
        66 data subset --from /nowhere --classes all --per-class 1 --output x
        73 DIGITS --output-file /nowhere/r.json
        73 DIGITS --output-file /
        73 DIGITS --journal /nowhere/j
        73 preprocess sample:chelsea.png --output /nowhere/x.png
        73 data subset --from digits --classes 3 --per-class 1 --output /proc/x
        73 data subset --from digits --classes 3 --per-class 1 --output /tmp
        64 DIGITS --image-size 16384
        64 DIGITS --batch-size 65536
        """

    private static func lines(_ text: String) -> [[String]] {
        let words = [
            "''": [""],
            "DIGITS": ["eval", "ravlt-nano", "--data", "digits"],
            "TEXT": [Fixtures.inPackage("Datasets/README.md")],
            "ARCHIVE": [Fixtures.inPackage("Datasets/Samples/digits.zip")],
            "CHECKPOINT": [Fixtures.inPackage("Models/Checkpoints/ravlt-nano.safetensors")],
        ]
        return text.split(separator: "\n").map { line in
            line.split(separator: " ").flatMap { words[String($0)] ?? [String($0)] }
        }
    }

    @Test(arguments: lines(usage))
    func rejectsUsage(_ arguments: [String]) throws {
        try zooFails(arguments, with: 64)
    }

    @Test(arguments: lines(inputs))
    func rejectsInput(_ line: [String]) throws {
        let folder = try TemporaryFolder()
        let result = try zoo(Array(line.dropFirst()), at: folder)
        #expect("\(result.status)" == line[0], "\(result.errors)")
        #expect(result.errors.hasPrefix("zoo: error: "))
        #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    /// Weights that are damaged, or not this model's: the numbers are neither printed nor drawn.
    @Test(arguments: [
        "predict ravlt-nano sample:1445.png", "predict ravlt-nano sample:1445.png --json",
        "explain mavit-nano sample:1445.png --block 0 --json",
        "generate --steps 2 --output x.png --latents x.safetensors",
        "eval lit-nano --count 4 --steps 2 --data digits",
    ])
    func refusesAnswersThatAreNoNumbers(line: String) throws {
        let folder = try TemporaryFolder()
        let arguments = line.split(separator: " ").map { $0.hasPrefix("x.") ? folder.path(String($0)) : String($0) }
        let result = try zoo(arguments + ["--weights", "seeded:1,weight=1e30"], environment: ["ZOO_HOME": folder.path])
        #expect(result.status == 65)
        #expect(result.errors.contains("no number"), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.path("x.png")))
        #expect(!FileManager.default.fileExists(atPath: folder.path("x.safetensors")))
    }

    @Test func saysThatLogitsAreNoNumbers() throws {
        let folder = try TemporaryFolder()
        let result = try zoo(
            ["eval", "ravlt-nano", "--limit", "4", "--quiet", "--weights", "seeded:1,weight=1e30"],
            environment: ["ZOO_HOME": folder.path])
        #expect(result.status == 0 && result.output.contains("none"))
        #expect(result.errors.contains("some logits are no numbers"), "\(result.errors)")
    }
}
