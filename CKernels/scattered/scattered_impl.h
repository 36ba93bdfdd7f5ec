/* Scattered attention in one pass over every group (mathematics and order of summation: scattered/README.md). */
#include "scattered/scattered.h"

#include "attention/linear_impl.h"

typedef struct {
    const ck_scattered_args *args;
    const ck_scattered_work *work;
    ck_scattered_layout layout;
    float *summaries, *workers; /* [chunk][head], and one summary and tiles of each worker */
} scattered_job;

CK_INLINE vf scattered_feature(vf x) { return v_max(v_zero(), x); }

/* Rows `tile` of one head in x. */
CK_INLINE row_source scattered_rows(const float *x, size_t stride, ck_range tile, size_t column) {
    return (row_source){x + tile.first * stride + column, stride};
}

/* summary = KV and key sums of some rows, all heads */
CK_INLINE void scattered_gather_of(const scattered_job *job, ck_range rows, float *tiles, float *summary,
                                   const size_t d) {
    const ck_scattered_args *const args = job->args;
    const size_t width = ck_tile_width(d), tile_count = ck_ceil_div(rows.count, job->layout.tile);
    float *const keys = tiles, *const values = keys + job->layout.tile * width;
    const float once = 1;
    zero(summary, job->layout.summary);
    for (size_t t = 0; t < tile_count; t++) {
        const ck_range tile = tile_of(rows, tile_count, t);
        for (size_t h = 0; h < args->heads; h++) {
            float *const kv = summary + h * job->layout.head;
            const row_source value = scattered_rows(args->v, args->v_stride, tile, h * d);
            const feature_uses uses = {.sum = kv + d * width};
            feature_rows(scattered_feature, FEATURE_TILE | FEATURE_SUM,
                         scattered_rows(args->k, args->k_stride, tile, h * d), tile, NULL, d, &uses, keys, width);
            weigh_rows(NULL, value.x, value.stride, tile.count, d, values, width);
            add_outer_products(keys, values, tile.count, d, width, t > 0 ? &once : NULL, kv, NULL);
        }
    }
}

/* The outputs of some rows, all heads. */
CK_INLINE void scattered_answer_of(const scattered_job *job, ck_range rows, const float *summary, float *tiles,
                                   const size_t d) {
    const ck_scattered_args *const args = job->args;
    const size_t width = ck_tile_width(d), tile_count = ck_ceil_div(rows.count, job->layout.tile);
    float *const queries = tiles, *const products = queries + job->layout.tile * width;
    float *const scale = products + job->layout.tile * width;
    const ck_attention_args outputs = {.head_dim = d, .out = args->out, .out_stride = args->out_stride};
    for (size_t t = 0; t < tile_count; t++) {
        const ck_range tile = tile_of(rows, tile_count, t);
        for (size_t h = 0; h < args->heads; h++) {
            const float *const kv = summary + h * job->layout.head;
            const feature_uses uses = {.vector = kv + d * width, .products = products};
            feature_rows(scattered_feature, FEATURE_TILE | FEATURE_PRODUCTS,
                         scattered_rows(args->q, args->q_stride, tile, h * d), tile, NULL, d, &uses, queries, width);
            sum_lanes(products, tile.count, 1, scale);
            for (size_t r = 0; r < tile.count; r++) scale[r] = 1 / (scale[r] + 1e-6f);
            const row_end end = {&outputs, {0, h * d}, tile.first, scale, NULL, NULL};
            read_summary(queries, kv, tile.count, d, width, &end, NULL);
        }
    }
}

static void scattered_gather(const scattered_job *job, ck_range rows, float *tiles, float *summary) {
    switch (job->args->head_dim) {
    case 16: scattered_gather_of(job, rows, tiles, summary, 16); break;
    case 32: scattered_gather_of(job, rows, tiles, summary, 32); break;
    default: scattered_gather_of(job, rows, tiles, summary, job->args->head_dim); break;
    }
}

static void scattered_answer(const scattered_job *job, ck_range rows, const float *summary, float *tiles) {
    switch (job->args->head_dim) {
    case 16: scattered_answer_of(job, rows, summary, tiles, 16); break;
    case 32: scattered_answer_of(job, rows, summary, tiles, 32); break;
    default: scattered_answer_of(job, rows, summary, tiles, job->args->head_dim); break;
    }
}

/* Task: one chunk of a large group is summed up, or a batch of small groups computed whole. */
static void scattered_begin(void *arguments, size_t task, size_t worker) {
    const scattered_job *const job = arguments;
    float *const own = job->workers + worker * job->layout.worker, *const tiles = own + job->layout.summary;
    if (task < job->work->chunk_count) {
        scattered_gather(job, job->work->chunks[task].rows, tiles, job->summaries + task * job->layout.summary);
        return;
    }
    const ck_scattered_batch batch = job->work->batches[task - job->work->chunk_count];
    for (size_t g = batch.first; g < batch.first + batch.count; g++) {
        const ck_range rows = {job->args->groups[g].first, job->args->groups[g].count};
        scattered_gather(job, rows, tiles, own);
        scattered_answer(job, rows, own, tiles);
    }
}

/* Task: a chunk. The first one of a group takes up the others. */
static void scattered_combine(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const scattered_job *const job = arguments;
    const ck_scattered_chunk chunk = job->work->chunks[task];
    if (chunk.part > 0) return;
    float weights[CK_LINEAR_CHUNKS];
    for (size_t c = 0; c < chunk.parts; c++) weights[c] = 1;
    float *const first = job->summaries + task * job->layout.summary;
    combine_chunks(first, job->layout.summary, chunk.parts, weights, first, job->layout.summary);
}

/* Task: one chunk of a large group. Answers its queries. */
static void scattered_end(void *arguments, size_t task, size_t worker) {
    const scattered_job *const job = arguments;
    const ck_scattered_chunk chunk = job->work->chunks[task];
    scattered_answer(job, chunk.rows, job->summaries + (task - chunk.part) * job->layout.summary,
                     job->workers + worker * job->layout.worker + job->layout.summary);
}

void CK_NAME(ck_scattered_f32)(ck_pool *pool, const ck_scattered_args *args, const ck_scattered_work *work,
                               float *scratch) {
    const ck_scattered_layout layout = ck_scattered_layout_of(args, work->chunk_count, ck_pool_threads(pool));
    scattered_job job = {args, work, layout, scratch, scratch + work->chunk_count * layout.summary};
    ck_pool_run(pool, work->chunk_count + work->batch_count, scattered_begin, &job);
    ck_pool_run(pool, work->chunk_count, scattered_combine, &job);
    ck_pool_run(pool, work->chunk_count, scattered_end, &job);
}
