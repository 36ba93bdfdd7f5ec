#ifndef CK_NORM_H
#define CK_NORM_H

#include "ck_pool.h"

/** Layer norm over the channels of each row: `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, biased variance. */
typedef struct {
    size_t rows, channels;
    const float *x; /**< [rows][channels], row stride `x_stride` floats */
    size_t x_stride;
    const float *gamma, *beta; /**< [channels] each, or NULL for 1 and 0 */
    float epsilon;
    float *out; /**< row stride `out_stride`; may be x itself */
    size_t out_stride;
} ck_layer_norm_args;

ck_status ck_layer_norm_f32(const ck_context *context, const ck_layer_norm_args *args);

/** Global average pooling: `out[b] = mean over the tokens of x[b]`. */
typedef struct {
    size_t batch, tokens, channels;
    const float *x; /**< [batch][tokens][channels], row stride `x_stride` floats */
    size_t x_stride;
    float *out; /**< [batch][channels] */
} ck_mean_args;

ck_status ck_mean_f32(const ck_context *context, const ck_mean_args *args);

#endif
