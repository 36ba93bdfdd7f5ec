import ZooCore

/// How the metrics of generated images bring an image to a feature network's size. The choice shifts FID by more than
/// good models differ, so it is part of every result, and reference and samples must share it.
public enum FeatureResizing: String, Sendable, CaseIterable, Codable {
    /// TensorFlow 1's bilinear resize, without antialiasing and with its corner left: the ADM evaluator, torch-fidelity.
    case tensorflow
    /// PyTorch's bilinear resize without antialiasing: pytorch-fid.
    case torch
    /// Pillow's bicubic resize on float planes, antialiased: clean-fid.
    case clean

    /// Resizes an image and keeps the values in 0...255, in float32 and in the order of operations of the original.
    ///
    /// - Returns: channels last, [size, size, 3]
    public func resized(_ image: RGBImage, height: Int, width: Int) -> Tensor {
        resized(
            Tensor(shape: [image.height, image.width, 3], values: image.pixels.map(Float.init)), height: height,
            width: width)
    }

    /// The same for values in 0...255 that need not be whole.
    ///
    /// - Parameter image: [height, width, 3]
    public func resized(_ image: Tensor, height: Int, width: Int) -> Tensor {
        precondition(image.shape.count == 3 && image.shape[2] == 3, "\(image.shape) is no image")
        let planes = FloatImage(height: image.shape[0], width: image.shape[1], values: image.values)
        let resized: FloatImage
        switch self {
        case .tensorflow:
            let (x, y) = (Self.cornerAxis(planes.width, width), Self.cornerAxis(planes.height, height))
            resized = planes.interpolated(height: y, width: x) { $0 + ($1 - $0) * $2 }
        case .torch:
            let (x, y) = (Self.centreAxis(planes.width, width), Self.centreAxis(planes.height, height))
            resized = planes.interpolated(height: y, width: x) { (1 - $2) * $0 + $2 * $1 }
        case .clean:
            let wide = planes.height == height && planes.width == width ? planes : planes.filtered(height, width)
            resized = FloatImage(height: height, width: width, values: wide.values.map { min(max($0, 0), 255) })
        }
        return Tensor(shape: [height, width, 3], values: resized.values)
    }

    /// The input of the FID Inception network: the resized image, normalised as the implementation does it.
    ///
    /// - Returns: channels last, [size, size, 3]
    public func networkInput(_ image: RGBImage, size: Int) -> Tensor {
        normalized(resized(image, height: size, width: size))
    }

    /// The same for values in 0...255 that need not be whole.
    ///
    /// - Parameter image: [height, width, 3]
    public func networkInput(_ image: Tensor, size: Int) -> Tensor {
        normalized(resized(image, height: size, width: size))
    }

    private func normalized(_ image: Tensor) -> Tensor {
        var input = image
        input.withUnsafeMutableValues { values in
            for index in values.indices {
                values[index] = self == .torch ? values[index] / 255 * 2 - 1 : (values[index] - 128) / 128
            }
        }
        return input
    }

    /// Where an output sample lies between two input samples.
    fileprivate struct Place {
        let low: Int
        let high: Int
        let fraction: Float
    }

    /// Sample o lies at `o * in / out`.
    private static func cornerAxis(_ input: Int, _ output: Int) -> [Place] {
        let scale = Float(input) / Float(output)
        return (0..<output).map { place(Float($0) * scale, input) }
    }

    /// The centre of sample o lies at `(o + 1/2) in / out`: one multiply-add with a single rounding, as PyTorch's is
    /// compiled.
    private static func centreAxis(_ input: Int, _ output: Int) -> [Place] {
        let scale = Float(input) / Float(output)
        return (0..<output).map { place(max((-0.5 as Float).addingProduct(scale, Float($0) + 0.5), 0), input) }
    }

    private static func place(_ position: Float, _ input: Int) -> Place {
        let low = min(Int(position), input - 1)
        return Place(low: low, high: min(low + 1, input - 1), fraction: position - Float(low))
    }
}

/// Three interleaved planes of float32.
private struct FloatImage {
    let height: Int
    let width: Int
    var values: [Float]

