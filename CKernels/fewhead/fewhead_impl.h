/* Few-head attention in two passes over the tokens (mathematics and order of summation: fewhead/README.md). */
#include "fewhead/fewhead.h"

#include "attention/linear_impl.h"
#include "dwconv/run_impl.h"

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

/* block += sum over the tile's tokens of keys[.][i] * values[.][j] */
CK_INLINE void fewhead_accumulate(const float *keys, const float *values, size_t tokens, size_t rows, size_t columns,
                                  size_t width, float *block) {
    const float keep = 1;
    product_of_columns((tile_product){.rows = rows, .vectors = ck_ceil_div(columns, VL), .steps = tokens,
                                      .a = keys, .a_stride = width, .b = values, .b_stride = width,
                                      .c = block, .c_stride = width, .decay = &keep, .decay_step = 0});
}

/* core[.][j] = (further ? core[.][j] : 0) + sum over i of queries[.][i] * block[i][j] */
CK_INLINE void fewhead_read(const float *queries, const float *block, size_t tokens, size_t rows, size_t columns,
                            size_t width, int further, float *core) {
    const float keep = 1;
    product_of_rows((tile_product){.rows = tokens, .vectors = ck_ceil_div(columns, VL), .steps = rows,
                                   .a = queries, .a_stride = width, .b = block, .b_stride = width,
                                   .c = core, .c_stride = width, .decay = further ? &keep : NULL, .decay_step = 0});
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
    zero(summary, layout->summary);
    for (size_t t = 0; t < chunk.tiles; t++) {
        const ck_range tile = tile_of(&chunk, t);
        for (size_t p = 0; p < panels; p++) {
            const ck_range channels = ck_fewhead_panel(layout, d, p);
            const ck_head part = fewhead_part(chunk.head, channels);
            const feature_uses uses = {.sum = key_sum,
                                       .upcoming = {source(args->v, args->v_stride, part, tile.first)}};
            zero(key_sum, width);
            feature_rows(fewhead_feature, FEATURE_SUM, source(args->k, args->k_stride, part, tile.first), tile, NULL,
                         channels.count, &uses, keys + p * panel_tile, width);
            sum_rows(NULL, key_sum, 1, channels.count, width, 1, key_sums + p * width);
        }
        for (size_t j = 0; j < panels; j++) {
            const ck_range columns = ck_fewhead_panel(layout, d, j);
            const row_source value = source(args->v, args->v_stride, fewhead_part(chunk.head, columns), tile.first);
            weigh_rows(NULL, value.x, value.stride, tile.count, columns.count, values, width);
            for (size_t i = 0; i < panels; i++)
                fewhead_accumulate(keys + i * panel_tile, values, tile.count, ck_fewhead_panel(layout, d, i).count,
                                   columns.count, width, summary + (j * panels + i) * layout->block);
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

/* out = the depthwise branch of some channels, tokens first ..< last of one grid row */
CK_INLINE void fewhead_branch_row(const ck_dwconv_args *conv, size_t image, size_t first, size_t last,
                                  ck_range channels, const size_t kernel) {
    const size_t radius = kernel / 2, width = conv->width, height = conv->height, y = first / width;
    dwconv_run run = {.above = y < radius ? radius - y : 0,
                      .below = y + radius >= height ? height + radius - y : kernel};
    for (; first < last; first += run.pixels) {
        const size_t x = first % width, pixel = image * width * height + first;
        run.x = conv->x + pixel * conv->x_stride;
        run.out = conv->out + pixel * conv->out_stride;
        run.pixels = last - first < DWCONV_PIXELS ? last - first : DWCONV_PIXELS;
        run.left = x < radius ? radius - x : 0;
        run.right = width + radius - x;
        const int inside = run.pixels == DWCONV_PIXELS && run.left == 0 && run.right >= DWCONV_PIXELS + kernel - 1;
        for (size_t c = 0; c < channels.count; c += VL) {
            const size_t n = channels.count - c;
            if (n >= VL && inside) {
                dwconv_vector(conv, &run, kernel, 1, channels.first + c, VL);
            } else {
                dwconv_vector(conv, &run, kernel, 0, channels.first + c, n < VL ? n : VL);
            }
        }
    }
}

static void fewhead_branch_3(const ck_dwconv_args *conv, size_t image, size_t first, size_t last, ck_range channels) {
    fewhead_branch_row(conv, image, first, last, channels, 3);
}
static void fewhead_branch_5(const ck_dwconv_args *conv, size_t image, size_t first, size_t last, ck_range channels) {
    fewhead_branch_row(conv, image, first, last, channels, 5);
}
static void fewhead_branch_7(const ck_dwconv_args *conv, size_t image, size_t first, size_t last, ck_range channels) {
    fewhead_branch_row(conv, image, first, last, channels, 7);
}

/* out = the depthwise branch of some channels of a tile */
CK_INLINE void fewhead_branch(const ck_fewhead_args *args, ck_head head, ck_range tile, ck_range channels) {
    const ck_attention_args *const attention = &args->attention;
    const ck_dwconv_args conv = {.height = args->height, .width = args->width, .channels = attention->head_dim,
                                 .kernel = args->kernel, .x = attention->v + head.column,
                                 .x_stride = attention->v_stride, .weight = args->weight, .bias = args->bias,
                                 .out = attention->out + head.column, .out_stride = attention->out_stride};
    const size_t image = head.row / attention->tokens, end = tile.first + tile.count;
    for (size_t first = tile.first, last; first < end; first = last) {
        last = first - first % args->width + args->width;
        if (last > end) last = end;
        switch (args->kernel) {
        case 3: fewhead_branch_3(&conv, image, first, last, channels); break;
        case 5: fewhead_branch_5(&conv, image, first, last, channels); break;
        default: fewhead_branch_7(&conv, image, first, last, channels); break;
        }
    }
}

/* Task: one chunk. Answers its queries. */
static void fewhead_answer(void *arguments, size_t task, size_t worker) {
    const fewhead_job *const job = arguments;
    const ck_attention_args *const args = &job->args->attention;
    const ck_fewhead_layout *const layout = &job->layout;
    const ck_linear_plan *const plan = &layout->queries;
    const size_t d = args->head_dim, panels = layout->panels, width = plan->width, panel_tile = plan->tile * width;
    const linear_chunk chunk = chunk_of(args, plan, task);
    float *const queries = job->workers + worker * layout->worker, *const core = queries + panels * panel_tile;
    float *const scale = core + panel_tile + width, *const dots = scale + CK_LINEAR_TILE_ROWS;
    const float *const summary = job->summaries + chunk.index * layout->keys.chunks * layout->summary;
    const float *const mean_key = summary + panels * panels * layout->block;
    ck_attention_args end = *args; /* of one panel */
    if (job->args->weight) {
        end.local = args->out;
        end.local_stride = args->out_stride;
    }
    for (size_t t = 0; t < chunk.tiles; t++) {
        const ck_range tile = tile_of(&chunk, t);
        for (size_t r = 0; r < tile.count; r++) scale[r] = 1e-6f;
        for (size_t p = 0; p < panels; p++) {
            const ck_range channels = ck_fewhead_panel(layout, d, p);
            const feature_uses uses = {.vector = mean_key + p * width, .products = core};
            feature_rows(fewhead_feature, FEATURE_PRODUCTS,
                         source(args->q, args->q_stride, fewhead_part(chunk.head, channels), tile.first), tile, NULL,
                         channels.count, &uses, queries + p * panel_tile, width);
            sum_lanes(core, tile.count, 1, dots);
            for (size_t r = 0; r < tile.count; r++) scale[r] += dots[r];
        }
        for (size_t r = 0; r < tile.count; r++) scale[r] = 1 / scale[r];
        for (size_t j = 0; j < panels; j++) {
            const ck_range columns = ck_fewhead_panel(layout, d, j);
            for (size_t i = 0; i < panels; i++)
                fewhead_read(queries + i * panel_tile, summary + (j * panels + i) * layout->block, tile.count,
                             ck_fewhead_panel(layout, d, i).count, columns.count, width, i > 0, core);
            if (job->args->weight) fewhead_branch(job->args, chunk.head, tile, columns);
            end.head_dim = columns.count;
            finish_rows(&end, fewhead_part(chunk.head, columns), tile.first, tile.count, core, width, scale, NULL,
                        NULL);
        }
    }
}

void CK_NAME(ck_fewhead_f32)(ck_pool *pool, const ck_fewhead_args *args, float *scratch) {
    const ck_attention_args *const attention = &args->attention;
    fewhead_job job = {args, ck_fewhead_layout_of(attention, ck_pool_threads(pool)), scratch, NULL};
    const size_t heads = attention->batch * attention->heads, chunks = heads * job.layout.keys.chunks;
    job.workers = job.summaries + chunks * job.layout.summary;
    ck_pool_run(pool, chunks, fewhead_gather_keys, &job);
    ck_pool_run(pool, heads * (job.layout.panels * job.layout.panels + 1), fewhead_combine, &job);
    ck_pool_run(pool, heads * job.layout.queries.chunks, fewhead_answer, &job);
}
