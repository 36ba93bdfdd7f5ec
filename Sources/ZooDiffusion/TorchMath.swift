/// The single-precision functions of PyTorch's vectorised random numbers, to the last bit.
///
/// PyTorch takes them from the Cephes library's polynomials, with every multiplication and addition that can be fused
/// contracted to one rounding. Source: `aten/src/ATen/native/cpu/avx_mathfun.h` of PyTorch (Moshier, Cephes 2.2).
enum TorchMath {
    /// The natural logarithm of a normal number.
    static func log(_ x: Float) -> Float {
        var exponent = Float(Int32(x.bitPattern >> 23) - 126)
        // 0.5 ..< 1
        let fraction = Float(bitPattern: x.bitPattern & 0x007F_FFFF | 0x3F00_0000)
        var m = fraction - 1
        if fraction < 0.707106781186547524 {
            exponent -= 1
            m += fraction
        }
        let square = m * m
        var y = horner(
            [
                7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
                2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
            ], at: m)
        y = (exponent * -2.12194440e-4).addingProduct(y * m, square)
        y.addProduct(-square, 0.5)
        return (m + y).addingProduct(exponent, 0.693359375)
    }

    /// - Parameter x: 0 or positive, moderate in size.
    static func sineAndCosine(_ x: Float) -> (sine: Float, cosine: Float) {
        let octant = (Int32(x * 1.27323954473516) + 1) & ~1
        let turns = Float(octant)
        // x - turns * pi / 4, with pi / 4 in three parts
        let rest = x.addingProduct(turns, -0.78515625).addingProduct(turns, -2.4187564849853515625e-4)
            .addingProduct(turns, -3.77489497744594108e-8)
        let square = rest * rest
        var cosine = horner([2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2], at: square)
        cosine = (square * -0.5).addingProduct(cosine * square, square) + 1
        let cubic = horner([-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1], at: square) * square
        let sine = rest.addingProduct(cubic, rest)
        let (first, second) = octant & 2 == 0 ? (sine, cosine) : (cosine, sine)
        return (octant & 4 == 0 ? first : -first, (octant - 2) & 4 == 0 ? -second : second)
    }

    private static func horner(_ coefficients: [Float], at x: Float) -> Float {
        coefficients.dropFirst().reduce(coefficients[0]) { $1.addingProduct($0, x) }
    }
}
