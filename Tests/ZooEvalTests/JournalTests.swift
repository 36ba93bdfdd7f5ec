import Foundation
import TestSupport
import Testing
import ZooCore
import ZooEval

@Suite struct JournalTests {
    private let fingerprint: Journal.Fingerprint = ["model": "m", "dataset": "d"]

    private func outcome(_ index: Int) -> ImageOutcome {
        ImageOutcome(
            index: index, status: .warned, problem: "half \"of\" it\nis missing", label: 3, top: [1, 3, 2, 0, 4],
            rank: 1, loss: 1 / Double(index + 3))
    }

    private func write(_ count: Int, to path: String) throws {
        let journal = try Journal(path: path, fingerprint: fingerprint, resume: false)
        for index in 0..<count { try journal.add(outcome(index)) }
        try journal.flush()
    }

    private func reread(_ path: String) throws -> [ImageOutcome] {
        try Journal(path: path, fingerprint: fingerprint, resume: true).earlier
    }

    @Test func whatWasWrittenIsReadBackExactly() throws {
        try withTemporaryFolder { folder in
            try write(20, to: folder + "/j")
            #expect(try reread(folder + "/j") == (0..<20).map(outcome))
        }
    }

    @Test func aShortRunTouchesNoDisk() throws {
        try withTemporaryFolder { folder in
            let journal = try Journal(path: folder + "/j", fingerprint: fingerprint, resume: false)
            for index in 0..<20 { try journal.add(outcome(index)) }
            #expect(!FileManager.default.fileExists(atPath: folder + "/j"))
        }
    }

    @Test func manyOutcomesAreWrittenWithoutBeingAsked() throws {
        try withTemporaryFolder { folder in
            let journal = try Journal(
                path: folder + "/j", fingerprint: fingerprint, resume: false,
                policy: .init(seconds: 1000, outcomes: 8))
            for index in 0..<20 { try journal.add(outcome(index)) }
            #expect(try String(contentsOfFile: folder + "/j", encoding: .utf8).split(separator: "\n").count == 17)
        }
    }

    /// Cut at every byte: what is read is always a prefix of what was written.
    @Test func aTornTailIsDropped() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/j"
            try write(3, to: path)
            let whole = try Data(contentsOf: URL(filePath: path))
            var lengths = Set<Int>()
            for count in 0..<whole.count {
                try whole.prefix(count).write(to: URL(filePath: path))
                let found = try reread(path)
                #expect(found == (0..<found.count).map(outcome))
                lengths.insert(found.count)
            }
            #expect(lengths == [0, 1, 2])
        }
    }

    /// Change every byte: damage is found wherever it is.
    @Test func aDamagedLineEndsTheJournal() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/j"
            try write(2, to: path)
            let whole = try Data(contentsOf: URL(filePath: path))
            let firstLine = try #require(whole.firstIndex(of: UInt8(ascii: "\n")))
            for position in (firstLine + 1)..<whole.count {
                var damaged = whole
                damaged[position] ^= 0x04
                try damaged.write(to: URL(filePath: path))
                #expect(try reread(path).count < 2)
            }
        }
    }

    @Test func resumingAppendsAfterTheLastIntactLine() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/j"
            try write(3, to: path)
            var torn = try Data(contentsOf: URL(filePath: path))
            torn.append(contentsOf: "{\"seq\":4".utf8)
            try torn.write(to: URL(filePath: path))
            do {
                let journal = try Journal(path: path, fingerprint: fingerprint, resume: true)
                #expect(journal.earlier.count == 3)
                for index in 3..<6 { try journal.add(outcome(index)) }
                try journal.flush()
            }
            #expect(try reread(path) == (0..<6).map(outcome))
        }
    }

    @Test func rejectsTheJournalOfAnotherRun() throws {
        try withTemporaryFolder { folder in
            try write(3, to: folder + "/j")
            #expect {
                _ = try Journal(path: folder + "/j", fingerprint: ["model": "m", "dataset": "e"], resume: true)
            } throws: { error in
                (error as? ZooError)?.code == "journal.other-run" && (error as? ZooError)?.location == "dataset"
            }
        }
    }

    @Test func rejectsASecondWriter() throws {
        try withTemporaryFolder { folder in
            try write(1, to: folder + "/j")
            let first = try Journal(path: folder + "/j", fingerprint: fingerprint, resume: true)
            #expect {
                _ = try Journal(path: folder + "/j", fingerprint: fingerprint, resume: true)
            } throws: {
                ($0 as? ZooError)?.code == "journal.locked"
            }
            #expect(first.earlier.count == 1)
        }
    }

    @Test func aJournalOfConvenienceFailsWithoutEndingTheRun() throws {
        var failures: [ZooError] = []
        let journal = try Journal(
            path: "/proc/nowhere/j", fingerprint: fingerprint, resume: false,
            policy: .init(seconds: 1000, outcomes: 1), onFailure: { failures.append($0) })
        for index in 0..<3 { try journal.add(outcome(index)) }
        #expect(failures.map(\.kind) == [.cannotCreate])
        #expect(!journal.isUsable)
    }

    @Test func rejectsAPathThatCannotBeCreated() throws {
        let journal = try Journal(path: "/proc/nowhere/j", fingerprint: fingerprint, resume: false)
        #expect { try journal.flush() } throws: { ($0 as? ZooError)?.kind == .cannotCreate }
    }
}
