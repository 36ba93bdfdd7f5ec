import TestSupport
import Testing
import ZooCore
import ZooIO

@Suite struct ShardTests {
    private static func index(_ text: String, name: String = "index.json") throws -> ShardedSafetensors {
        try ShardedSafetensors(index: ByteRegion(copying: Array(text.utf8), name: name))
    }

    private static func map(_ map: String) -> String { "{\"weight_map\":{\(map)}}" }

    @Test(arguments: [
        ("no map", ShardIndexDefect.noWeightMap, "{}"), ("empty map", .noWeightMap, map("")),
        ("another map", .noWeightMap, "{\"metadata\":{\"weight_map\":{\"a\":\"b\"}}}"),
        ("two maps", .duplicateTensor, "{\"weight_map\":{},\"weight_map\":{}}"),
        ("tensor twice", .duplicateTensor, map("\"a\":\"x\",\"a\":\"y\"")),
        ("path upwards", .badFileName, map("\"a\":\"../x\"")), ("absolute path", .badFileName, map("\"a\":\"/x\"")),
        ("folder below", .badFileName, map("\"a\":\"b/x\"")), ("parent folder", .badFileName, map("\"a\":\"..\"")),
        ("empty file name", .badFileName, map("\"a\":\"\"")),
        ("zero byte in the file name", .badFileName, map("\"a\":\"x\\u0000\"")),
        ("text after the index", .trailingBytes, map("\"a\":\"x\"") + "{}"),
        (
            "1025 shards", .tooManyShards,
            map((0...1024).map { "\"t\($0)\":\"s\($0)\"" }.joined(separator: ","))
        ),
    ])
    func rejects(name: String, defect: ShardIndexDefect, text: String) {
        expectDefect(defect, "\(name)") { _ = try Self.index(text) }
    }

    @Test(arguments: [
        ("deep metadata", JSONDefect.tooDeep, "{\"m\":" + String(repeating: "[", count: 100_000)),
        ("deep objects", .tooDeep, "{\"m\":" + String(repeating: "{\"a\":", count: 17)),
        ("number as a map", .unexpectedByte, "{\"weight_map\":1}"),
        ("number as a file", .unexpectedByte, map("\"a\":1")),
        ("word in the metadata", .unexpectedByte, "{\"m\":tru}"),
        ("bad number in the metadata", .badNumber, "{\"m\":1-2}"),
        ("key without value", .unexpectedByte, "{\"m\":{\"a\"}}"), ("unclosed metadata", .unexpectedEnd, "{\"m\":[1,"),
        ("long file name", .stringTooLong, map("\"a\":\"\(String(repeating: "x", count: 256))\"")),
    ])
    func rejectsBadJSON(name: String, defect: JSONDefect, text: String) {
        expectDefect(defect, "\(name)") { _ = try Self.index(text) }
    }

    @Test func rejectsLongIndex() {
        expectDefect(ShardIndexDefect.tooLong) {
            _ = try Self.index("{" + String(repeating: " ", count: 32 << 20) + "}")
        }
    }

    @Test func rejectsShardsThatDoNotFitTheIndex() throws {
        let name = Fixtures.path("checkpoints/index.json")
        let (one, two) = ("sharded-00001-of-00002.safetensors", "sharded-00002-of-00002.safetensors")
        expectDefect(FileDefect.missing) { _ = try Self.index(Self.map("\"a\":\"none.safetensors\""), name: name) }
        expectDefect(ShardIndexDefect.missingTensor) {
            _ = try Self.index(Self.map("\"a.weight\":\"\(one)\",\"z\":\"\(one)\""), name: name)
        }
        let error = expectDefect(ShardIndexDefect.unlistedTensor) {
            _ = try Self.index(Self.map("\"a.weight\":\"\(one)\",\"b.weight\":\"\(two)\""), name: name)
        }
        #expect(error?.location == "c.weight")
    }

    @Test func digestCoversIndexAndShards() throws {
        let checkpoint = try Checkpoint.open(path: Fixtures.path("checkpoints/sharded.safetensors.index.json"))
        let files = [
            "sharded.safetensors.index.json", "sharded-00001-of-00002.safetensors",
            "sharded-00002-of-00002.safetensors",
        ]
        let bytes = try files.flatMap { try readAll(Fixtures.path("checkpoints/\($0)")) }
        #expect(checkpoint.sha256() == SHA256.hex(bytes))
        #expect(checkpoint.byteCount == bytes.count)
    }
}
