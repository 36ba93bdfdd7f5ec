#ifndef CK_GROUPNORM_H
#define CK_GROUPNORM_H

#include "ck_pool.h"

/**
 * Group norm over the pixels and the channels of each group, biased variance, and SiLU after it where asked for:
 *
 *     out = activation((x - mean) / sqrt(variance + epsilon) * gamma + beta)
 *
 * Channels are last; group g owns channels `g * channels / groups ..< (g + 1) * channels / groups`.
 */
typedef struct {
    size_t batch, pixels, channels, groups; /**< channels is a multiple of groups */
    const float *x;                         /**< [batch][pixels][channels], pixel stride `x_stride` floats */
    size_t x_stride;
    const float *gamma, *beta; /**< [channels] each */
    float epsilon;
    int silu;   /**< 0: no activation */
    float *out; /**< pixel stride `out_stride`; may be x itself */
    size_t out_stride;
} ck_group_norm_args;

/** Bytes of scratch (64-byte aligned) that `ck_group_norm_f32` needs. */
size_t ck_group_norm_scratch(const ck_context *context, const ck_group_norm_args *args);

/** One pass over x for the moments, one for the result; order of summation: groupnorm/README.md. */
ck_status ck_group_norm_f32(const ck_context *context, const ck_group_norm_args *args, void *scratch);

/** A group norm without its last pass, for a kernel that applies it to what it reads. */
typedef struct {
    ck_group_norm_args norm; /**< `silu` and `out` do not matter */
    float *factor, *offset;  /**< [batch][channels] each: the norm is x * factor + offset */
} ck_group_norm_factors_args;

/** Bytes of scratch (64-byte aligned) that `ck_group_norm_factors_f32` needs. */
size_t ck_group_norm_factors_scratch(const ck_context *context, const ck_group_norm_factors_args *args);

/** One pass over x. */
ck_status ck_group_norm_factors_f32(const ck_context *context, const ck_group_norm_factors_args *args, void *scratch);

#endif
