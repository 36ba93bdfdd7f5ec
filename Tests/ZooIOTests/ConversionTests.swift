import Testing
import ZooCore
import ZooIO

@Suite struct ConversionTests {
    @Test func fidelityOfHalfForAllPatterns() {
        for bits in UInt16.min...UInt16.max {
            let value = ElementConversion.float(half: bits)
            let expected = Float(Float16(bitPattern: bits))
            #expect(value.bitPattern == expected.bitPattern || (value.isNaN && expected.isNaN), "\(bits)")
            if !value.isNaN { #expect(ElementConversion.half(Double(value)) == bits, "\(bits)") }
        }
        #expect(Float16(bitPattern: ElementConversion.half(.nan)).isNaN)
    }

    @Test func fidelityOfBfloat16ForAllPatterns() {
        for bits in UInt16.min...UInt16.max {
            let value = ElementConversion.float(bfloat16: bits)
            #expect(value.isNaN || ElementConversion.bfloat16(Double(value)) == bits, "\(bits)")
        }
        #expect(ElementConversion.float(bfloat16: ElementConversion.bfloat16(.nan)).isNaN)
    }

    /// Between neighbours, the nearer one; in the middle, the even one.
    @Test func roundsToNearestEven() {
        for bits in UInt16(0)..<0x7BFF {
            let low = Double(ElementConversion.float(half: bits))
            let high = Double(ElementConversion.float(half: bits + 1))
            let middle = (low + high) / 2
            #expect(ElementConversion.half(middle) == (bits.isMultiple(of: 2) ? bits : bits + 1), "\(bits)")
            #expect(ElementConversion.half(middle.nextDown) == bits)
            #expect(ElementConversion.half(-middle.nextUp) == (bits + 1) | 0x8000)
        }
        for bits in UInt16(0)..<0x7F7F {
            let low = Double(ElementConversion.float(bfloat16: bits))
            let high = Double(ElementConversion.float(bfloat16: bits + 1))
            let middle = (low + high) / 2
            #expect(ElementConversion.bfloat16(middle) == (bits.isMultiple(of: 2) ? bits : bits + 1), "\(bits)")
            #expect(ElementConversion.bfloat16(middle.nextDown) == bits)
            #expect(ElementConversion.bfloat16(middle.nextUp) == bits + 1)
        }
    }

    @Test(
        arguments: [
            (65519.99, 0x7BFF), (65520, 0x7C00), (1e300, 0x7C00), (.infinity, 0x7C00), (0x1p-25, 0), (0x1.1p-25, 1),
            (-0.0, 0x8000), (.leastNonzeroMagnitude, 0),
        ] as [(Double, UInt16)])
    func roundsHalfAtItsEnds(value: Double, expected: UInt16) {
        #expect(ElementConversion.half(value) == expected)
    }

    @Test func convertsCheckpointsBetweenTypes() throws {
        try withTemporaryFolder { folder in
            let values: [Double] = [1, 1 + 0x1p-11, 1 + 0x1p-11 + 0x1p-40, -2.5, 0x1p-20, 3e38]
            var writer = SafetensorsWriter()
            writer.add("w", shape: [2, 3], values)
            writer.add("steps", shape: [], [Int64(7)])
            try writer.write(to: "\(folder)/in.safetensors")
            let source = try SafetensorsFile(path: "\(folder)/in.safetensors")

            for (dtype, convert): (DType, (Double) -> Double) in [
                (.float32, { Double(Float($0)) }),
                (.float16, { Double(ElementConversion.float(half: ElementConversion.half($0))) }),
                (.bfloat16, { Double(ElementConversion.float(bfloat16: ElementConversion.bfloat16($0))) }),
            ] {
                try source.convert(to: "\(folder)/out.safetensors", dtype: dtype, metadata: ["from": "in"])
                let result = try SafetensorsFile(path: "\(folder)/out.safetensors")
                #expect(result.info("w") == TensorInfo(shape: [2, 3], dtype: dtype))
                #expect(try result.float64s(of: "w") == values.map(convert))
                #expect(try result.int64s(of: "steps") == [7])
                #expect(result.metadata == ["from": "in"])
            }
        }
    }
}
