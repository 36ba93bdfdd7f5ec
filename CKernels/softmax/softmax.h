#ifndef CK_SOFTMAX_H
#define CK_SOFTMAX_H

#include "attention/attention.h"
#include "attention/windows.h"

enum {
    CK_SOFTMAX_QUERIES = 64, /* most queries of a block */
    CK_SOFTMAX_KEYS = 64,    /* most keys of a tile */
    CK_SOFTMAX_GROUPS = 4,   /* groups of queries per thread from which on a task takes a whole one */
    CK_SOFTMAX_BLOCKS = 2,   /* with fewer, blocks that share what a task has copied for itself */
    CK_SOFTMAX_FAR = 1 << 17, /* floats from the first query to the last that second-level caches do not hold */
    CK_SOFTMAX_NEAR = 256    /* most keys whose copies tasks make for themselves; more are copied once, before them */
};

/*
 * Queries that share their keys are a group: a head of an image, or of a window of it. The scratch, in floats: all
 * groups' copies where these are made first, then each worker's tiles, its own copies last. What is copied are the
 * values and, where keys are many, are rotated or come from a window, the keys behind them.
 */
typedef struct {
    size_t width;     /* row stride of every tile but the scores */
    size_t windows;   /* of an image */
    size_t groups;
    size_t key_tiles; /* of a group */
    size_t tasks;     /* of a group */
    size_t values;    /* of one group, copied */
    size_t copy;      /* values and copied keys of one group */
    size_t regions;   /* tokens of a window that are told apart, rounded up */
    int shared;       /* copies are made first */
    int far;          /* windows of a map that is fetched from beyond the second-level cache */
    size_t worker;
    size_t total;
} ck_softmax_layout;

static inline ck_softmax_layout ck_softmax_layout_of(const ck_attention_args *args, size_t workers) {
    ck_softmax_layout l = {.width = ck_tile_width(args->head_dim), .windows = ck_window_count(args->windows)};
    const size_t blocks = ck_ceil_div(args->tokens, CK_SOFTMAX_QUERIES);
    l.groups = args->batch * l.windows * args->heads;
    l.key_tiles = ck_ceil_div(args->key_tokens, CK_SOFTMAX_KEYS);
    l.shared = args->windows == NULL && args->key_tokens > CK_SOFTMAX_NEAR;
    const size_t rows = args->batch * (args->windows ? args->windows->height * args->windows->width : 0);
    l.far = rows * args->q_stride > CK_SOFTMAX_FAR;
    const int many = l.groups >= CK_SOFTMAX_GROUPS * workers;
    l.tasks = args->windows || many ? 1 : ck_ceil_div(blocks, CK_SOFTMAX_BLOCKS);
    if (l.shared) l.tasks = blocks;
    l.values = args->key_tokens * l.width;
    /* Many keys read in place would cost a walk of the page tables each. */
    l.copy = args->windows || args->rope || l.shared ? 2 * l.values : l.values;
    l.regions = args->windows ? blocks * CK_SOFTMAX_QUERIES : 0;
    l.worker = CK_SOFTMAX_QUERIES * (2 * l.width + CK_SOFTMAX_KEYS + 3) + l.regions + (l.shared ? 0 : l.copy);
    l.total = (l.shared ? l.groups * l.copy : 0) + workers * l.worker;
    return l;
}

/* Doubles of scratch that a worker of the specification needs. */
static inline size_t ck_softmax_ref_doubles(const ck_attention_args *args) {
    return 2 * (args->key_tokens + 1) * args->head_dim + args->key_tokens;
}

ck_attention_function ck_softmax_attention_f32_ref, ck_softmax_attention_f32_portable, ck_softmax_attention_f32_avx2,
    ck_softmax_attention_f32_avx512;

#endif
