/*
 * What the attention cores do with the rows of a tile: a few tokens of one head, `width` floats apart, the columns from
 * head_dim up to whole vectors zero.
 */
#include "attention/attention.h"

#include "attention/transpose_impl.h"

/*
 * Makes a task of `function_of(job, task, worker, head_dim)`, which is compiled twice: for the head dimension of the
 * released models, whose short loops over channels then unroll, and for any.
 */
#define CK_WITH_HEAD_DIM(function, type)                                                                               \
    static void function(void *arguments, size_t task, size_t worker) {                                                \
        const type *const job = arguments;                                                                             \
        if (job->args->head_dim == 64) {                                                                               \
            function##_of(job, task, worker, 64);                                                                      \
        } else {                                                                                                       \
            function##_of(job, task, worker, job->args->head_dim);                                                     \
        }                                                                                                              \
    }

/*
 * Asks for a row ahead of its use: the rows of a head lie far apart in the packed projection, where the hardware does not
 * foresee them. Addresses past the end are harmless, they are never read.
 */
CK_INLINE void prefetch_row(const float *x, size_t head_dim) {
    for (size_t i = 0; i < head_dim; i += 32) __builtin_prefetch(x + i);
}

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

CK_INLINE vf weighted(const float *weights, const float *tile, size_t row, size_t width, vf sum) {
    const vf x = v_load(tile + row * width);
    return weights ? v_fma(v_set(weights[row]), x, sum) : v_add(sum, x);
}

/* sum = sum * decay + sum over rows of weights * row; NULL for weights of 1 */
CK_INLINE void sum_rows(const float *weights, const float *tile, size_t rows, size_t head_dim, size_t width,
                        float decay, float *sum) {
    for (size_t c = 0; c < head_dim; c += VL) {
        vf own[4] = {v_zero(), v_zero(), v_zero(), v_zero()}; /* rows modulo 4 */
        size_t r = 0;
        for (; r + 4 <= rows; r += 4)
            for (size_t i = 0; i < 4; i++) own[i] = weighted(weights, tile + c, r + i, width, own[i]);
        for (size_t i = 0; r + i < rows; i++) own[i] = weighted(weights, tile + c, r + i, width, own[i]);
        const vf all = v_add(v_add(own[0], own[1]), v_add(own[2], own[3]));
        v_store(sum + c, v_fma(v_load(sum + c), v_set(decay), all));
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

/* sums[r] = scale * (sum of the VL lanes of row r); reads and writes whole fours of rows */
CK_INLINE void sum_lanes(float *lanes, size_t rows, float scale, float *sums) {
    for (size_t r = rows; r % 4 != 0; r++) v_store(lanes + r * VL, v_zero());
    for (size_t r = 0; r < rows; r += 4) {
        four row[4];
        for (size_t i = 0; i < 4; i++) {
            row[i] = four_load(lanes + (r + i) * VL);
            for (size_t part = 4; part < VL; part += 4) row[i] += four_load(lanes + (r + i) * VL + part);
        }
        four_transpose(row);
        const four sum = (row[0] + row[1] + (row[2] + row[3])) * (four){scale, scale, scale, scale};
        memcpy(sums + r, &sum, sizeof sum);
    }
}

CK_INLINE vf load_some(const float *p, size_t n) { return n == VL ? v_load(p) : v_load_n(p, n); }
CK_INLINE void store_some(float *p, vf x, size_t n) {
    if (n == VL) {
        v_store(p, x);
    } else {
        v_store_n(p, x, n);
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

/* How rows of a core end: out = (scale[r] * core + shift[r] * vector + local) * gate; NULL for no shift, local or gate. */
typedef struct {
    const ck_attention_args *args;
    ck_head head;
    size_t token; /* of row 0 */
    const float *scale, *shift, *vector;
} row_end;

/* Ends `vectors` vectors of row r from column c on; only the last one may be cut short by head_dim. */
CK_INLINE void finish_vectors(const row_end *end, size_t r, size_t c, const vf *core, const size_t vectors) {
    const ck_attention_args *const args = end->args;
    const size_t left = args->head_dim - c - (vectors - 1) * VL, last = left < VL ? left : VL;
    const vf scale = v_set(end->scale[r]);
    vf x[4];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) x[v] = v_mul(core[v], scale);
    if (end->shift) {
        const vf shift = v_set(end->shift[r]);
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) x[v] = v_fma(shift, v_load(end->vector + c + v * VL), x[v]);
    }
    if (args->local) {
        const float *const local = head_rows(args->local, args->local_stride, end->head, end->token + r) + c;
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) x[v] = v_add(x[v], load_some(local + v * VL, v + 1 < vectors ? VL : last));
    }
    if (args->gate) {
        const float *const gate = head_rows(args->gate, args->gate_stride, end->head, end->token + r) + c;
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) x[v] = v_mul(x[v], load_some(gate + v * VL, v + 1 < vectors ? VL : last));
    }
    float *const out = args->out + (end->head.row + end->token + r) * args->out_stride + end->head.column + c;
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) store_some(out + v * VL, x[v], v + 1 < vectors ? VL : last);
}

/* The end of rows that lie in a tile. */
CK_INLINE void finish_rows(const ck_attention_args *args, ck_head head, size_t token, size_t rows, const float *core,
                           size_t width, const float *scale, const float *shift, const float *vector) {
    const row_end end = {args, head, token, scale, shift, vector};
    for (size_t r = 0; r < rows; r++, core += width)
        for (size_t c = 0; c < args->head_dim; c += VL) {
            const vf x = v_load(core + c);
            finish_vectors(&end, r, c, &x, 1);
        }
}
