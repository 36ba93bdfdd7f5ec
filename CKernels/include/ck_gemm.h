#ifndef CK_GEMM_H
#define CK_GEMM_H

#include "ck_pool.h"

#include <stdint.h>

/** The element-wise function at the end of a product. */
typedef enum {
    CK_ACTIVATION_NONE = 0,
    CK_ACTIVATION_GELU = 1, /**< exact: x * (1 + erf(x / sqrt 2)) / 2 */
    CK_ACTIVATION_SILU = 2,      /**< x / (1 + exp(-x)) */
    CK_ACTIVATION_GELU_TANH = 3, /**< x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2 */
    CK_ACTIVATION_RELU = 4       /**< max(x, 0) */
} ck_activation;

/**
 * What happens to a product before it is stored, in this order:
 * `v = product + bias`, `v = activation(v)`, `v = v * scale`, `v = v + residual`.
 */
typedef struct {
    const float *bias; /**< [n], or NULL */
    ck_activation activation;
    const float *scale;     /**< [n], or NULL (layer scale) */
    const float *residual;  /**< [rows][n] with `residual_stride`, or NULL; may be the output itself */
    size_t residual_stride; /**< in floats */
} ck_epilogue;

/** Weights are packed in panels of this many output columns, whatever the instruction set. */
#define CK_PANEL 32

/** Floats that the packed form of an [n][k] weight takes: n rounded up to whole panels, times k. */
size_t ck_gemm_packed_count(size_t n, size_t k);

/**
 * Packs a weight `[n][k]` (PyTorch's Linear layout, row stride `stride` floats) into panels `[n/32][k][32]`, the last
 * one filled up with zeros. The packed form serves every instruction set.
 */
void ck_gemm_pack(size_t n, size_t k, const float *weight, size_t stride, float *packed);

/** The upper half of a float: its sign, its 8 bits of exponent and 7 bits of fraction. */
typedef uint16_t ck_bf16;

/** Elements that the packed bf16 form of an [n][taps][channels] weight takes: whole panels of whole pairs. */
size_t ck_gemm_packed_bf16_count(size_t n, size_t taps, size_t channels);

/**
 * Rounds a weight `[n][taps][channels]` (row stride `stride` floats) to bf16, to nearest, ties to even, and packs it into
 * panels `[n/32][taps][channels/2][32][2]`: pairs of neighbouring channels, zeros behind the last column and beside an
 * odd last channel. A matrix has one tap and k channels, a convolution kernel_height * kernel_width taps.
 */
void ck_gemm_pack_bf16(size_t n, size_t taps, size_t channels, const float *weight, size_t stride, ck_bf16 *packed);

/** The affine part of a norm that differs from call to call and from image to image, such as a modulation. */
typedef struct {
    const float *scale, *shift; /**< [k] for the first rows; both NULL for none */
    size_t rows;                /**< rows that share one, 0 for all */
    size_t stride;              /**< floats to scale and shift of the next rows */
} ck_norm_affine;

/** `out[r] = epilogue(norm(x[r]) * weight^T)` for `rows` rows. */
typedef struct {
    size_t rows, n, k;
    const float *x; /**< [rows][k], row stride `x_stride` */
    size_t x_stride;
    /**
     * When positive, each row of x is layer-normalised first: `(x - mean) / sqrt(variance + norm_epsilon)`, biased
     * variance. An affine part that is always the same belongs in weight and bias. 0 takes x as it is.
     */
    float norm_epsilon;
    ck_norm_affine norm_affine; /**< `normalised * scale + shift`; needs norm_epsilon > 0 */
    const float *packed; /**< from ck_gemm_pack, or NULL */
    /**
     * From ck_gemm_pack_bf16, or NULL: exactly one of the two is given. With bf16 weights every input, after the norm, is
     * rounded to bf16 as well; products are exact and summed in float, and the ends are computed in float.
     */
    const ck_bf16 *packed_bf16;
    float *out; /**< [rows][n], row stride `out_stride`; must not overlap x */
    size_t out_stride;
    ck_epilogue epilogue;
} ck_gemm_args;

/** Bytes of scratch (64-byte aligned) that `ck_gemm_f32` needs for these sizes. */
size_t ck_gemm_scratch(const ck_context *context, const ck_gemm_args *args);

/**
 * Matrix product with fused ends, O(rows * n * k). Each output is one chain of fused multiply-adds over k, in order;
 * with bf16 weights the second of a pair comes before the first, as in the processors' bf16 dot product, which takes
 * inputs, weights and sums below 1.2e-38 as zero.
 *
 * rows, n and k are at most 2^31 - 1. `scratch` may be NULL where `ck_gemm_scratch` returns 0.
 */
ck_status ck_gemm_f32(const ck_context *context, const ck_gemm_args *args, void *scratch);

#endif
