import ZooCore
import ZooIO
import ZooNN

extension SafetensorsFile {
    /// A tensor of any floating-point type as float32.
    ///
    /// - Throws: `ZooError` of kind `badData` that names file and tensor.
    func realTensor(_ name: String) throws -> Tensor {
        guard let info = info(name) else {
            let present = names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", ..." : "")
            throw ZooError(.badData, "tensor is missing", file: self.name, at: name, found: present)
        }
        guard info.dtype.isFloatingPoint else {
            throw ZooError(
                .badData, "tensor has an unsuitable element type", file: self.name, at: name,
                expected: "a floating-point type", found: info.dtype.rawValue)
        }
        return try tensor(name)
    }

    /// Images (B, C, H, W) of any floating-point type.
    ///
    /// - Throws: `ZooError` of kind `badData` that names file and tensor.
    func images(_ name: String, channels: Int) throws -> Tensor {
        let images = try realTensor(name)
        guard images.shape.count == 4, images.shape[1] == channels, images.count > 0 else {
            throw ZooError(
                .badData, "tensor has another shape", file: self.name, at: name, expected: "(B, \(channels), H, W)",
                found: "\(images.shape)")
        }
        return images
    }

    /// Whole numbers, (B) of them.
    ///
    /// - Throws: `ZooError` of kind `badData` that names file and tensor.
    func integers(_ name: String, count: Int) throws -> [Int] {
        let values = try int64s(of: name)
        guard values.count == count else {
            throw ZooError(
                .badData, "tensor has another shape", file: self.name, at: name, expected: "(\(count))",
                found: "\(values.count) elements")
        }
        return values.map(Int.init)
    }

    /// `caption` (B, T, C) or (B, 1, T, C), a text encoder's features, and `mask` (B, T), not 0 for the tokens that
    /// belong to the caption.
    ///
    /// - Throws: `ZooError` of kind `badData` that names file and tensor.
    func captions(tokens: Int, channels: Int) throws -> Captions {
        let features = try realTensor("caption")
        var shape = features.shape
        if shape.count == 4, shape[1] == 1 { shape.remove(at: 1) }
        guard shape.count == 3, shape[0] > 0, shape.dropFirst() == [tokens, channels] else {
            throw ZooError(
                .badData, "tensor has another shape", file: name, at: "caption",
                expected: "(B, \(tokens), \(channels))", found: "\(features.shape)")
        }
        let mask = try integers("mask", count: shape[0] * tokens)
        return Captions(features: Tensor(shape: shape, values: features.values), isPresent: mask.map { $0 != 0 })
    }
}
