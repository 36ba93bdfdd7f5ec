/* The specification of pooling: plain loops, sums in double. */
#include "pooling/pooling.h"

#pragma STDC FP_CONTRACT OFF

void ck_pooling_ref(ck_pooling kind, size_t channels, const ck_pooling_window *window, float *out) {
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        float highest = window->x[c];
        for (size_t row = 0; row < window->rows; row++) {
            for (size_t column = 0; column < window->columns; column++) {
                const float value = window->x[row * window->row_stride + column * window->pixel_stride + c];
                sum += value;
                if (value > highest) highest = value;
            }
        }
        out[c] = kind == CK_POOLING_MAX ? highest : (float)(sum / (double)(window->rows * window->columns));
    }
}
