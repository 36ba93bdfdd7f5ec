#ifndef CK_DWCONV_H
#define CK_DWCONV_H

#include "ck_pool.h"

/**
 * Depthwise 2-D convolution on channels-last images: stride 1, zero padding `kernel / 2`, square odd kernel (3, 5 or 7).
 *
 * `out = (add_input ? x : 0) + bias + sum over taps of weight * x`.
 *
 * The map may be cut into windows, row by row from the upper left corner, the last ones smaller where the sides do not
 * divide: pixels of other windows then count as zero.
 */
typedef struct {
    size_t batch, height, width, channels;
    size_t kernel;
    size_t window_height, window_width; /**< at least 1; `height` and `width` for the whole map */
    const float *x; /**< [batch][height][width][channels], pixel stride `x_stride` floats */
    size_t x_stride;
    const float *weight; /**< [kernel * kernel][channels], taps in row order */
    const float *bias;   /**< [channels], or NULL */
    int add_input;       /**< the fused residual connection */
    float *out;          /**< same shape, pixel stride `out_stride`; must not overlap x */
    size_t out_stride;
} ck_dwconv_args;

ck_status ck_dwconv_f32(const ck_context *context, const ck_dwconv_args *args);

#endif
