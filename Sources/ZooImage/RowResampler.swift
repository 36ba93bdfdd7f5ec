import CImageShim
import ZooCore

/// A resize and crop that takes input rows one by one and keeps only as many as the vertical filter spans.
///
/// Horizontal pass first, then vertical, each rounding to 8 bits: Pillow's order. Only the rows and columns that
/// survive the crop are computed, which changes no byte of them.
struct RowResampler {
    private let geometry: CropGeometry
    private let horizontal: AxisFilter
    private let vertical: AxisFilter
    /// Input rows after the horizontal pass; input row y is in slot `y % capacity`.
    private var ring: [UInt8]
    private let capacity: Int
    private let rowBytes: Int
    private var inputRow = 0
    private var outputRow = 0
    private var output: [UInt8]

    /// - Throws: `ZooError` if the tables and rows would exceed `limits.maxDecodeBytes`.
    init(
        imageHeight: Int, imageWidth: Int, geometry: CropGeometry, kernel: ResamplingKernel, limits: ResourceLimits
    ) throws {
        self.geometry = geometry
        horizontal = try AxisFilter(
            from: imageWidth, to: geometry.resizedWidth, window: geometry.columns, kernel: kernel,
            limits: limits)
        vertical = try AxisFilter(
            from: imageHeight, to: geometry.resizedHeight, window: geometry.rows, kernel: kernel,
            limits: limits)
        rowBytes = 3 * geometry.columns.count
        capacity = Int(vertical.taps.max() ?? 1)
        guard Double(rowBytes) * Double(capacity) <= Double(limits.maxDecodeBytes) else {
            throw ImageDefect.tooMuchMemory.error(
                expected: "at most \(limits.maxDecodeBytes) bytes",
                found: "a resize from \(imageHeight) to \(geometry.resizedHeight) rows")
        }
        ring = [UInt8](repeating: 0, count: rowBytes * capacity)
        output = [UInt8](repeating: 0, count: 3 * geometry.height * geometry.width)
    }

    /// The bytes that a row passed to `push` must have: one more than its pixels, because the row pass reads whole
    /// vectors.
    static func rowCapacity(width: Int) -> Int { 3 * width + 1 }

    /// Takes the next input row, readable for `rowCapacity` bytes.
    mutating func push(_ row: UnsafePointer<UInt8>) {
        let y = inputRow
        inputRow += 1
        guard vertical.inputRange.contains(y) else { return }
        ring.withUnsafeMutableBufferPointer { ring in
            guard let base = ring.baseAddress else { return }
            cis_resample_row(
                row, geometry.columns.count, horizontal.first, horizontal.taps, horizontal.weights, horizontal.stride,
                base + y % capacity * rowBytes)
        }
        while outputRow < geometry.rows.count, Int(vertical.first[outputRow] + vertical.taps[outputRow]) == y + 1 {
            emit()
        }
    }

    private mutating func emit() {
        let start = 3 * ((geometry.top + outputRow) * geometry.width + geometry.left)
        let (i, capacity, rowBytes) = (outputRow, capacity, rowBytes)
        vertical.weights.withUnsafeBufferPointer { weights in
            output.withUnsafeMutableBufferPointer { output in
                guard let out = output.baseAddress, let weights = weights.baseAddress else { return }
                cis_resample_column(
                    ring, capacity, rowBytes, Int(vertical.first[i]), Int(vertical.taps[i]),
                    weights + i * vertical.stride, out + start)
            }
        }
        outputRow += 1
    }

    /// The output image; all input rows must have been pushed.
    consuming func finish() -> RGBImage {
        RGBImage(height: geometry.height, width: geometry.width, pixels: output)
    }
}
