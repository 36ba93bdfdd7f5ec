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

/*
 * Queries are cut into tasks by patches of the token grid, at most CK_FEWHEAD_PATCH_TOKENS each: few enough for the
 * caches, and as square as their width allows, because the convolution reads a border around them.
 */
enum { CK_FEWHEAD_PATCH_TOKENS = 192, CK_FEWHEAD_PATCH_WIDTH = 48, CK_FEWHEAD_RUN = 8 };

typedef struct {
    size_t height, width; /* of the grid; all tokens in one row where there is no convolution */
    size_t bands, parts;  /* of the grid's rows and of its columns, nearly equal */
} ck_fewhead_patches;

static inline ck_fewhead_patches ck_fewhead_patches_of(const ck_fewhead_args *args) {
    ck_fewhead_patches p = {.height = 1, .width = args->attention.tokens};
    size_t widest = CK_FEWHEAD_PATCH_TOKENS;
    if (args->weight) {
        p.height = args->height;
        p.width = args->width;
        widest = CK_FEWHEAD_PATCH_WIDTH;
    }
    p.parts = ck_ceil_div(p.width, widest);
    p.bands = ck_ceil_div(p.height, CK_FEWHEAD_PATCH_TOKENS / ck_ceil_div(p.width, p.parts));
    return p;
}

/* Pixels of the largest patch with the border of the convolution, and room to read a whole run at the end. */
static inline size_t ck_fewhead_window_pixels(const ck_fewhead_args *args, const ck_fewhead_patches *patches) {
    const size_t rows = ck_ceil_div(patches->height, patches->bands) + args->kernel - 1;
    const size_t columns = ck_ceil_div(patches->width, patches->parts) + args->kernel - 1;
    return rows * columns + CK_FEWHEAD_RUN;
}

/* How the scratch is divided, in floats: for every head its chunks, then each worker's tiles. */
typedef struct {
    size_t panels;
    ck_linear_plan keys; /* its width and tile are those of a panel */
    ck_fewhead_patches patches;
    size_t block;        /* of S: one panel of key channels, one of value channels */
    size_t summary;      /* of a chunk: blocks [value panel][key panel], then the key sums by panel */
    size_t taps;         /* of a filter, 0 for no convolution */
    size_t window;       /* pixels of the largest patch and its border */
    size_t worker;
    size_t total;
} ck_fewhead_layout;

static inline ck_fewhead_layout ck_fewhead_layout_of(const ck_fewhead_args *args, size_t workers) {
    const size_t d = args->attention.head_dim;
    ck_fewhead_layout l = {.panels = ck_ceil_div(d, CK_FEWHEAD_PANEL), .patches = ck_fewhead_patches_of(args)};
    ck_attention_args panel = args->attention;
    panel.head_dim = 16 * ck_ceil_div(ck_tile_width(d) / 16, l.panels);
    if (panel.head_dim > d) panel.head_dim = d;
    l.keys = ck_linear_plan_of(&panel);
    l.keys.chunks = ck_ceil_div(l.keys.chunks, l.panels); /* a summary grows with the panels, so does its chunk */
    l.block = l.keys.width * l.keys.width;
    l.summary = l.panels * (l.panels * l.block + l.keys.width);
    if (args->weight) {
        l.taps = args->kernel * args->kernel;
        l.window = ck_fewhead_window_pixels(args, &l.patches);
    }

    const size_t key_floats = (l.panels + 1) * l.keys.tile * l.keys.width + l.keys.width;
    const size_t branch_floats = 16 * (l.taps + l.window);
    const size_t query_floats = CK_FEWHEAD_PATCH_TOKENS * ((l.panels + 1) * l.keys.width + 2) + branch_floats;
    l.worker = key_floats > query_floats ? key_floats : query_floats;
    l.total = args->attention.batch * args->attention.heads * l.keys.chunks * l.summary + workers * l.worker;
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
