import Testing
import ZooBench

@Suite struct GroupSizesTests {
    @Test(arguments: [("1000", 1000...1000), ("1-2000", 1...2000), ("7-7", 7...7)])
    func fidelity(_ text: String, _ range: ClosedRange<Int>) throws {
        #expect(try GroupSizes(parsing: text).range == range)
    }

    @Test(arguments: ["", "0", "-", "1-", "-1", "0-4", "4-1", "a", "1-2-3", "1.5", "+1", "99999999999999999999"])
    func rejects(_ text: String) {
        #expect(throws: ZooErrorOfUsage.self) { try asUsage { () throws in try GroupSizes(parsing: text) } }
    }

    @Test func sizesFillTheirRange() throws {
        let counts = GroupSizes(1...20).counts(rows: 10_000)
        #expect(counts.reduce(0, +) == 10_000)
        #expect(Set(counts) == Set(1...20))
        #expect(GroupSizes(1...20).counts(rows: 10_000) == counts)
        #expect(GroupSizes(4...4).counts(rows: 10) == [4, 4, 2])
    }
}
