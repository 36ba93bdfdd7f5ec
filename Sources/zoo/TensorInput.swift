import ZooCore
import ZooIO

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
}
