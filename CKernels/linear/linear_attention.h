#ifndef CK_LINEAR_ATTENTION_COMMON_H
#define CK_LINEAR_ATTENTION_COMMON_H

#include "ck_linear_attention.h"

#include "attention/heads.h"
#include "attention/linear.h"

/* How the scratch is divided, in floats: for every head its chunks, then each worker's tiles. */
typedef struct {
    ck_linear_plan plan; /* of the keys; its width is that of the features */
    size_t query_chunks;
    size_t value_width;               /* row stride of S and of a tile of values */
    size_t key_sum, highest, summary; /* of a chunk: `features` rows of S, then sums and highest keys */
    size_t worker;
    size_t total;
} ck_linear_attention_layout;

static inline ck_linear_attention_layout ck_linear_attention_layout_of(const ck_linear_attention_args *args,
                                                                       size_t workers) {
    const size_t wider = args->features > args->value_dim ? args->features : args->value_dim;
    const ck_attention_args keys = {.tokens = args->key_tokens, .head_dim = wider};
    const ck_attention_args queries = {.tokens = args->tokens, .head_dim = wider};
    ck_linear_attention_layout l = {.plan = ck_linear_plan_of(&keys), .value_width = ck_tile_width(args->value_dim)};
    l.query_chunks = ck_linear_plan_of(&queries).chunks;
    l.plan.width = ck_tile_width(args->features);
    l.key_sum = args->features * l.value_width;
    l.highest = l.key_sum + l.plan.width;
    l.summary = l.highest + l.plan.width;
    l.worker = l.plan.tile * (l.plan.width + l.value_width) + l.plan.width + 2 * CK_LINEAR_TILE_ROWS;
    l.total = args->batch * args->heads * l.plan.chunks * l.summary + workers * l.worker;
    return l;
}

typedef void ck_linear_attention_function(ck_pool *pool, const ck_linear_attention_args *args, float *scratch);

ck_linear_attention_function ck_linear_attention_f32_ref, ck_linear_attention_f32_portable,
    ck_linear_attention_f32_avx2, ck_linear_attention_f32_avx512;

/* Doubles that the specification needs for one worker. */
static inline size_t ck_linear_attention_ref_doubles(const ck_linear_attention_args *args) {
    return args->features * args->value_dim + 4 * args->features;
}

#endif
