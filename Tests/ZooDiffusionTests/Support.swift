import Foundation
import TestSupport
import ZooCore
import ZooDiffusion
import ZooIO

/// A golden file of the diffusion arithmetic.
func golden(_ name: String) throws -> SafetensorsFile {
    try SafetensorsFile(path: Fixtures.path("diffusion/\(name).case.safetensors"))
}

/// The largest distance of any element.
func largestDistance(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Double {
    guard a.count == b.count else { return .infinity }
    return zip(a, b).reduce(0) { largest, pair in
        let distance = abs(Double(pair.0) - Double(pair.1))
        return distance.isNaN ? .infinity : max(largest, distance)
    }
}

/// The analytic network of the golden runs: noise and raw variance of a sample at a training step.
func analyticNetwork(_ sample: ArraySlice<Float>, at timestep: Int, withVariance: Bool = true) -> [Float] {
    let t = Double(timestep), r = t / 1000
    let noise = sample.map { value in
        let x = Double(value)
        return Float((0.2 + 0.795 * r) * x + 0.1 * (1 - r) * tanh(x) + 0.005 * cos(0.01 * t))
    }
    return withVariance ? noise + sample.map { Float(0.8 * sin(Double($0) + 0.001 * t)) } : noise
}
