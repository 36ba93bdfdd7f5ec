#ifndef CK_ATTENTION_REF_H
#define CK_ATTENTION_REF_H

#include "attention/attention.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

/* What the specifications of the attention cores share: plain loops, everything in double, one head per task. */

/* The arrays of one worker. */
typedef struct {
    double *q, *k;                 /* [tokens][head_dim] */
    double *rotated_q, *rotated_k; /* [tokens][head_dim] */
    double *per_token;             /* [tokens] */
    double *summary;               /* [head_dim][head_dim] */
    double *a, *b;                 /* [head_dim] */
} ck_ref_arrays;

static inline size_t ck_ref_doubles(const ck_attention_args *args) {
    const size_t n = args->tokens, d = args->head_dim;
    return 4 * n * d + n + d * d + 2 * d;
}

static inline ck_ref_arrays ck_ref_arrays_of(const ck_attention_args *args, double *scratch) {
    const size_t n = args->tokens, d = args->head_dim;
    ck_ref_arrays r = {.q = scratch};
    r.k = r.q + n * d;
    r.rotated_q = r.k + n * d;
    r.rotated_k = r.rotated_q + n * d;
    r.per_token = r.rotated_k + n * d;
    r.summary = r.per_token + n;
    r.a = r.summary + d * d;
    r.b = r.a + d;
    return r;
}

static inline double ck_ref_identity(double x) { return x; }
static inline double ck_ref_elu1(double x) { return x > 0 ? x + 1 : exp(x); }

/* Element t of token n of head `index` of x. */
static inline const float *ck_ref_at(const ck_attention_args *args, const float *x, size_t stride, size_t index, size_t n) {
    return x + (index / args->heads * args->tokens + n) * stride + index % args->heads * args->head_dim;
}

/* rotated = rot(row) for the row of one token (rope/README.md); NULL for no rotation */
static inline void ck_ref_rotate(const ck_rope *rope, size_t d, size_t n, const double *row, double *rotated) {
    for (size_t t = 0; t < d; t++) {
        rotated[t] = row[t];
        if (rope == NULL) continue;
        const size_t half = d / 2, y = n / rope->width, x = n % rope->width;
        const float cosine = t < half ? rope->row_cosine[y * half + t] : rope->column_cosine[x * half + t - half];
        const float sine = t < half ? rope->row_sine[y * half + t] : rope->column_sine[x * half + t - half];
        rotated[t] = row[t] * cosine + row[t ^ 1] * sine;
    }
}

/* mapped[n][t] = map(x[n][t]); rotated = rot(mapped) */
static inline void ck_ref_prepare(const ck_attention_args *args, size_t index, double (*map)(double), const float *x,
                                  size_t stride, double *mapped, double *rotated) {
    const size_t d = args->head_dim;
    for (size_t n = 0; n < args->tokens; n++) {
        for (size_t t = 0; t < d; t++) mapped[n * d + t] = map(ck_ref_at(args, x, stride, index, n)[t]);
        ck_ref_rotate(args->rope, d, n, mapped + n * d, rotated + n * d);
    }
}

static inline double ck_ref_dot(const double *a, const double *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

/* out[row][column] = (core + local) * gate */
static inline void ck_ref_finish_at(const ck_attention_args *args, size_t row, size_t column, double core) {
    if (args->local) core += args->local[row * args->local_stride + column];
    if (args->gate) core *= args->gate[row * args->gate_stride + column];
    args->out[row * args->out_stride + column] = (float)core;
}

/* The same for element t of token n of head `index`. */
static inline void ck_ref_finish(const ck_attention_args *args, size_t index, size_t n, size_t t, double core) {
    ck_ref_finish_at(args, index / args->heads * args->tokens + n, index % args->heads * args->head_dim + t, core);
}

#endif
