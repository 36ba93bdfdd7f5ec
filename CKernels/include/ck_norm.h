#ifndef CK_NORM_H
#define CK_NORM_H

#include "ck_pool.h"

/**
 * Layer norm over the channels of each row: `(x - mean) / sqrt(variance + epsilon) * gamma + beta + residual`, biased
 * variance.
 */
typedef struct {
    size_t rows, channels;
    const float *x; /**< [rows][channels], row stride `x_stride` floats */
    size_t x_stride;
    const float *gamma, *beta; /**< [channels] each, or NULL for 1 and 0 */
    float epsilon;
    const float *residual; /**< [rows][channels], row stride `residual_stride`, or NULL for none */
    size_t residual_stride;
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

/**
 * The mean of layer-normalised tokens: `out[b] = mean over the tokens of (x - mean) / sqrt(variance + epsilon)`, each
 * token with the mean and biased variance of its own channels. An affine part commutes with this mean and is the
 * caller's.
 */
typedef struct {
    size_t batch, tokens, channels;
    const float *x; /**< [batch][tokens][channels], row stride `x_stride` floats */
    size_t x_stride;
    float epsilon;
    float *out; /**< [batch][channels] */
} ck_norm_mean_args;

/** Bytes of scratch (64-byte aligned) that `ck_norm_mean_f32` needs. */
size_t ck_norm_mean_scratch(const ck_context *context, const ck_norm_mean_args *args);

ck_status ck_norm_mean_f32(const ck_context *context, const ck_norm_mean_args *args, void *scratch);

#endif
