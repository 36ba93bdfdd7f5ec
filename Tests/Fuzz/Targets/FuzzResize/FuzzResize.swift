import ZooCore
import ZooImage

/// The sizes of a resize and a crop. An image of one colour must keep it, and a squash without a margin must equal
/// the plain resize.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzResize(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = UnsafeBufferPointer(start: start, count: count).makeIterator()
    func number(_ bound: Int) -> Int {
        let low = Int(input.next() ?? 0)
        return 1 + (low | Int(input.next() ?? 0) << 8) % bound
    }
    let height = number(1200)
    let width = number(max(60_000 / height, 1))
    let interpolation = Preprocessing.Interpolation.allCases[number(3) - 1]
    let cropMode = Preprocessing.CropMode.allCases[number(2) - 1]
    let color = UInt8(number(256) - 1)
    let preprocessing = Preprocessing(
        inputHeight: number(80), inputWidth: number(80), cropPct: Double(number(300)) / 100,
        interpolation: interpolation, cropMode: cropMode)
    do {
        let preprocessor = try Preprocessor(preprocessing)
        let limits = ResourceLimits()
        let plain = RGBImage(
            height: height, width: width, pixels: [UInt8](repeating: color, count: height * width * 3))
        let crop = try preprocessor.crop(plain, limits: limits)
        precondition(crop.pixels.allSatisfy { $0 == color || $0 == 0 })
        precondition(preprocessing.cropPct > 1 || crop.pixels.allSatisfy { $0 == color })
        if cropMode == .squash && preprocessing.cropPct == 1 {
            var state: UInt32 = 1
            let pixels = plain.pixels.map { _ in
                state = state &* 1_664_525 &+ 1_013_904_223
                return UInt8(state >> 24)
            }
            let noise = RGBImage(height: height, width: width, pixels: pixels)
            let resized = try noise.resized(
                height: preprocessing.inputHeight, width: preprocessing.inputWidth, interpolation: interpolation,
                limits: limits)
            let squashed = try preprocessor.crop(noise, limits: limits)
            precondition(squashed == resized)
        }
    } catch let error as ZooError {
        precondition(error.code == "preprocessing.invalid", "\(error)")
    } catch {
        fatalError("\(error)")
    }
    return 0
}
