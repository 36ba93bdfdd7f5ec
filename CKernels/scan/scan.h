#ifndef CK_SCAN_COMMON_H
#define CK_SCAN_COMMON_H

#include "ck_scan.h"

#include "attention/heads.h"

/* The token at a position of a path. */
static inline size_t ck_scan_token(const ck_scan_path *path, size_t position) {
    return path->order ? path->order[position] : position;
}

enum { CK_SCAN_COLUMNS = 64 }; /* most columns of a state that one task carries */

static inline size_t ck_scan_width(size_t count) { return (count + 15) / 16 * 16; }

/* Floats that one worker needs: a state, rows of q, k, decay and two running rows; and one number per token. */
static inline size_t ck_scan_worker(size_t features, size_t value_dim, size_t tokens) {
    const size_t columns = value_dim < CK_SCAN_COLUMNS ? ck_scan_width(value_dim) : CK_SCAN_COLUMNS;
    return features * columns + 5 * ck_scan_width(features) + ck_scan_width(tokens);
}

/* Doubles that the specification needs for one worker. */
static inline size_t ck_scan_ref_doubles(size_t features, size_t value_dim, size_t tokens) {
    return features * (value_dim + 2) + value_dim + tokens * (value_dim + 1);
}

typedef void ck_bidirectional_scan_function(ck_pool *pool, const ck_bidirectional_scan_args *args, float *scratch);
typedef void ck_causal_scan_function(ck_pool *pool, const ck_causal_scan_args *args, float *scratch);

ck_bidirectional_scan_function ck_bidirectional_scan_f32_ref, ck_bidirectional_scan_f32_portable,
    ck_bidirectional_scan_f32_avx2, ck_bidirectional_scan_f32_avx512;
ck_causal_scan_function ck_causal_scan_f32_ref, ck_causal_scan_f32_portable, ck_causal_scan_f32_avx2,
    ck_causal_scan_f32_avx512;

#endif
