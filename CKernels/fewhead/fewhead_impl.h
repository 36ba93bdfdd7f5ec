/* Few-head attention in two passes over the tokens (mathematics and order of summation: fewhead/README.md). */
#include "fewhead/fewhead.h"

#include "attention/linear_impl.h"

typedef struct {
    const ck_fewhead_args *args;
    ck_fewhead_layout layout;
    float *summaries, *workers;
} fewhead_job;

/* ReLU + 1e-6 */
CK_INLINE vf fewhead_feature(vf x) { return v_add(v_max(v_zero(), x), v_set(1e-6f)); }

/* The head that consists of some channels of this one. */
CK_INLINE ck_head fewhead_part(ck_head head, ck_range channels) {
    return (ck_head){head.row, head.column + channels.first};
}

/* `upcoming` is fetched meanwhile. block = (further ? block : 0) + sum over the tile's tokens of keys[.][i] * values[.][j] */
CK_INLINE void fewhead_accumulate(const float *keys, const float *values, size_t tokens, size_t rows, size_t columns,
                                  size_t width, int further, float *block, const upcoming_rows *upcoming) {
    const float keep = 1;
    product_of_columns((tile_product){.rows = rows, .vectors = ck_ceil_div(columns, VL), .steps = tokens,
                                      .a = keys, .a_stride = width, .b = values, .b_stride = width,
                                      .c = block, .c_stride = width, .decay = further ? &keep : NULL,
                                      .upcoming = upcoming});
}

/* core[.][j] = (further ? core[.][j] : 0) + sum over i of queries[.][i] * block[i][j] */
CK_INLINE void fewhead_read(const float *queries, const float *block, size_t tokens, size_t rows, size_t columns,
                            size_t width, int further, float *core) {
    const float keep = 1;
    product_of_rows((tile_product){.rows = tokens, .vectors = ck_ceil_div(columns, VL), .steps = rows,
                                   .a = queries, .a_stride = width, .b = block, .b_stride = width,
                                   .c = core, .c_stride = width, .decay = further ? &keep : NULL});
}

/* Rows of one panel of a head. */
CK_INLINE row_source fewhead_rows(const fewhead_job *job, const float *x, size_t stride, ck_head head, size_t panel,
                                  size_t token) {
    const size_t d = job->args->attention.head_dim;
    return source(x, stride, fewhead_part(head, ck_fewhead_panel(&job->layout, d, panel)), token);
}

/* feature_rows of one panel; most are full, which lets the loops over channels unroll. */
CK_INLINE void fewhead_features(const int wanted, row_source from, size_t rows, size_t channels,
                                const feature_uses *uses, float *tile, size_t width) {
    const ck_range range = {0, rows};
    if (channels == CK_FEWHEAD_PANEL) {
        feature_rows(fewhead_feature, wanted, from, range, NULL, CK_FEWHEAD_PANEL, uses, tile, CK_FEWHEAD_PANEL);
    } else {
        feature_rows(fewhead_feature, wanted, from, range, NULL, channels, uses, tile, width);
    }
}

/* Task: one chunk. Sums S and the mapped keys. */
static void fewhead_gather_keys(void *arguments, size_t task, size_t worker) {
    const fewhead_job *const job = arguments;
    const ck_attention_args *const args = &job->args->attention;
    const ck_fewhead_layout *const layout = &job->layout;
    const ck_linear_plan *const plan = &layout->keys;
    const size_t d = args->head_dim, panels = layout->panels, width = plan->width, panel_tile = plan->tile * width;
    const linear_chunk chunk = chunk_of(args, plan, task);
    float *const keys = job->workers + worker * layout->worker, *const values = keys + panels * panel_tile;
    float *const key_sum = values + panel_tile; /* of a tile: short sums first */
    float *const summary = job->summaries + task * layout->summary;
    float *const key_sums = summary + panels * panels * layout->block;
    zero(key_sums, panels * width);
    for (size_t t = 0; t < chunk.tiles; t++) {
        const ck_range tile = tile_of(chunk.token, chunk.tiles, t);
        for (size_t p = 0; p < panels; p++) {
            const size_t channels = ck_fewhead_panel(layout, d, p).count;
            const feature_uses uses = {.sum = key_sum};
            zero(key_sum, width);
            fewhead_features(FEATURE_TILE | FEATURE_SUM, fewhead_rows(job, args->k, args->k_stride, chunk.head, p, tile.first),
                             tile.count, channels, &uses, keys + p * panel_tile, width);
            sum_rows(NULL, key_sum, 1, channels, width, 1, key_sums + p * width);
        }
        for (size_t j = 0; j < panels; j++) {
            const size_t columns = ck_fewhead_panel(layout, d, j).count;
            const row_source value = fewhead_rows(job, args->v, args->v_stride, chunk.head, j, tile.first);
            const row_source next_value =
                j + 1 < panels ? fewhead_rows(job, args->v, args->v_stride, chunk.head, j + 1, tile.first)
                               : fewhead_rows(job, args->v, args->v_stride, chunk.head, 0, tile.first + tile.count);
            const row_source next_key =
                fewhead_rows(job, args->k, args->k_stride, chunk.head, j, tile.first + tile.count);
            weigh_rows(NULL, value.x, value.stride, tile.count, columns, values, width);
            for (size_t i = 0; i < panels; i++) {
                const ck_range soon = ck_part(tile.count, panels, i), before = {0, soon.first};
                const upcoming_rows upcoming = {{after(next_value, before), after(next_key, before)}, soon.count,
                                                columns};
                fewhead_accumulate(keys + i * panel_tile, values, tile.count, ck_fewhead_panel(layout, d, i).count,
                                   columns, width, t > 0, summary + (j * panels + i) * layout->block, &upcoming);
            }
        }
    }
}

