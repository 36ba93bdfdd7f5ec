#include "pooling/pooling.h"

/* One vector of channels, `count` of them. */
CK_INLINE vf pooled(const ck_pooling kind, const ck_pooling_window *window, size_t channel, const size_t count) {
    const float *row = window->x + channel;
    vf result = count == VL ? v_load(row) : v_load_n(row, count);
    for (size_t r = 0; r < window->rows; r++, row += window->row_stride) {
        const float *pixel = row;
        for (size_t c = 0; c < window->columns; c++, pixel += window->pixel_stride) {
            if (r == 0 && c == 0) continue;
            const vf value = count == VL ? v_load(pixel) : v_load_n(pixel, count);
            result = kind == CK_POOLING_MAX ? v_max(result, value) : v_add(result, value);
        }
    }
    if (kind == CK_POOLING_MAX) return result;
    return v_div(result, v_set((float)(window->rows * window->columns)));
}

CK_INLINE void pool_channels(const ck_pooling kind, size_t channels, const ck_pooling_window *window, float *out) {
    size_t c = 0;
    for (; c + VL <= channels; c += VL) v_store(out + c, pooled(kind, window, c, VL));
    if (c < channels) v_store_n(out + c, pooled(kind, window, c, channels - c), channels - c);
}

void CK_NAME(ck_pooling)(ck_pooling kind, size_t channels, const ck_pooling_window *window, float *out) {
    if (kind == CK_POOLING_MAX) {
        pool_channels(CK_POOLING_MAX, channels, window, out);
    } else {
        pool_channels(CK_POOLING_AVERAGE, channels, window, out);
    }
}
