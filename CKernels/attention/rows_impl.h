/*
 * What the attention cores do with the rows of a tile: a few tokens of one head, `width` floats apart, the columns from
 * head_dim up to whole vectors zero.
 */
#include "attention/attention.h"

/* tile = map(x), x with row stride `stride` */
CK_INLINE void map_rows(vf (*map)(vf), const float *x, size_t stride, size_t rows, size_t head_dim, float *tile,
                        size_t width) {
    for (size_t r = 0; r < rows; r++, x += stride, tile += width) {
        size_t c = 0;
        for (; c + VL <= head_dim; c += VL) v_store(tile + c, map(v_load(x + c)));
        const size_t n = head_dim - c;
        if (n == 0) continue;
        v_store(tile + c, v_zero());
        v_store_n(tile + c, map(v_load_n(x + c, n)), n);
    }
}

/* tile = weights * x, row by row; NULL for weights of 1 */
CK_INLINE void weigh_rows(const float *weights, const float *x, size_t stride, size_t rows, size_t head_dim,
                          float *tile, size_t width) {
    for (size_t r = 0; r < rows; r++, x += stride, tile += width) {
        const vf weight = v_set(weights ? weights[r] : 1.0f);
        size_t c = 0;
        for (; c + VL <= head_dim; c += VL) v_store(tile + c, v_mul(weight, v_load(x + c)));
        if (c < head_dim) v_store(tile + c, v_mul(weight, v_load_n(x + c, head_dim - c)));
    }
}

/* sum = sum * decay + sum over rows of weights * row; NULL for weights of 1 */
CK_INLINE void sum_rows(const float *weights, const float *tile, size_t rows, size_t head_dim, size_t width,
                        float decay, float *sum) {
    for (size_t c = 0; c < head_dim; c += VL) {
        vf own = v_zero();
        for (size_t r = 0; r < rows; r++) {
            const vf x = v_load(tile + r * width + c);
            own = weights ? v_fma(v_set(weights[r]), x, own) : v_add(own, x);
        }
        v_store(sum + c, v_fma(v_load(sum + c), v_set(decay), own));
    }
}

/* dots[r] = scale * (row . vector) */
CK_INLINE void dot_rows(const float *tile, size_t rows, size_t head_dim, size_t width, const float *vector,
                        float scale, float *dots) {
    for (size_t r = 0; r < rows; r++, tile += width) {
        vf sum = v_zero();
        for (size_t c = 0; c < head_dim; c += VL) sum = v_fma(v_load(tile + c), v_load(vector + c), sum);
        dots[r] = scale * v_sum(sum);
    }
}

CK_INLINE void zero(float *x, size_t count) { memset(x, 0, count * sizeof *x); }

/* One head of one batch element. */
typedef struct {
    size_t row, column; /* of its first element in q, k, v, local, gate and out */
} ck_head;

CK_INLINE ck_head head_of(const ck_attention_args *args, size_t index) {
    return (ck_head){index / args->heads * args->tokens, index % args->heads * args->head_dim};
}

CK_INLINE const float *head_rows(const float *x, size_t stride, ck_head head, size_t token) {
    return x + (head.row + token) * stride + head.column;
}

CK_INLINE vf finished(vf core, const float *local, const float *gate, size_t c, size_t n) {
    if (local) core = v_add(core, n == VL ? v_load(local + c) : v_load_n(local + c, n));
    if (gate) core = v_mul(core, n == VL ? v_load(gate + c) : v_load_n(gate + c, n));
    return core;
}

/* out = (scale[r] * core + shift[r] * vector + local) * gate; a NULL shift stands for none */
CK_INLINE void finish_rows(const ck_attention_args *args, ck_head head, size_t token, size_t rows, const float *core,
                           size_t width, const float *scale, const float *shift, const float *vector) {
    const size_t d = args->head_dim;
    for (size_t r = 0; r < rows; r++, core += width) {
        const float *local = args->local ? head_rows(args->local, args->local_stride, head, token + r) : NULL;
        const float *gate = args->gate ? head_rows(args->gate, args->gate_stride, head, token + r) : NULL;
        float *out = args->out + (head.row + token + r) * args->out_stride + head.column;
        for (size_t c = 0; c < d; c += VL) {
            vf x = v_mul(v_load(core + c), v_set(scale[r]));
            if (shift) x = v_fma(v_set(shift[r]), v_load(vector + c), x);
            if (d - c >= VL) {
                v_store(out + c, finished(x, local, gate, c, VL));
            } else {
                v_store_n(out + c, finished(x, local, gate, c, d - c), d - c);
            }
        }
    }
}