/* Task: one block of S, or the key sums. Combines the chunks into the first one: means over the tokens. */
static void fewhead_combine(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const fewhead_job *const job = arguments;
    const ck_fewhead_layout *const layout = &job->layout;
    const size_t chunks = layout->keys.chunks, blocks = layout->panels * layout->panels, block = task % (blocks + 1);
    float weights[CK_LINEAR_CHUNKS];
    for (size_t c = 0; c < chunks; c++) weights[c] = 1 / (float)job->args->attention.tokens;
    float *const first = job->summaries + task / (blocks + 1) * chunks * layout->summary + block * layout->block;
    combine_chunks(first, layout->summary, chunks, weights, first,
                   block < blocks ? layout->block : layout->panels * layout->keys.width);
}

/* Some tokens of one head: a rectangle of the grid. */
typedef struct {
    ck_head head;
    size_t index; /* of the head, 0..<batch * heads */
    ck_range y, x;
    size_t count;
} fewhead_patch;

CK_INLINE fewhead_patch fewhead_patch_of(const fewhead_job *job, size_t task) {
    const ck_fewhead_patches *const patches = &job->layout.patches;
    const size_t each = patches->bands * patches->parts, own = task % each;
    fewhead_patch p = {.index = task / each};
    p.head = head_of(&job->args->attention, p.index);
    p.y = ck_part(patches->height, patches->bands, own / patches->parts);
    p.x = ck_part(patches->width, patches->parts, own % patches->parts);
    p.count = p.y.count * p.x.count;
    return p;
}

/* What a worker holds of a patch. */
typedef struct {
    float *queries; /* features, [panel][token][width] */
    float *core;    /* of one panel, [token][width] */
    float *scale;   /* [token] */
    float *dots;    /* [token] */
    float *filter;  /* of one vector of channels, [taps][VL] */
    float *window;  /* the values of the patch and its border, one vector of channels, [row][column][VL] */
} fewhead_tiles;

CK_INLINE fewhead_tiles fewhead_tiles_of(const fewhead_job *job, size_t worker) {
    const size_t panel = CK_FEWHEAD_PATCH_TOKENS * job->layout.keys.width;
    fewhead_tiles t = {.queries = job->workers + worker * job->layout.worker};
    t.core = t.queries + job->layout.panels * panel;
    t.scale = t.core + panel;
    t.dots = t.scale + CK_FEWHEAD_PATCH_TOKENS;
    t.filter = t.dots + CK_FEWHEAD_PATCH_TOKENS;
    t.window = t.filter + job->layout.taps * VL;
    return t;
}

/* queries = phi(q), scale = 1 / (phi(q) . mean key + 1e-6) */
CK_INLINE void fewhead_map_queries(const fewhead_job *job, const fewhead_patch *patch, const float *mean_key,
                                   const fewhead_tiles *tiles) {
    const ck_attention_args *const args = &job->args->attention;
    const size_t width = job->layout.keys.width, grid_width = job->layout.patches.width;
    const int whole_rows = patch->x.count == grid_width;
    const size_t stretches = whole_rows ? 1 : patch->y.count, each = patch->count / stretches;
    for (size_t p = 0; p < job->layout.panels; p++) {
        const size_t channels = ck_fewhead_panel(&job->layout, args->head_dim, p).count;
        float *const queries = tiles->queries + p * CK_FEWHEAD_PATCH_TOKENS * width;
        for (size_t s = 0; s < stretches; s++) {
            const size_t token = (patch->y.first + s) * grid_width + patch->x.first;
            const feature_uses uses = {.vector = mean_key + p * width, .products = tiles->core + s * each * VL};
            fewhead_features(FEATURE_TILE | FEATURE_PRODUCTS, fewhead_rows(job, args->q, args->q_stride, patch->head, p, token), each,
                             channels, &uses, queries + s * each * width, width);
        }
        sum_lanes(tiles->core, patch->count, 1, p == 0 ? tiles->scale : tiles->dots);
        for (size_t r = 0; p > 0 && r < patch->count; r++) tiles->scale[r] += tiles->dots[r];
    }
    for (size_t r = 0; r < patch->count; r++) tiles->scale[r] = 1 / (tiles->scale[r] + 1e-6f);
}

