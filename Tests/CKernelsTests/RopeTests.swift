import CKernels
import TestSupport
import Testing
import ZooIO

@Suite struct RopeTests {
    /// Cosine and sine of a token as the tables give them, channel by channel, the sine's sign taken out.
    private static func angles(_ rope: ck_rope, token: Int) -> (cosine: [Float], sine: [Float]) {
        let half = rope.head_dim / 2
        let (row, column) = token.quotientAndRemainder(dividingBy: rope.width)
        var (cosine, sine) = ([Float](), [Float]())
        for channel in 0..<rope.head_dim {
            let byRow = channel < half
            let at = byRow ? row * half + channel : column * half + channel - half
            cosine.append(byRow ? rope.row_cosine[at] : rope.column_cosine[at])
            let signed = byRow ? rope.row_sine[at] : rope.column_sine[at]
            sine.append(channel.isMultiple(of: 2) ? -signed : signed)
        }
        return (cosine, sine)
    }

    /// At one radian (row 1, column 1) the angle of every channel is the frequency itself: its cosine and sine are those
    /// of the official buffer, correctly rounded.
    @Test func fidelityOfFrequenciesToTheLastBit() throws {
        let golden = try SafetensorsFile(path: Fixtures.path("kernels/rope.safetensors"))
        let names = golden.names.filter { $0.hasPrefix("angle.d") }
        #expect(names.count == 15)
        for name in names {
            let frequencies = try golden.tensor(name).values
            let tables = RopeTables(height: 2, width: 2, headDim: 2 * frequencies.count)
            let (cosine, sine) = Self.angles(tables.rope, token: 3)
            let doubled = frequencies + frequencies
            #expect(zip(sine, doubled).allSatisfy { $0 == Float(sin64(Double($1))) }, Comment(rawValue: name))
            #expect(zip(cosine, doubled).allSatisfy { $0 == Float(cos64(Double($1))) }, Comment(rawValue: name))
        }
    }

    /// Within one unit in the last place of 1 from the official tables, at every token they record, up to 200 x 334.
    @Test func fidelityOfTables() throws {
        let golden = try SafetensorsFile(path: Fixtures.path("kernels/rope.safetensors"))
        let cases = try #require(
            try Fixtures.json(Fixtures.path("kernels/rope.json"))["cases"] as? [String: [String: Any]])
        for (name, size) in cases {
            let tables = RopeTables(
                height: try #require(size["H"] as? Int), width: try #require(size["W"] as? Int),
                headDim: try #require(size["head_dim"] as? Int))
            let rope = tables.rope
            let sampled = golden.info("\(name).sin") == nil
            let official = try (
                cosine: golden.tensor("\(name).cos" + (sampled ? "_rows" : "")).values,
                sine: golden.tensor("\(name).sin" + (sampled ? "_rows" : "")).values
            )
            let rows = official.sine.count / rope.head_dim
            let step = sampled ? rope.height * rope.width / rows : 1
            for row in 0..<rows {
                let (cosine, sine) = Self.angles(rope, token: row * step)
                let slice = row * rope.head_dim..<(row + 1) * rope.head_dim
                #expect(
                    zip(cosine, official.cosine[slice]).allSatisfy { abs($0 - $1) <= 0x1p-23 }, "\(name), row \(row)")
                #expect(zip(sine, official.sine[slice]).allSatisfy { abs($0 - $1) <= 0x1p-23 }, "\(name), row \(row)")
            }
        }
    }

    /// The rotation that the kernels build from the tables: x * cosine + neighbour * signed sine.
    @Test func fidelityOfTheRotation() throws {
        let golden = try SafetensorsFile(path: Fixtures.path("kernels/rope.safetensors"))
        let names = golden.names.filter { $0.hasSuffix(".y") }
        #expect(names.count == 7)
        for name in names.map({ String($0.dropLast(2)) }) {
            let (x, y) = try (golden.tensor("\(name).x").values, golden.tensor("\(name).y").values)
            let sizes = name.split { !$0.isNumber }.compactMap { Int($0) }
            let rope = RopeTables(height: sizes[0], width: sizes[1], headDim: sizes[2])
            let d = sizes[2]
            for token in 0..<sizes[0] * sizes[1] {
                let (cosine, sine) = Self.angles(rope.rope, token: token)
                for t in 0..<d {
                    let sign: Float = t.isMultiple(of: 2) ? -1 : 1
                    let turned = x[token * d + t] * cosine[t] + sign * x[token * d + (t ^ 1)] * sine[t]
                    #expect(abs(turned - y[token * d + t]) < 4 * 0x1p-23, "\(name), token \(token), channel \(t)")
                }
            }
        }
    }

    @Test func rejectsImpossibleGrids() {
        let tables = GuardedMatrix(1, 64)
        var rope = ck_rope()
        for (height, width, headDim) in [(0, 1, 4), (1, 0, 4), (1, 1, 0), (1, 1, 6), (1, 1, 7)] {
            #expect(ck_rope_fill(height, width, headDim, tables.pointer, &rope) == CK_BAD_SHAPE)
        }
        #expect(ck_rope_fill(1, 1, 4, nil, &rope) == CK_BAD_ARGUMENT)
    }
}
