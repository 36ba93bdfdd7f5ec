/* The passes of a group norm over a run of pixels (order of summation: groupnorm/README.md). */
#include "groupnorm/groupnorm.h"

/* The moments of `vectors` vectors of channels, whose last one has `tail` lanes. */
CK_INLINE void moments(const float *x, size_t stride, size_t count, size_t vectors, size_t tail, float *sums,
                       float *squares) {
    vf sum[4], square[4], mean[4];
    const vf share = v_set(1.0f / (float)count);
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) sum[v] = square[v] = v_zero();
    for (size_t p = 0; p < count; p++) {
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) {
            const float *const at = x + p * stride + v * VL;
            sum[v] = v_add(sum[v], v + 1 < vectors || tail == VL ? v_load(at) : v_load_n(at, tail));
        }
    }
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) mean[v] = v_mul(sum[v], share);
    for (size_t p = 0; p < count; p++) {
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) {
            const float *const at = x + p * stride + v * VL;
            const vf y = v_sub(v + 1 < vectors || tail == VL ? v_load(at) : v_load_n(at, tail), mean[v]);
            square[v] = v_fma(y, y, square[v]);
        }
    }
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) {
        const size_t n = v + 1 < vectors ? VL : tail;
        v_store_n(sums + v * VL, sum[v], n);
        v_store_n(squares + v * VL, square[v], n);
    }
}

void CK_NAME(ck_group_norm_moments)(const ck_group_norm_args *args, size_t b, size_t first, size_t count, float *sums,
                                    float *squares) {
    const float *const x = args->x + (b * args->pixels + first) * args->x_stride;
    const size_t channels = args->channels;
    size_t c = 0;
    for (; c + 4 * VL <= channels; c += 4 * VL)
        moments(x + c, args->x_stride, count, 4, VL, sums + c, squares + c);
    for (; c < channels; c += VL) {
        const size_t left = channels - c;
        moments(x + c, args->x_stride, count, 1, left < VL ? left : VL, sums + c, squares + c);
    }
}

void CK_NAME(ck_group_norm_apply)(const ck_group_norm_args *args, size_t b, size_t first, size_t count,
                                  const float *factor, const float *offset) {
    const float *x = args->x + (b * args->pixels + first) * args->x_stride;
    float *out = args->out + (b * args->pixels + first) * args->out_stride;
    const size_t whole = args->channels / VL * VL, left = args->channels - whole;
    for (; count > 0; count--, x += args->x_stride, out += args->out_stride) {
        if (args->silu) {
            for (size_t c = 0; c < whole; c += VL)
                v_store(out + c, v_silu(v_fma(v_load(x + c), v_load(factor + c), v_load(offset + c))));
        } else {
            for (size_t c = 0; c < whole; c += VL)
                v_store(out + c, v_fma(v_load(x + c), v_load(factor + c), v_load(offset + c)));
        }
        if (left == 0) continue;
        const vf y = v_fma(v_load_n(x + whole, left), v_load_n(factor + whole, left), v_load_n(offset + whole, left));
        v_store_n(out + whole, args->silu ? v_silu(y) : y, left);
    }
}
