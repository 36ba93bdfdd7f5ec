#ifndef CK_SOFTMAX_H
#define CK_SOFTMAX_H

#include "attention/attention.h"

/* Most queries of a task and most keys of a tile. */
enum { CK_SOFTMAX_QUERIES = 64, CK_SOFTMAX_KEYS = 64 };

/* How the scratch is divided, in floats: all heads' packed keys, then their values, then each worker's tiles. */
typedef struct {
    size_t width;     /* row stride of every tile but the scores */
    size_t key_tiles; /* of one head */
    size_t head;      /* packed keys (or values) of one head */
    size_t worker;
    size_t total;
} ck_softmax_layout;

static inline ck_softmax_layout ck_softmax_layout_of(const ck_attention_args *args, size_t workers) {
    ck_softmax_layout l = {.width = ck_tile_width(args->head_dim)};
    l.key_tiles = ck_ceil_div(args->tokens, CK_SOFTMAX_KEYS);
    l.head = args->tokens * l.width;
    l.worker = CK_SOFTMAX_QUERIES * (2 * l.width + CK_SOFTMAX_KEYS + 3);
    l.total = 2 * args->batch * args->heads * l.head + workers * l.worker;
    return l;
}

ck_attention_function ck_softmax_attention_f32_ref, ck_softmax_attention_f32_portable, ck_softmax_attention_f32_avx2,
    ck_softmax_attention_f32_avx512;

#endif
