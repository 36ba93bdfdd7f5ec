/* RALA in three passes over the tokens (mathematics and order of summation: rala/README.md). */
#include "rala/rala.h"

#include "attention/linear_impl.h"

typedef struct {
    const ck_attention_args *args;
    ck_rala_layout layout;
    float *summaries, *workers;
} rala_job;

CK_INLINE float *rala_summary(const rala_job *job, size_t head, size_t chunk) {
    return job->summaries + (head * job->layout.plan.chunks + chunk) * job->layout.summary;
}

/* Whether the rows of `out` can hold the mapped queries from the first pass to the last one. */
CK_INLINE int rala_keeps_queries(const ck_attention_args *args) { return args->local != args->out; }

CK_INLINE vf rala_kept(vf x) { return x; }

/* Task: one chunk. Sums the mapped queries. */
CK_INLINE void rala_sum_queries_of(const rala_job *job, size_t task, size_t worker, const size_t d) {
    const ck_attention_args *const args = job->args;
    const size_t width = ck_tile_width(d);
    const linear_chunk chunk = chunk_of(args, &job->layout.plan, task);
    float *const tile_sum = job->workers + worker * job->layout.worker; /* short sums first */
    float *const sum = job->summaries + task * job->layout.summary + (d + 1) * width;
    zero(sum, width);
    for (size_t t = 0; t < chunk.tiles; t++) {
        const ck_range tile = tile_of(chunk.token, chunk.tiles, t);
        const row_source query = source(args->q, args->q_stride, chunk.head, tile.first);
        const feature_uses uses = {.sum = tile_sum};
        zero(tile_sum, width);
        if (rala_keeps_queries(args)) {
            float *const out = args->out + (chunk.head.row + tile.first) * args->out_stride + chunk.head.column;
            feature_rows(v_elu1, FEATURE_SUM | FEATURE_TILE, query, tile, NULL, d, &uses, out, args->out_stride);
        } else {
            feature_rows(v_elu1, FEATURE_SUM, query, tile, NULL, d, &uses, NULL, 0);
        }
        sum_rows(NULL, tile_sum, 1, d, width, 1, sum);
    }
}
CK_WITH_HEAD_DIM(rala_sum_queries, rala_job)

/* Task: one chunk. Weighs its keys by exp(logit - highest logit so far) and sums u and S. */
CK_INLINE void rala_gather_keys_of(const rala_job *job, size_t task, size_t worker, const size_t d) {
    const ck_attention_args *const args = job->args;
    const ck_linear_plan *const plan = &job->layout.plan;
    const size_t width = ck_tile_width(d);
    const linear_chunk chunk = chunk_of(args, plan, task);
    float *const keys = job->workers + worker * job->layout.worker, *const values = keys + plan->tile * width;
    float *const plain = values + plan->tile * width;
    float *const global_query = plain + plan->tile * width, *const weights = global_query + width;

    for (size_t c = 0; c < plan->chunks; c++) weights[c] = 1 / (float)args->tokens;
    combine_chunks(rala_summary(job, chunk.index, 0) + (d + 1) * width, job->layout.summary, plan->chunks, weights,
                   global_query, width);

    float *const summary = job->summaries + task * job->layout.summary, *const u = summary + d * width;
    zero(u, width);
    float highest = -INFINITY, sum = 0;
    for (size_t t = 0; t < chunk.tiles; t++) {
        const ck_range tile = tile_of(chunk.token, chunk.tiles, t);
        const row_source key = source(args->k, args->k_stride, chunk.head, tile.first);
        const row_source value = source(args->v, args->v_stride, chunk.head, tile.first);
        const feature_uses uses = {.vector = global_query, .products = values, .plain = plain};
        feature_rows(v_elu1, FEATURE_TILE | FEATURE_PRODUCTS | FEATURE_PLAIN, key, tile, args->rope, d, &uses, keys, width);
        sum_lanes(values, tile.count, 1 / sqrtf((float)d), weights);
        float decay = highest;
        highest = highest_of(weights, tile.count, highest);
        exp_below(weights, tile.count, highest);
        exp_below(&decay, 1, highest);
        sum = sum * decay + total_of(weights, tile.count);
        sum_rows(weights, plain, tile.count, d, width, decay, u);
        weigh_rows(weights, value.x, value.stride, tile.count, d, values, width);
        const upcoming_rows upcoming = {{after(key, tile), after(value, tile)}, tile.count, d};
        add_outer_products(keys, values, tile.count, d, width, t > 0 ? &decay : NULL, summary, &upcoming);
    }
    summary[job->layout.highest] = highest;
    summary[job->layout.sum] = sum;
}
CK_WITH_HEAD_DIM(rala_gather_keys, rala_job)

