extension Tensor {
    /// Reorders channels-first images [B, C, H, W] to channels last [B, H, W, C].
    ///
    /// - Precondition: the tensor has four dimensions.
    public func channelsLast() -> Tensor {
        let (batch, channels, pixels) = (shape[0], shape[1], shape[2] * shape[3])
        return Tensor(
            shape: [batch, shape[2], shape[3], channels],
            values: transposed(matrices: batch, rows: channels, columns: pixels))
    }

    /// Reorders channels-last images [B, H, W, C] to channels first [B, C, H, W].
    ///
    /// - Precondition: the tensor has four dimensions.
    public func channelsFirst() -> Tensor {
        let (batch, pixels, channels) = (shape[0], shape[1] * shape[2], shape[3])
        return Tensor(
            shape: [batch, channels, shape[1], shape[2]],
            values: transposed(matrices: batch, rows: pixels, columns: channels))
    }

    /// The elements, seen as `matrices` row-major matrices, with rows and columns exchanged.
    private func transposed(matrices: Int, rows: Int, columns: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { destination, initialized in
            withUnsafeValues { source in
                var to = 0
                for matrix in 0..<matrices {
                    for column in 0..<columns {
                        var from = (matrix * rows) * columns + column
                        for _ in 0..<rows {
                            destination[to] = source[from]
                            to += 1
                            from += columns
                        }
                    }
                }
            }
            initialized = count
        }
    }
}
