import CKernels
import ZooCore

/// The mean of every channel over the pixels of each image: [batch, height, width, C] to [batch, 1, 1, C].
package func globalAveragePool(_ x: FeatureMap, into output: FeatureMap, on runtime: Runtime) {
    precondition(output.stride == x.channels)
    let arguments = ck_mean_args(
        batch: x.batch, tokens: x.tokens, channels: x.channels, x: x.base, x_stride: x.stride, out: output.base)
    runtime.run(arguments, in: "pool")
}
