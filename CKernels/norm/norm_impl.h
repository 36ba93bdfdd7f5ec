/* Layer norm and average pooling (order of summation: norm/README.md). */
#include "norm/norm.h"

/* Lanes from `n` on count as zero. */
CK_INLINE vf norm_centred(const float *x, size_t n, vf mean) {
    return n >= VL ? v_sub(v_load(x), mean) : v_sub(v_load_n(x, n), v_first(mean, n));
}

/* Sum over a row of (x - mean), or of its square. */
CK_INLINE float norm_moment(const float *x, size_t channels, float mean, const int square) {
    vf sum[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
    const vf centre = v_set(mean);
    size_t c = 0;
    for (; c + 4 * VL <= channels; c += 4 * VL) {
#pragma clang loop unroll(full)
        for (size_t i = 0; i < 4; i++) {
            const vf y = norm_centred(x + c + i * VL, VL, centre);
            sum[i] = square ? v_fma(y, y, sum[i]) : v_add(y, sum[i]);
        }
    }
    for (; c < channels; c += VL) {
        const vf y = norm_centred(x + c, channels - c, centre);
        sum[0] = square ? v_fma(y, y, sum[0]) : v_add(y, sum[0]);
    }
    return v_sum(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
}

/* The mean of a row and 1 / sqrt(variance + epsilon). */
CK_INLINE void norm_statistics(const float *x, size_t channels, float epsilon, vf *centre, vf *scale) {
    const float mean = norm_moment(x, channels, 0, 0) / (float)channels;
    const float variance = norm_moment(x, channels, mean, 1) / (float)channels;
    *centre = v_set(mean);
    *scale = v_set(1 / sqrtf(variance + epsilon));
}

CK_INLINE vf norm_load(const float *p, size_t n) { return n >= VL ? v_load(p) : v_load_n(p, n); }

void CK_NAME(ck_layer_norm_rows)(const ck_layer_norm_args *args, size_t row, size_t rows) {
    const size_t channels = args->channels;
    const float *x = args->x + row * args->x_stride;
    const float *residual = args->residual ? args->residual + row * args->residual_stride : NULL;
    float *out = args->out + row * args->out_stride;
    for (; rows > 0; rows--, x += args->x_stride, out += args->out_stride) {
        vf centre, scale;
        norm_statistics(x, channels, args->epsilon, &centre, &scale);
        for (size_t c = 0; c < channels; c += VL) {
            const size_t n = channels - c;
            vf y = v_mul(v_sub(norm_load(x + c, n), centre), scale);
            if (args->gamma) y = v_mul(y, norm_load(args->gamma + c, n));
            if (args->beta) y = v_add(y, norm_load(args->beta + c, n));
            if (residual) y = v_add(y, norm_load(residual + c, n));
            if (n >= VL) {
                v_store(out + c, y);
            } else {
                v_store_n(out + c, y, n);
            }
        }
        if (residual) residual += args->residual_stride;
    }
}

void CK_NAME(ck_mean_channels)(const ck_mean_args *args, size_t b, size_t channel, size_t channels) {
    const vf tokens = v_set((float)args->tokens);
    for (size_t c = 0; c < channels; c += VL) {
        const size_t n = channels - c < VL ? channels - c : VL;
        const float *x = args->x + b * args->tokens * args->x_stride + channel + c;
        vf sum = v_zero();
        for (size_t first = 0; first < args->tokens; first += CK_MEAN_RUN) {
            vf run = v_zero();
            for (size_t t = first; t < args->tokens && t < first + CK_MEAN_RUN; t++, x += args->x_stride)
                run = v_add(run, norm_load(x, n));
            sum = v_add(sum, run);
        }
        v_store_n(args->out + b * args->channels + channel + c, v_div(sum, tokens), n);
    }
}

void CK_NAME(ck_norm_sum)(const ck_norm_mean_args *args, size_t b, size_t first, size_t count, float *sum) {
    const size_t channels = args->channels;
    const float *x = args->x + (b * args->tokens + first) * args->x_stride;
    memset(sum, 0, channels * sizeof(float));
    for (; count > 0; count--, x += args->x_stride) {
        vf centre, scale;
        norm_statistics(x, channels, args->epsilon, &centre, &scale);
        size_t c = 0;
        for (; c + VL <= channels; c += VL)
            v_store(sum + c, v_fma(v_sub(v_load(x + c), centre), scale, v_load(sum + c)));
        const size_t n = channels - c;
        v_store_n(sum + c, v_fma(v_sub(v_load_n(x + c, n), centre), scale, v_load_n(sum + c, n)), n);
    }
}