/* Task: one row of S, or u. Combines the chunks into the first one, normalised so that the key weights sum to 1. */
static void rala_combine(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const rala_job *const job = arguments;
    const size_t rows = job->args->head_dim + 1, chunks = job->layout.plan.chunks, width = job->layout.plan.width;
    float *const first = rala_summary(job, task / rows, 0);
    float weights[CK_LINEAR_CHUNKS], total = 0;
    for (size_t c = 0; c < chunks; c++) weights[c] = first[c * job->layout.summary + job->layout.highest];
    exp_below(weights, chunks, highest_of(weights, chunks, -INFINITY));
    for (size_t c = 0; c < chunks; c++) total += weights[c] * first[c * job->layout.summary + job->layout.sum];
    for (size_t c = 0; c < chunks; c++) weights[c] /= total;
    float *const row = first + task % rows * width;
    combine_chunks(row, job->layout.summary, chunks, weights, row, width);
}

/* Task: one chunk. Answers its queries. */
CK_INLINE void rala_answer_of(const rala_job *job, size_t task, size_t worker, const size_t d) {
    const ck_attention_args *const args = job->args;
    const ck_linear_plan *const plan = &job->layout.plan;
    const size_t width = ck_tile_width(d);
    const linear_chunk chunk = chunk_of(args, plan, task);
    float *const queries = job->workers + worker * job->layout.worker, *const products = queries + plan->tile * width;
    float *const scale = products + 2 * plan->tile * width;
    const float *const summary = rala_summary(job, chunk.index, 0), *const u = summary + d * width;
    for (size_t t = 0; t < chunk.queries; t++) {
        const ck_range tile = queries_of(chunk.token, chunk.queries, t);
        const feature_uses uses = {.vector = u, .products = products};
        if (rala_keeps_queries(args)) {
            const row_source kept = source(args->out, args->out_stride, chunk.head, tile.first);
            feature_rows(rala_kept, FEATURE_TILE | FEATURE_PRODUCTS, kept, tile, args->rope, d, &uses, queries, width);
        } else {
            const row_source query = source(args->q, args->q_stride, chunk.head, tile.first);
            feature_rows(v_elu1, FEATURE_TILE | FEATURE_PRODUCTS, query, tile, args->rope, d, &uses, queries, width);
        }
        sum_lanes(products, tile.count, 1, scale);
        for (size_t r = 0; r < tile.count; r++) scale[r] = 1 / (scale[r] + 1e-6f);
        upcoming_rows upcoming = upcoming_answers(args, chunk.head, tile);
        if (rala_keeps_queries(args)) upcoming.source[0].x = NULL; /* no need of q */
        const row_end end = {args, chunk.head, tile.first, scale, NULL, NULL};
        read_summary(queries, summary, tile.count, d, width, &end, &upcoming);
    }
}
CK_WITH_HEAD_DIM(rala_answer, rala_job)

void CK_NAME(ck_rala_f32)(ck_pool *pool, const ck_attention_args *args, float *scratch) {
    rala_job job = {args, ck_rala_layout_of(args, ck_pool_threads(pool)), scratch, NULL};
    const size_t heads = args->batch * args->heads, tasks = heads * job.layout.plan.chunks;
    job.workers = job.summaries + tasks * job.layout.summary;
    ck_pool_run(pool, tasks, rala_sum_queries, &job);
    ck_pool_run(pool, tasks, rala_gather_keys, &job);
    ck_pool_run(pool, heads * (args->head_dim + 1), rala_combine, &job);
    ck_pool_run(pool, tasks, rala_answer, &job);
}
