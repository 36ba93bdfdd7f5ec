#ifndef CK_LINEAR_H
#define CK_LINEAR_H

#include "attention/attention.h"

/*
 * What the linear attentions share: the tokens of a head are cut into chunks (one task each) and those into tiles that
 * fit the first-level cache. A chunk adds up its own summary; the summaries are combined in the order of the chunks.
 * Chunks and tiles follow from tokens and head_dim alone.
 */
typedef struct {
    size_t width;   /* row stride of a tile */
    size_t chunks;  /* of one head, at most CK_LINEAR_CHUNKS */
    size_t tile;    /* most keys of a tile */
    size_t queries; /* most queries of a tile */
} ck_linear_plan;

enum { CK_LINEAR_CHUNKS = 64, CK_LINEAR_CHUNK_TOKENS = 192 };
enum { CK_LINEAR_TILE_ROWS = 64, CK_LINEAR_TILE_FLOATS = 4096, CK_LINEAR_QUERY_FLOATS = 1536 };
enum { CK_LINEAR_QUERY_ROWS = 6 }; /* that a product answers at a time: tiles of queries are whole multiples of it */

static inline ck_linear_plan ck_linear_plan_of(const ck_attention_args *args) {
    ck_linear_plan plan = {.width = ck_tile_width(args->head_dim)};
    plan.chunks = ck_ceil_div(args->tokens, CK_LINEAR_CHUNK_TOKENS);
    if (plan.chunks > CK_LINEAR_CHUNKS) plan.chunks = CK_LINEAR_CHUNKS;
    const size_t keys = CK_LINEAR_TILE_FLOATS / plan.width, queries = CK_LINEAR_QUERY_FLOATS / plan.width;
    plan.tile = keys > CK_LINEAR_TILE_ROWS ? CK_LINEAR_TILE_ROWS : keys < 16 ? 16 : keys;
    plan.queries = queries > 48 ? 48 : queries < 12 ? 12 : queries - queries % CK_LINEAR_QUERY_ROWS;
    return plan;
}

#endif
