#ifndef CK_SCATTERED_COMMON_H
#define CK_SCATTERED_COMMON_H

#include "attention/linear.h"
#include "ck_scattered.h"

/* Part `part` of the `parts` that a large group is cut into. */
typedef struct {
    ck_range rows;
    size_t part, parts;
} ck_scattered_chunk;

/* Consecutive groups that are small enough to be computed whole: one task together. */
typedef struct {
    size_t first, count;
} ck_scattered_batch;

/* What is to be done: the groups in tasks of about equal rows. Follows from the groups alone. */
typedef struct {
    ck_scattered_chunk *chunks; /* NULL while they are only counted */
    size_t chunk_count;
    ck_scattered_batch *batches;
    size_t batch_count;
} ck_scattered_work;

typedef void ck_scattered_function(ck_pool *pool, const ck_scattered_args *args, const ck_scattered_work *work,
                                   float *scratch);

enum {
    CK_SCATTERED_CHUNK_ROWS = 1024, /* a larger group is cut */
    CK_SCATTERED_BATCH_ROWS = 512,  /* a batch ends with the group that reaches them */
    CK_SCATTERED_BATCH_GROUPS = 4096
};

/* How the scratch of the vector code is divided, in floats: a summary for every chunk, then for each worker one summary
 * and its tiles. */
typedef struct {
    size_t width;   /* row stride of a tile */
    size_t tile;    /* most rows of a tile */
    size_t head;    /* of a summary: head_dim rows of KV, one row of key sums */
    size_t summary; /* of all heads */
    size_t worker;
    size_t total;
} ck_scattered_layout;

static inline ck_scattered_layout ck_scattered_layout_of(const ck_scattered_args *args, size_t chunks, size_t workers) {
    ck_scattered_layout l = {.width = ck_tile_width(args->head_dim), .tile = 32};
    l.head = (args->head_dim + 1) * l.width;
    l.summary = args->heads * l.head;
    l.worker = l.summary + 2 * l.tile * l.width + 2 * l.tile;
    l.total = chunks * l.summary + workers * l.worker;
    return l;
}

ck_scattered_function ck_scattered_f32_ref, ck_scattered_f32_portable, ck_scattered_f32_avx2, ck_scattered_f32_avx512;

#endif