    /// Interpolates between two columns, then between two rows.
    func interpolated(
        height rows: [FeatureResizing.Place], width columns: [FeatureResizing.Place],
        _ mix: (Float, Float, Float) -> Float
    ) -> FloatImage {
        var result: [Float] = []
        result.reserveCapacity(rows.count * columns.count * 3)
        for y in rows {
            let (above, below) = (y.low * width * 3, y.high * width * 3)
            for x in columns {
                for channel in 0..<3 {
                    let (left, right) = (x.low * 3 + channel, x.high * 3 + channel)
                    let top = mix(values[above + left], values[above + right], x.fraction)
                    let bottom = mix(values[below + left], values[below + right], x.fraction)
                    result.append(mix(top, bottom, y.fraction))
                }
            }
        }
        return FloatImage(height: rows.count, width: columns.count, values: result)
    }

    /// Pillow's bicubic resize of float planes: sums in double, columns first, each pass rounded to float32; a pass that
    /// changes nothing is left out.
    func filtered(_ height: Int, _ width: Int) -> FloatImage {
        let wide =
            width == self.width
            ? self
            : resampled(to: width, axis: self.width, lines: self.height, step: 3) {
                line, sample in line * self.width * 3 + sample * 3
            }
        guard height != self.height else { return wide }
        // Rows as samples, and whole rows as what is summed.
        let tall = wide.resampled(to: height, axis: self.height, lines: 1, step: width * 3) { _, row in row * width * 3
        }
        return FloatImage(height: height, width: width, values: tall.values)
    }

    /// Resamples `lines` lines of `axis` samples, each `step` floats.
    private func resampled(
        to output: Int, axis: Int, lines: Int, step: Int, _ place: (_ line: Int, _ sample: Int) -> Int
    ) -> FloatImage {
        let filter = ResamplingKernel.bicubic.taps(from: axis, to: output)
        var weights = [Double](repeating: 0, count: filter.most)
        var result = [Float](repeating: 0, count: lines * output * step)
        var sums = [Double](repeating: 0, count: step)
        for sample in 0..<output {
            let (first, count) = filter.weights(of: sample, into: &weights)
            for line in 0..<lines {
                for index in 0..<step { sums[index] = 0 }
                for tap in 0..<count {
                    let from = place(line, first + tap)
                    for index in 0..<step { sums[index] += Double(values[from + index]) * weights[tap] }
                }
                let to = (line * output + sample) * step
                for index in 0..<step { result[to + index] = Float(sums[index]) }
            }
        }
        return FloatImage(height: height, width: width, values: result)
    }
}

extension RGBImage {
    /// The crop with which diffusion models are trained (ADM, DiT): halved by averaging while the shorter side is at
    /// least twice `size`, then resized with Pillow's bicubic filter until it is `size`, then cut in the middle.
    ///
    /// - Throws: `ZooError` at a resource limit, or for a size out of `1...Preprocessing.maximumSize`.
    public func centreCropped(to size: Int, limits: ResourceLimits) throws -> RGBImage {
        guard (1...Preprocessing.maximumSize).contains(size) else {
            throw ZooError(
                .usage, "cannot crop to this size", expected: "1...\(Preprocessing.maximumSize)", found: "\(size)",
                code: "preprocessing.invalid")
        }
        var image = self
        while min(image.height, image.width) >= 2 * size {
            image = try image.resampled(
                CropGeometry(height: image.height / 2, width: image.width / 2), .box, limits: limits)
        }
        let scale = Double(size) / Double(min(image.height, image.width))
        func scaled(_ side: Int) -> Int { Int((Double(side) * scale).rounded(.toNearestOrEven)) }
        let (height, width) = (scaled(image.height), scaled(image.width))
        if (height, width) != (image.height, image.width) {
            image = try image.resampled(CropGeometry(height: height, width: width), .bicubic, limits: limits)
        }
        let (top, left) = ((height - size) / 2, (width - size) / 2)
        var rows: [UInt8] = []
        for row in top..<top + size {
            let first = (row * width + left) * 3
            rows += image.pixels[first..<first + size * 3]
        }
        return RGBImage(height: size, width: size, pixels: rows)
    }
}
