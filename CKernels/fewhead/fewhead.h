#ifndef CK_FEWHEAD_COMMON_H
#define CK_FEWHEAD_COMMON_H

#include "attention/linear.h"
#include "ck_fewhead.h"

typedef void ck_fewhead_function(ck_pool *pool, const ck_fewhead_args *args, float *scratch);

/*
 * A wide head is computed in panels of at most CK_FEWHEAD_PANEL channels, so that a panel of a tile and a block of S,
 * panel by panel, fit the first-level cache.
 */
enum { CK_FEWHEAD_PANEL = 64 };

/* How the scratch is divided, in floats: for every head its chunks, then each worker's tiles. */
typedef struct {
    size_t panels;
    ck_linear_plan keys, queries; /* of the two passes; their width and tile are those of a panel */
    size_t block;                 /* of S: one panel of key channels, one of value channels */
    size_t summary;               /* of a chunk: blocks [value panel][key panel], then the key sums by panel */
    size_t worker;
    size_t total;
} ck_fewhead_layout;

static inline ck_fewhead_layout ck_fewhead_layout_of(const ck_attention_args *args, size_t workers) {
    const size_t lines = ck_tile_width(args->head_dim) / 16;
    ck_fewhead_layout l = {.panels = ck_ceil_div(args->head_dim, CK_FEWHEAD_PANEL)};
    ck_attention_args panel = *args;
    panel.head_dim = 16 * ck_ceil_div(lines, l.panels);
    if (panel.head_dim > args->head_dim) panel.head_dim = args->head_dim;
    l.keys = l.queries = ck_linear_plan_of(&panel);
    l.keys.chunks = ck_ceil_div(l.keys.chunks, l.panels); /* a summary grows with the panels, so does its chunk */
    l.block = l.keys.width * l.keys.width;
    l.summary = l.panels * (l.panels * l.block + l.keys.width);
    l.worker = (l.panels + 1) * l.keys.tile * l.keys.width + l.keys.width + 2 * CK_LINEAR_TILE_ROWS;
    l.total = args->batch * args->heads * l.keys.chunks * l.summary + workers * l.worker;
    return l;
}

/* Channels of a panel: whole 64-byte lines but for the last. */
static inline ck_range ck_fewhead_panel(const ck_fewhead_layout *layout, size_t head_dim, size_t panel) {
    ck_range r = ck_part(ck_tile_width(head_dim) / 16, layout->panels, panel);
    r.first *= 16;
    r.count *= 16;
    if (r.first + r.count > head_dim) r.count = head_dim - r.first;
    return r;
}

ck_fewhead_function ck_fewhead_f32_ref, ck_fewhead_f32_portable, ck_fewhead_f32_avx2, ck_fewhead_f32_avx512;

#endif
