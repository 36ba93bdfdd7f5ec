#ifndef CK_INLINE_CORE_H
#define CK_INLINE_CORE_H

#include "attention/linear.h"

/* How the scratch is divided, in floats: for every head its chunks, then each worker's tiles. */
typedef struct {
    ck_linear_plan plan;
    size_t summary; /* of a chunk: head_dim rows of M, one row of key sums, one of value sums */
    size_t worker;
    size_t total;
} ck_inline_layout;

static inline ck_inline_layout ck_inline_layout_of(const ck_attention_args *args, size_t workers) {
    ck_inline_layout l = {.plan = ck_linear_plan_of(args)};
    l.summary = (args->head_dim + 2) * l.plan.width;
    l.worker = 2 * l.plan.tile * l.plan.width + l.plan.width + CK_LINEAR_TILE_ROWS;
    l.total = args->batch * args->heads * l.plan.chunks * l.summary + workers * l.worker;
    return l;
}

typedef void ck_inline_implementation(ck_pool *pool, const ck_attention_args *args, ck_inline_function function,
                                      float *scratch);
ck_inline_implementation ck_inline_f32_ref, ck_inline_f32_portable, ck_inline_f32_avx2, ck_inline_f32_avx512;

#endif
