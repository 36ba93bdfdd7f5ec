import COpenBLAS
import ZooCore

/// A dense square matrix in float64 whose upper triangle counts, and the few operations of LAPACK and BLAS that metrics
/// need. One thread, so that results do not depend on the machine's cores.
struct SymmetricMatrix {
    let size: Int
    /// Row-major, which for a symmetric matrix is column-major too.
    private(set) var values: [Double]

    init(size: Int) {
        self.size = size
        values = [Double](repeating: 0, count: size * size)
    }

    /// The mean of a matrix and its transpose.
    init(size: Int, values: [Double]) {
        self.init(size: size)
        for row in 0..<size {
            for column in row..<size {
                let mean = 0.5 * (values[row * size + column] + values[column * size + row])
                self.values[row * size + column] = mean
                self.values[column * size + row] = mean
            }
        }
    }

    /// Adds `rows^T rows` for rows of `size` numbers; only the upper triangle.
    mutating func addSquares(of rows: [Double]) {
        singleThreaded {
            cblas_dsyrk(
                CblasRowMajor, CblasUpper, CblasTrans, blasInt(size), blasInt(rows.count / size), 1, rows,
                blasInt(size), 1, &values, blasInt(size))
        }
    }

    /// The eigenvalues, rising, and where asked for the eigenvectors in rows.
    ///
    /// - Throws: `MetricDefect.noConvergence`, for instance on numbers that are not finite.
    func eigen(vectors: Bool) throws(ZooError) -> (values: [Double], vectors: [Double]) {
        var matrix = values
        var eigenvalues = [Double](repeating: 0, count: size)
        var n = blasInt(size)
        var (status, realCount, integerCount): (CInt, CInt, CInt) = (0, -1, -1)
        var (real, integers) = ([0.0], [CInt(0)])
        let job: CChar = vectors ? 86 : 78  // 'V', 'N'
        // Row-major upper is column-major lower.
        let triangle: CChar = 76  // 'L'
        singleThreaded {
            for _ in 0..<2 {
                withUnsafePointer(to: job) { job in
                    withUnsafePointer(to: triangle) { triangle in
                        dsyevd_(
                            job, triangle, &n, &matrix, &n, &eigenvalues, &real, &realCount, &integers, &integerCount,
                            &status)
                    }
                }
                guard status == 0, realCount < 0 else { return }
                (realCount, integerCount) = (CInt(real[0]), integers[0])
                real = [Double](repeating: 0, count: Int(realCount))
                integers = [CInt](repeating: 0, count: Int(integerCount))
            }
        }
        guard status == 0, eigenvalues.allSatisfy(\.isFinite) else {
            throw MetricDefect.noConvergence.error("the eigenvalues of a covariance cannot be computed")
        }
        return (eigenvalues, matrix)
    }

    /// The symmetric square root; negative eigenvalues, which only rounding makes, count as 0.
    func squareRoot() throws(ZooError) -> SymmetricMatrix {
        let (eigenvalues, vectors) = try eigen(vectors: true)
        var scaled = vectors
        for row in 0..<size {
            let factor = max(eigenvalues[row], 0).squareRoot().squareRoot()
            for column in 0..<size { scaled[row * size + column] *= factor }
        }
        return SymmetricMatrix(size: size, values: Self.product(scaled, scaled, transposingFirst: true, size))
    }

    /// `self * other * self`, symmetrised.
    func sandwiching(_ other: SymmetricMatrix) -> SymmetricMatrix {
        let half = Self.product(values, other.values, transposingFirst: false, size)
        return SymmetricMatrix(size: size, values: Self.product(half, values, transposingFirst: false, size))
    }

    var trace: Double { (0..<size).reduce(0) { $0 + values[$1 * size + $1] } }

    private static func product(_ a: [Double], _ b: [Double], transposingFirst: Bool, _ size: Int) -> [Double] {
        var result = [Double](repeating: 0, count: size * size)
        let n = blasInt(size)
        singleThreaded {
            cblas_dgemm(
                CblasRowMajor, transposingFirst ? CblasTrans : CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0,
                &result, n)
        }
        return result
    }
}

/// The products `a b^T` of rows of `dimensions` numbers: (rows of a, rows of b).
func rowProducts(_ a: [Double], _ b: [Double], dimensions: Int) -> [Double] {
    let (m, n) = (a.count / dimensions, b.count / dimensions)
    var result = [Double](repeating: 0, count: m * n)
    singleThreaded {
        cblas_dgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasInt(m), blasInt(n), blasInt(dimensions), 1, a,
            blasInt(dimensions), b, blasInt(dimensions), 0, &result, blasInt(n))
    }
    return result
}

/// Sizes of matrices are far below 2^31: features have thousands of dimensions, blocks thousands of rows.
private func blasInt(_ value: Int) -> CInt {
    guard let result = CInt(exactly: value) else { preconditionFailure("a matrix with a side of \(value)") }
    return result
}

/// Runs BLAS without its own threads, whose number would change the order of sums.
private func singleThreaded(_ body: () -> Void) {
    openblas_set_num_threads(1)
    body()
}