/* core = queries S, one panel of columns */
CK_INLINE void fewhead_read_panel(const fewhead_job *job, const fewhead_patch *patch, const float *summary,
                                  size_t panel, const fewhead_tiles *tiles) {
    enum { ROWS = 8 * PRODUCT_ROWS };
    const ck_fewhead_layout *const layout = &job->layout;
    const size_t panels = layout->panels, width = layout->keys.width, d = job->args->attention.head_dim;
    const size_t columns = ck_fewhead_panel(layout, d, panel).count;
    for (size_t r = 0; r < patch->count; r += ROWS) {
        const size_t rows = patch->count - r < ROWS ? patch->count - r : ROWS;
        for (size_t i = 0; i < panels; i++)
            fewhead_read(tiles->queries + (i * CK_FEWHEAD_PATCH_TOKENS + r) * width,
                         summary + (panel * panels + i) * layout->block, rows, ck_fewhead_panel(layout, d, i).count,
                         columns, width, i > 0, tiles->core + r * width);
    }
}

/* window = the values of the patch and a border of kernel / 2 around it, `n` channels from `column` on */
CK_INLINE void fewhead_fill_window(const ck_fewhead_args *args, const fewhead_patch *patch, size_t column, size_t n,
                                   const size_t kernel, float *window) {
    const size_t radius = kernel / 2, stride = args->attention.v_stride;
    for (size_t row = 0; row < patch->y.count + 2 * radius; row++) {
        const size_t y = patch->y.first + row; /* plus radius, as x below */
        const int inside = y >= radius && y - radius < args->height;
        const size_t columns = patch->x.count + 2 * radius;
        size_t first = patch->x.first < radius ? radius - patch->x.first : 0;
        size_t last = args->width + radius - patch->x.first;
        if (last > columns) last = columns;
        if (!inside) first = last = columns;
        const float *x = args->attention.v + column;
        if (inside) x += (patch->head.row + (y - radius) * args->width + patch->x.first + first - radius) * stride;
        for (size_t c = 0; c < first; c++, window += VL) v_store(window, v_zero());
        for (size_t c = first; c < last; c++, window += VL, x += stride) v_store(window, load_some(x, n));
        for (size_t c = last; c < columns; c++, window += VL) v_store(window, v_zero());
    }
    for (size_t c = 0; c < CK_FEWHEAD_RUN; c++) v_store(window + c * VL, v_zero());
}

/* sum += convolution at neighbouring pixels */
CK_INLINE void fewhead_convolve(const float *window, size_t pitch, const float *filter, const size_t kernel, vf *sum) {
    for (size_t ky = 0; ky < kernel; ky++, window += pitch, filter += kernel * VL) {
#pragma clang loop unroll(full)
        for (size_t kx = 0; kx < kernel; kx++) {
            const vf weight = v_load(filter + kx * VL);
#pragma clang loop unroll(full)
            for (size_t p = 0; p < CK_FEWHEAD_RUN; p++) sum[p] = v_fma(weight, v_load(window + (p + kx) * VL), sum[p]);
        }
    }
}

