#ifndef CK_FEWHEAD_H
#define CK_FEWHEAD_H

#include "ck_attention.h"

/**
 * Linear attention of few, wide heads with a depthwise convolution of the values beside it (LiT):
 *
 *     out = core + bias + sum over taps of weight * v
 *
 * The convolution sees the values of a head as an image of height * width tokens in row order, with zero padding; all
 * heads share its filters.
 */
typedef struct {
    ck_attention_args attention; /**< `rope`, `local` and `gate` must be NULL; tokens = height * width */
    size_t height, width;
    size_t kernel;       /**< 3, 5 or 7 */
    const float *weight; /**< [kernel * kernel][head_dim], taps in row order; NULL for no depthwise branch */
    const float *bias;   /**< [head_dim], or NULL */
} ck_fewhead_args;

/** ReLU + 1e-6 linear attention with its depthwise branch (mathematics: fewhead/README.md). */
ck_status ck_fewhead_f32(const ck_context *context, const ck_fewhead_args *args, void *scratch);
/** Bytes of scratch (64-byte aligned) that `ck_fewhead_f32` needs. */
size_t ck_fewhead_scratch(const ck_context *context, const ck_fewhead_args *args);

#endif
