#ifndef CK_RALA_H
#define CK_RALA_H

#include "attention/linear.h"

/* How the scratch is divided, in floats: for every head its chunks, then each worker's tiles. */
typedef struct {
    ck_linear_plan plan;
    size_t summary; /* of a chunk: head_dim rows of S, one row for u, one for the sum of the mapped queries, and then: */
    size_t highest, sum; /* offsets in a summary: largest key logit, sum of the exponentials */
    size_t worker;
    size_t total;
} ck_rala_layout;

static inline ck_rala_layout ck_rala_layout_of(const ck_attention_args *args, size_t workers) {
    ck_rala_layout l = {.plan = ck_linear_plan_of(args)};
    l.highest = (args->head_dim + 2) * l.plan.width;
    l.sum = l.highest + 1;
    l.summary = l.highest + 16;
    l.worker = 3 * l.plan.tile * l.plan.width + l.plan.width + CK_LINEAR_CHUNKS;
    l.total = args->batch * args->heads * l.plan.chunks * l.summary + workers * l.worker;
    return l;
}

ck_attention_function ck_rala_f32_ref, ck_rala_f32_portable, ck_rala_f32_avx2, ck_rala_f32_avx512;

#endif
