import ZooCore
import ZooDatasets
import ZooImage
import ZooMetrics

/// What metrics need of a set: statistics or features, read where a file brings them and computed where it brings images.
public struct MetricSet {
    /// What a set is asked for.
    public struct Needs: OptionSet, Sendable {
        public let rawValue: Int

        public init(rawValue: Int) { self.rawValue = rawValue }

        /// Mean and covariance of the pooled features.
        public static let pooledStatistics = Needs(rawValue: 1)
        /// Mean and covariance of the spatial features.
        public static let spatialStatistics = Needs(rawValue: 2)
        /// The pooled features themselves.
        public static let pooledFeatures = Needs(rawValue: 4)
        public static let logits = Needs(rawValue: 8)
    }

    /// Where the numbers come from, for the result.
    public struct Source: Codable, Sendable, Equatable {
        public let name: String
        /// `statistics`, `features` or `images`, or several of them.
        public let given: [String]
        /// `nil` for bare statistics, which do not say.
        public let images: Int?
        /// Images that were decoded with warnings, and count as what the decoder made of them.
        public let badImages: [Metrics.BadImage]
        /// Files beside the images that are not part of the set.
        public let ignored: [IgnoredFile]
    }

    public let source: Source
    private let statistics: [FeatureKind: GaussianStatistics]
    private let features: [FeatureKind: FeatureMatrix]

    /// - Parameters:
    ///   - extractor: makes the network only where images have to be looked at.
    ///   - progress: called with images done and their number.
    ///   - shouldStop: asked between batches.
    /// - Throws: `ZooError`: files that hold neither what is needed nor images, images that cannot be decoded, kind
    ///   `interrupted` on request.
    public init(
        _ input: MetricInput, _ needs: Needs, extractor: () throws -> FeatureExtractor,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }, shouldStop: () -> Bool = { false }
    ) throws {
        var statistics: [FeatureKind: GaussianStatistics] = [:]
        var features: [FeatureKind: FeatureMatrix] = [:]
        let distributions = needs.distributions
        for kind in distributions { statistics[kind] = try input.statistics(kind) }
        var given = statistics.isEmpty ? [] : ["statistics"]
        let wanted = needs.rows.union(distributions.filter { statistics[$0] == nil })
        for kind in wanted { features[kind] = try input.features(kind) }
        var images = features.values.map(\.rows).first
        var badImages: [Metrics.BadImage] = []
        if !features.isEmpty { given.append("features") }
        let missing = wanted.filter { features[$0] == nil }
        if !missing.isEmpty {
            guard let count = try input.imageCount() else { throw Self.lacking(missing, input) }
            let network = try extractor()
            guard missing.isSubset(of: network.kinds) else {
                throw ZooError(
                    .usage, "\(network.choice.rawValue) has no such features", at: "--features",
                    found: missing.subtracting(network.kinds).map(\.rawValue).sorted().joined(separator: ", "))
            }
            images = count
            given.append("images")
            var sums: [FeatureKind: GaussianAccumulator] = [:]
            for kind in distributions.intersection(missing) where statistics[kind] == nil {
                sums[kind] = GaussianAccumulator(dimensions: network.dimensions(of: kind))
            }
            for kind in needs.rows.intersection(missing) {
                features[kind] = FeatureMatrix(dimensions: network.dimensions(of: kind))
            }
            var done = 0
            badImages = try input.forEachBatch(of: network.batchSize, limits: ResourceLimits()) { batch in
                guard !shouldStop() else {
                    throw ZooError(.interrupted, "interrupted after \(done) of \(count) images", file: input.name)
                }
                for (kind, rows) in try network.features(of: batch, missing) {
                    sums[kind]?.add(rows)
                    try features[kind]?.append(rows, name: kind.rawValue)
                }
                done += batch.count
                progress(done, count)
            }
            for (kind, sum) in sums { statistics[kind] = try input.naming(kind.rawValue) { try sum.statistics() } }
        }
        for kind in distributions where statistics[kind] == nil {
            statistics[kind] = try features[kind].map { features in
                try input.naming(kind.rawValue) { try GaussianStatistics(of: features) }
            }
        }
        self.statistics = statistics
        self.features = features
        source = Source(
            name: input.name, given: given, images: images, badImages: badImages, ignored: input.ignored)
    }

    private static func lacking(_ kinds: Set<FeatureKind>, _ input: MetricInput) -> ZooError {
        let wanted = kinds.map { kind in
            switch kind {
            case .pooled: "mu and sigma, pool3 or features"
            case .spatial: "mu_s and sigma_s, or spatial"
            case .logits: "logits"
            }
        }
        return ZooError(
            .badData, "holds neither what the metric needs nor images", file: input.name,
            expected: "\(wanted.sorted().joined(separator: "; ")); or images in arr_0", code: "metrics.lacking")
    }

    /// Mean and covariance of a kind that was asked for.
    public func statistics(_ kind: FeatureKind) throws(ZooError) -> GaussianStatistics {
        guard let found = statistics[kind] else { throw ZooError(.internal, "no statistics of \(kind.rawValue)") }
        return found
    }

    /// Features of a kind that was asked for.
    public func features(_ kind: FeatureKind) throws(ZooError) -> FeatureMatrix {
        guard let found = features[kind] else { throw ZooError(.internal, "no features of \(kind.rawValue)") }
        return found
    }
}

extension MetricSet.Needs {
    /// Kinds whose mean and covariance are needed.
    fileprivate var distributions: Set<FeatureKind> {
        Set((contains(.pooledStatistics) ? [.pooled] : []) + (contains(.spatialStatistics) ? [.spatial] : []))
    }

    /// Kinds whose rows are needed.
    fileprivate var rows: Set<FeatureKind> {
        Set((contains(.pooledFeatures) ? [.pooled] : []) + (contains(.logits) ? [.logits] : []))
    }
}
