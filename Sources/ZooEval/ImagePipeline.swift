import Foundation
import ZooCore
import ZooDatasets
import ZooImage

/// Decodes and preprocesses images on threads of its own, ahead of the model, and hands them out in order as batches.
///
/// The batches lie in a ring of fixed buffers that are filled in place, so the memory is bounded by
/// `depth * batchSize` inputs whatever the size of the dataset, and nothing is copied on the way to the model.
final class ImagePipeline: @unchecked Sendable {
    /// Consecutive images, preprocessed.
    struct Batch {
        /// Position of the first image in the order of evaluation.
        let first: Int
        /// The fate of each image.
        let images: [Preprocessed]
        /// [images.count, height, width, 3]; the place of a failed image holds zeros.
        let values: UnsafePointer<Float>
    }

    /// What became of one image.
    struct Preprocessed {
        var status = DecodingStatus.ok
        var problem: String?
        /// Reading the file included.
        var decodeSeconds = 0.0
        var preprocessSeconds = 0.0
    }

    private let dataset: any ImageDataset
    private let samples: [ImageSample]
    private let preprocessor: Preprocessor
    private let limits: ResourceLimits
    private let batchSize: Int
    private let depth: Int
    private let buffer: UnsafeMutableBufferPointer<Float>

    /// Guards everything below.
    private let condition = NSCondition()
    private var images: [[Preprocessed]]
    private var filled: [Int]
    private var nextImage = 0
    private var consumedBatches = 0
    private var isStopped = false
    private var runningWorkers: Int

    /// Starts `workers` threads.
    init(
        dataset: any ImageDataset, samples: [ImageSample], preprocessor: Preprocessor, batchSize: Int, workers: Int,
        limits: ResourceLimits
    ) {
        self.dataset = dataset
        self.samples = samples
        self.preprocessor = preprocessor
        self.limits = limits.shared(byDecoders: workers)
        self.batchSize = batchSize
        // One batch at the model, one complete, and room for every worker to be at another image.
        depth = 2 + (workers + batchSize - 1) / batchSize
        buffer = .allocate(capacity: depth * batchSize * preprocessor.inputCount)
        buffer.initialize(repeating: 0)
        images = [[Preprocessed]](repeating: [], count: depth)
        filled = [Int](repeating: 0, count: depth)
        runningWorkers = workers
        for index in images.indices { images[index] = emptyBatch(index) }
        for _ in 0..<workers { Thread.detachNewThread { [self] in work() } }
    }

    deinit {
        buffer.deallocate()
    }

    /// Calls `body` with the next batch, waiting for it if need be; `nil` after the last one.
    func withNextBatch<R>(_ body: (Batch) throws -> R) rethrows -> R? {
        condition.lock()
        let number = consumedBatches
        let slot = number % depth
        let count = size(ofBatch: number)
        while filled[slot] < count { condition.wait() }
        let images = self.images[slot]
        condition.unlock()
        guard count > 0, let base = buffer.baseAddress else { return nil }
        defer {
            condition.withLock {
                filled[slot] = 0
                consumedBatches += 1
                self.images[slot] = emptyBatch(number + depth)
                condition.broadcast()
            }
        }
        return try body(
            Batch(
                first: number * batchSize, images: images,
                values: UnsafePointer(base + slot * batchSize * preprocessor.inputCount)))
    }

    /// Ends the workers and waits for them.
    func stop() {
        condition.withLock {
            isStopped = true
            condition.broadcast()
            while runningWorkers > 0 { condition.wait() }
        }
    }

    private func size(ofBatch number: Int) -> Int {
        max(0, min(batchSize, samples.count - number * batchSize))
    }

    private func emptyBatch(_ number: Int) -> [Preprocessed] {
        [Preprocessed](repeating: Preprocessed(), count: size(ofBatch: number))
    }

    private func work() {
        condition.lock()
        while true {
            while !isStopped, nextImage < samples.count, nextImage / batchSize >= consumedBatches + depth {
                condition.wait()
            }
            guard !isStopped, nextImage < samples.count else { break }
            let index = nextImage
            nextImage += 1
            condition.unlock()
            let slot = index / batchSize % depth
            let place = index % batchSize
            let count = preprocessor.inputCount
            let input = UnsafeMutableBufferPointer(
                rebasing: buffer[((slot * batchSize + place) * count)..<((slot * batchSize + place + 1) * count)])
            let result = preprocess(samples[index], into: input)
            condition.lock()
            images[slot][place] = result
            filled[slot] += 1
            condition.broadcast()
        }
        runningWorkers -= 1
        condition.broadcast()
        condition.unlock()
    }

    private func preprocess(_ sample: ImageSample, into input: UnsafeMutableBufferPointer<Float>) -> Preprocessed {
        var result = Preprocessed()
        let clock = ContinuousClock()
        let start = clock.now
        var decoding = Duration.zero
        do {
            var cropping = start
            let decoded = try dataset.withBytes(of: sample, limit: limits.maxFileBytes) {
                cropping = clock.now
                return try preprocessor.crop(decoding: $0, limits: limits, decodingTime: &decoding)
            }
            preprocessor.normalize(decoded.image, into: input)
            if case .warned(let error) = decoded.status {
                result.status = .warned
                result.problem = error.description
            }
            result.decodeSeconds = (cropping - start + decoding).seconds
            result.preprocessSeconds = (clock.now - cropping - decoding).seconds
        } catch {
            input.update(repeating: 0)
            result.status = .failed
            result.problem = "\(error)"
            result.decodeSeconds = (clock.now - start).seconds
        }
        return result
    }
}

extension Duration {
    /// The duration in seconds.
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
