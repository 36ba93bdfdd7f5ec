/** One output pixel of a pooling. Internal. */
#ifndef POOLING_H
#define POOLING_H

#include "ck_pooling.h"

/** The part of a window that lies in the image: `rows` rows of `columns` pixels, neither of them 0. */
typedef struct {
    const float *x;
    size_t rows, row_stride;
    size_t columns, pixel_stride;
} ck_pooling_window;

/** Writes the average or maximum of every channel. */
typedef void ck_pooling_function(ck_pooling kind, size_t channels, const ck_pooling_window *window, float *out);

ck_pooling_function ck_pooling_ref, ck_pooling_portable, ck_pooling_avx2, ck_pooling_avx512;

#endif
