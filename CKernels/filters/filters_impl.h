/*
 * The filter predictor (order of summation: filters/README.md): a product of a vector with a few matrices at once, so
 * that one chain of additions hides the latency of the others.
 */
#include "filters/filters.h"

/*
 * `out[m][c] = bias[m][c] + sum over i of weight[m][i][c] x[i]` for `count` d x d matrices; the rows of bias and out are
 * `stride` floats apart. `gelu`: through GELU.
 */
CK_INLINE void filters_product(size_t d, const float *x, const size_t count, const float *weight, const float *bias,
                               float *out, size_t stride, const int gelu) {
    for (size_t c = 0; c < d; c += VL) {
        const size_t n = d - c < VL ? d - c : VL;
        vf sum[CK_FILTER_TAPS];
#pragma clang loop unroll(full)
        for (size_t m = 0; m < count; m++) sum[m] = v_load_n(bias + m * stride + c, n);
        for (size_t i = 0; i < d; i++) {
            const vf value = v_set(x[i]);
            const float *const row = weight + i * d + c;
#pragma clang loop unroll(full)
            for (size_t m = 0; m < count; m++) {
                const vf w = n == VL ? v_load(row + m * d * d) : v_load_n(row + m * d * d, n);
                sum[m] = v_fma(value, w, sum[m]);
            }
        }
#pragma clang loop unroll(full)
        for (size_t m = 0; m < count; m++) v_store_n(out + m * stride + c, gelu ? v_gelu(sum[m]) : sum[m], n);
    }
}

void CK_NAME(ck_filters_group)(const ck_filters_args *args, size_t b, size_t g) {
    const size_t d = args->group_channels, channels = args->groups * d;
    float hidden[CK_FILTERS_HIGHEST_GROUP];
    filters_product(d, args->x + b * channels + g * d, 1, args->hidden_weight + g * d * d, args->hidden_bias + g * d,
                    hidden, d, 1);
    filters_product(d, hidden, CK_FILTER_TAPS, args->weight + g * CK_FILTER_TAPS * d * d, args->bias + g * d,
                    args->out + b * CK_FILTER_TAPS * channels + g * d, channels, 0);
}
