#ifndef CK_CONV_H
#define CK_CONV_H

#include "ck_gemm.h"

/** Rows and columns of zeros around an image. */
typedef struct {
    size_t top, left, bottom, right;
} ck_padding;

/**
 * Dense 2-D convolution on channels-last images, zero padding, as an implicit matrix product: no im2col is materialised.
 *
 * Output size per axis: `(size + padding - kernel) / stride + 1`, padding being that of both sides. The weight is packed by
 * `ck_gemm_pack(out_channels, kernel_height * kernel_width * channels, ...)` or
 * `ck_gemm_pack_bf16(out_channels, kernel_height * kernel_width, channels, ...)` from the order [out][ky][kx][in].
 */
typedef struct {
    size_t batch, height, width, channels;
    size_t out_channels;
    size_t kernel_height, kernel_width, stride;
    ck_padding padding;
    const float *x; /**< [batch][height][width][channels], pixel stride `x_stride` floats */
    size_t x_stride;
    /**
     * [batch][channels] both, or NULL: what is convolved is then `silu(x * factor + offset)`, a norm with its activation
     * in the pass that lays the zeros around the image.
     */
    const float *factor, *offset;
    const float *packed;        /**< or NULL */
    const ck_bf16 *packed_bf16; /**< or NULL: exactly one of the three is given; see ck_gemm_args */
    const float *packed_winograd; /**< from ck_winograd_pack, or NULL */
    /**
     * Whether weights in `packed` are transformed in this call: slower than once and for all with `packed_winograd`, but
     * they take 9/16 of the memory. Winograd's convolution F(2x2, 3x3), for kernels of 3 x 3 with stride 1, takes 16
     * multiply-adds where the definition has 36 (Lavin and Gray, arXiv 1509.09308).
     */
    int winograd;
    float *out; /**< [batch][out_height][out_width][out_channels], pixel stride `out_stride` */
    size_t out_stride;
    /**
     * Floats from an output row to the next, 0 for dense rows: with it and `out_stride` a convolution fills every second
     * pixel of every second row of a larger image. Not together with a residual.
     */
    size_t out_line_stride;
    ck_epilogue epilogue;
} ck_conv_args;

/**
 * Output rows or columns of a convolution over `size` input rows or columns with `padding` zeros on both sides together;
 * 0 when the kernel does not fit.
 */
size_t ck_conv_output(size_t size, size_t kernel, size_t stride, size_t padding);

/** Floats that the transformed form of a weight with 3 x 3 kernels takes. */
size_t ck_winograd_packed_count(size_t out_channels, size_t channels);

/** Transforms a packed weight of a 3 x 3 kernel for Winograd's convolution; the same bits on every instruction set. */
void ck_winograd_pack(size_t out_channels, size_t channels, const float *packed, float *transformed);

/** Bytes of scratch (64-byte aligned) that `ck_conv_f32` needs. */
size_t ck_conv_scratch(const ck_context *context, const ck_conv_args *args);

ck_status ck_conv_f32(const ck_context *context, const ck_conv_args *args, void *scratch);

#endif
