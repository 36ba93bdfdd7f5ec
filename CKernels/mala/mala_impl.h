/* MALA in two passes over the tokens (mathematics and order of summation: mala/README.md). */
#include "mala/mala.h"

#include "attention/linear_impl.h"

typedef struct {
    const ck_attention_args *args;
    ck_mala_layout layout;
    float *summaries, *workers;
} mala_job;

/* Task: one chunk. Sums S, the mapped keys and the values. */
CK_INLINE void mala_gather_keys_of(const mala_job *job, size_t task, size_t worker, const size_t d) {
    const linear_chunk chunk = chunk_of(job->args, &job->layout.plan, task);
    gather_sums(v_elu1, job->args, &job->layout.plan, &chunk, d, job->workers + worker * job->layout.worker,
                job->summaries + task * job->layout.summary);
}
CK_WITH_HEAD_DIM(mala_gather_keys, mala_job)

/* Task: one row of a summary. Combines the chunks into the first one: S and d^-1/2 mean key, then the mean value. */
static void mala_combine(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const mala_job *const job = arguments;
    const size_t rows = job->args->head_dim + 2, chunks = job->layout.plan.chunks;
    combine_means(job->args, &job->layout.plan, task % rows, job->summaries + task / rows * chunks * job->layout.summary,
                  job->layout.summary);
}

/* Task: one chunk. Answers its queries. */
CK_INLINE void mala_answer_of(const mala_job *job, size_t task, size_t worker, const size_t d) {
    const ck_attention_args *const args = job->args;
    const ck_linear_plan *const plan = &job->layout.plan;
    const size_t width = ck_tile_width(d);
    const linear_chunk chunk = chunk_of(args, plan, task);
    float *const queries = job->workers + worker * job->layout.worker, *const products = queries + plan->tile * width;
    float *const scale = products + plan->tile * width, *const shift = scale + CK_LINEAR_TILE_ROWS;
    const float *const summary = job->summaries + chunk.index * plan->chunks * job->layout.summary;
    const float *const mean_key = summary + d * width, *const mean_value = mean_key + width;
    for (size_t t = 0; t < chunk.queries; t++) {
        const ck_range tile = queries_of(chunk.token, chunk.queries, t);
        const row_source query = source(args->q, args->q_stride, chunk.head, tile.first);
        const feature_uses uses = {.vector = mean_key, .products = products};
        feature_rows(v_elu1, FEATURE_TILE | FEATURE_PRODUCTS, query, tile, args->rope, d, &uses, queries, width);
        sum_lanes(products, tile.count, 1, shift);
        for (size_t r = 0; r < tile.count; r++) {
            scale[r] = 1 + 1 / (shift[r] + 1e-6f);
            shift[r] = -shift[r];
        }
        const upcoming_rows upcoming = upcoming_answers(args, chunk.head, tile);
        const row_end end = {args, chunk.head, tile.first, scale, shift, mean_value};
        read_summary(queries, summary, tile.count, d, width, &end, &upcoming);
    }
}
CK_WITH_HEAD_DIM(mala_answer, mala_job)

void CK_NAME(ck_mala_f32)(ck_pool *pool, const ck_attention_args *args, float *scratch) {
    mala_job job = {args, ck_mala_layout_of(args, ck_pool_threads(pool)), scratch, NULL};
    const size_t heads = args->batch * args->heads, tasks = heads * job.layout.plan.chunks;
    job.workers = job.summaries + tasks * job.layout.summary;
    ck_pool_run(pool, tasks, mala_gather_keys, &job);
    ck_pool_run(pool, heads * (args->head_dim + 2), mala_combine, &job);
    ck_pool_run(pool, tasks, mala_answer, &job);
}
