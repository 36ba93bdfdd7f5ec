import Testing
import ZooBench

@Suite struct SweepTests {
    @Test(arguments: [
        ("1", [1]), ("1,2", [1, 2]), ("1-4", [1, 2, 3, 4]), ("16-64+16", [16, 32, 48, 64]),
        ("196-3136*4", [196, 784, 3136]), ("8,1-2,30-50+15", [8, 1, 2, 30, 45]), ("5-5", [5]),
    ])
    func fidelity(_ text: String, _ values: [Int]) throws {
        #expect(try Sweep(parsing: text).values == values)
    }

    @Test(arguments: [
        "", ",", "1,", "0", "-1", "+1", "1-", "-", "4-1", "1-4+0", "1-4*1", "1-4*0", "1-4+", "1-4*", "1-4-6", "1-4+2+2",
        "a", "1.5", "1 2", "٣", "1-4%2", "99999999999999999999", "1-99999999999999999999", "1-1001", "1-100000",
    ])
    func rejects(_ text: String) {
        #expect(throws: ZooErrorOfUsage.self) { try asUsage { () throws in try Sweep(parsing: text) } }
    }

    @Test func rangesStopBeforeTheyOverflow() throws {
        #expect(try Sweep(parsing: "1-\(Int.max)*\(1 << 40)").values == [1, 1 << 40])
    }
}