/* out = core * scale + bias + convolution, one panel of columns, a vector of channels at a time */
CK_INLINE void fewhead_finish(const ck_fewhead_args *args, const fewhead_patch *patch, ck_range columns, size_t width,
                              const fewhead_tiles *tiles, const size_t kernel) {
    const size_t taps = kernel * kernel, pitch = (patch->x.count + kernel - 1) * VL;
    const size_t pixels = patch->x.count < CK_FEWHEAD_RUN ? patch->x.count : CK_FEWHEAD_RUN;
    const ck_attention_args *const attention = &args->attention;
    const size_t stride = attention->out_stride;
    for (size_t c = 0; c < columns.count; c += VL) {
        const size_t n = columns.count - c < VL ? columns.count - c : VL, channel = columns.first + c;
        const vf bias = args->bias ? load_some(args->bias + channel, n) : v_zero();
        for (size_t t = 0; t < taps; t++)
            v_store(tiles->filter + t * VL, load_some(args->weight + t * attention->head_dim + channel, n));
        fewhead_fill_window(args, patch, patch->head.column + channel, n, kernel, tiles->window);
        for (size_t y = 0; y < patch->y.count; y++) {
            const size_t row = y * patch->x.count;
            float *const out = attention->out + patch->head.column + channel +
                               (patch->head.row + (patch->y.first + y) * args->width + patch->x.first) * stride;
            for (size_t x = 0; x < patch->x.count; x += CK_FEWHEAD_RUN) {
                if (x + CK_FEWHEAD_RUN > patch->x.count) x = patch->x.count - pixels; /* some of the last run again */
                vf sum[CK_FEWHEAD_RUN];
#pragma clang loop unroll(full)
                for (size_t p = 0; p < CK_FEWHEAD_RUN; p++) {
                    const size_t token = row + x + (p < pixels ? p : 0);
                    sum[p] = v_fma(v_load(tiles->core + token * width + c), v_set(tiles->scale[token]), bias);
                }
                fewhead_convolve(tiles->window + y * pitch + x * VL, pitch, tiles->filter, kernel, sum);
#pragma clang loop unroll(full)
                for (size_t p = 0; p < CK_FEWHEAD_RUN; p++)
                    if (p < pixels) store_some(out + (x + p) * stride, sum[p], n);
            }
        }
    }
}

static void fewhead_finish_3(const ck_fewhead_args *args, const fewhead_patch *patch, ck_range columns, size_t width,
                             const fewhead_tiles *tiles) {
    fewhead_finish(args, patch, columns, width, tiles, 3);
}
static void fewhead_finish_5(const ck_fewhead_args *args, const fewhead_patch *patch, ck_range columns, size_t width,
                             const fewhead_tiles *tiles) {
    fewhead_finish(args, patch, columns, width, tiles, 5);
}
static void fewhead_finish_7(const ck_fewhead_args *args, const fewhead_patch *patch, ck_range columns, size_t width,
                             const fewhead_tiles *tiles) {
    fewhead_finish(args, patch, columns, width, tiles, 7);
}

/* out = core * scale, one panel of columns */
static void fewhead_finish_plain(const ck_fewhead_args *args, const fewhead_patch *patch, ck_range columns,
                                 size_t width, const fewhead_tiles *tiles) {
    ck_attention_args panel = args->attention;
    panel.head_dim = columns.count;
    finish_rows(&panel, fewhead_part(patch->head, columns), patch->x.first, patch->count, tiles->core, width,
                tiles->scale, NULL, NULL);
}

/* Task: one patch. Answers its queries. */
static void fewhead_answer(void *arguments, size_t task, size_t worker) {
    const fewhead_job *const job = arguments;
    const ck_fewhead_args *const args = job->args;
    const ck_fewhead_layout *const layout = &job->layout;
    const size_t panels = layout->panels, width = layout->keys.width;
    const fewhead_patch patch = fewhead_patch_of(job, task);
    const fewhead_tiles tiles = fewhead_tiles_of(job, worker);
    const float *const summary = job->summaries + patch.index * layout->keys.chunks * layout->summary;
    fewhead_map_queries(job, &patch, summary + panels * panels * layout->block, &tiles);
    for (size_t p = 0; p < panels; p++) {
        const ck_range columns = ck_fewhead_panel(layout, args->attention.head_dim, p);
        fewhead_read_panel(job, &patch, summary, p, &tiles);
        switch (layout->taps ? args->kernel : 0) {
        case 0: fewhead_finish_plain(args, &patch, columns, width, &tiles); break;
        case 3: fewhead_finish_3(args, &patch, columns, width, &tiles); break;
        case 5: fewhead_finish_5(args, &patch, columns, width, &tiles); break;
        default: fewhead_finish_7(args, &patch, columns, width, &tiles); break;
        }
    }
}

void CK_NAME(ck_fewhead_f32)(ck_pool *pool, const ck_fewhead_args *args, float *scratch) {
    const size_t heads = args->attention.batch * args->attention.heads;
    fewhead_job job = {args, ck_fewhead_layout_of(args, ck_pool_threads(pool)), scratch, NULL};
    const size_t chunks = heads * job.layout.keys.chunks, blocks = job.layout.panels * job.layout.panels;
    job.workers = job.summaries + chunks * job.layout.summary;
    ck_pool_run(pool, chunks, fewhead_gather_keys, &job);
    ck_pool_run(pool, heads * (blocks + 1), fewhead_combine, &job);
    ck_pool_run(pool, heads * job.layout.patches.bands * job.layout.patches.parts, fewhead_answer, &job);
}
