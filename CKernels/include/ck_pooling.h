#ifndef CK_POOLING_H
#define CK_POOLING_H

#include "ck_pool.h"

typedef enum {
    CK_POOLING_AVERAGE = 0, /**< over the pixels of the window that lie in the image */
    CK_POOLING_MAX = 1      /**< of the pixels of the window that lie in the image */
} ck_pooling;

/**
 * The average or the maximum over square windows of channels-last images. Pixels outside the image do not count: they
 * neither add a zero nor enlarge the divisor.
 */
typedef struct {
    size_t batch, height, width, channels;
    size_t kernel, stride, padding; /**< padding, on every side, is less than the kernel */
    ck_pooling kind;
    const float *x; /**< [batch][height][width][channels], pixel stride `x_stride` floats */
    size_t x_stride;
    /** [batch][out_height][out_width][channels], pixel stride `out_stride`; sizes as `ck_conv_output` has them */
    float *out;
    size_t out_stride;
} ck_pooling_args;

/** O(pixels * channels * kernel^2), one pass. A sum runs over the rows of a window and over the pixels of each row. */
ck_status ck_pooling_f32(const ck_context *context, const ck_pooling_args *args);

#endif
