/* InLine attention in two passes over the tokens (mathematics and order of summation: inline/README.md). */
#include "inline/inline.h"

#define LINEAR_PRODUCTS_APART
#include "attention/linear_impl.h"
#undef LINEAR_PRODUCTS_APART

typedef struct {
    const ck_attention_args *args;
    ck_inline_function function;
    ck_inline_layout layout;
    float *summaries, *workers;
} inline_job;

CK_INLINE float *inline_summary(const inline_job *job, size_t head) {
    return job->summaries + head * job->layout.plan.chunks * job->layout.summary;
}

CK_INLINE vf inline_identity(vf x) { return x; }
CK_INLINE vf inline_relu(vf x) { return v_max(v_zero(), x); }
CK_INLINE vf inline_leaky_relu(vf x) { return v_max(v_mul(v_set(0.01f), x), x); }
CK_INLINE vf inline_exp(vf x) { return v_exp(v_mul(v_set(0.2f), x)); }

/* Makes a task of `part(map, job, task, worker, head_dim)`, compiled for every kernel function. */
#define INLINE_TASK(part)                                                                                              \
    CK_INLINE void part##_task_of(const inline_job *job, size_t task, size_t worker, const size_t d) {                 \
        switch (job->function) {                                                                                       \
        case CK_INLINE_RELU: part(inline_relu, job, task, worker, d); break;                                           \
        case CK_INLINE_LEAKY_RELU: part(inline_leaky_relu, job, task, worker, d); break;                               \
        case CK_INLINE_EXP: part(inline_exp, job, task, worker, d); break;                                             \
        default: part(inline_identity, job, task, worker, d); break;                                                   \
        }                                                                                                              \
    }                                                                                                                  \
    CK_WITH_HEAD_DIM(part##_task, inline_job)

/* Task: one chunk. Sums the products of keys and values, the keys and the values. */
CK_INLINE void inline_gather(vf (*map)(vf), const inline_job *job, size_t task, size_t worker, const size_t d) {
    const linear_chunk chunk = chunk_of(job->args, &job->layout.plan, task);
    gather_sums(map, job->args, &job->layout.plan, &chunk, d, job->workers + worker * job->layout.worker,
                job->summaries + task * job->layout.summary);
}
INLINE_TASK(inline_gather)

/* Task: one row of a summary. Combines the chunks into the first one: d^-1/2 mean of k^T v and of k, mean of v. */
static void inline_combine(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const inline_job *const job = arguments;
    const size_t rows = job->args->head_dim + 2;
    combine_means(job->args, &job->layout.plan, task % rows, inline_summary(job, task / rows), job->layout.summary);
}

/* Task: one head. Turns the mean products into the covariance M. */
static void inline_centre(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const inline_job *const job = arguments;
    const size_t d = job->args->head_dim, width = job->layout.plan.width;
    float *row = inline_summary(job, task);
    const float *const mean_key = row + d * width, *const mean_value = mean_key + width;
    for (size_t i = 0; i < d; i++, row += width)
        for (size_t c = 0; c < width; c += VL)
            v_store(row + c, v_fnma(v_set(mean_key[i]), v_load(mean_value + c), v_load(row + c)));
}

/* Task: one chunk. Answers its queries. */
CK_INLINE void inline_answer(vf (*map)(vf), const inline_job *job, size_t task, size_t worker, const size_t d) {
    const ck_attention_args *const args = job->args;
    const ck_linear_plan *const plan = &job->layout.plan;
    const size_t width = ck_tile_width(d);
    const linear_chunk chunk = chunk_of(args, plan, task);
    float *const queries = job->workers + worker * job->layout.worker, *const ones = queries + 2 * plan->tile * width;
    const float *const covariance = inline_summary(job, chunk.index), *const mean_value = covariance + (d + 1) * width;
    for (size_t r = 0; r < CK_LINEAR_TILE_ROWS; r++) ones[r] = 1;
    for (size_t t = 0; t < chunk.queries; t++) {
        const ck_range tile = queries_of(chunk.token, chunk.queries, t);
        const row_source query = source(args->q, args->q_stride, chunk.head, tile.first);
        const feature_uses uses = {0};
        feature_rows(map, FEATURE_TILE, query, tile, NULL, d, &uses, queries, width);
        const upcoming_rows upcoming = upcoming_answers(args, chunk.head, tile);
        const row_end end = {args, chunk.head, tile.first, ones, ones, mean_value};
        read_summary(queries, covariance, tile.count, d, width, &end, &upcoming);
    }
}

INLINE_TASK(inline_answer)

void CK_NAME(ck_inline_f32)(ck_pool *pool, const ck_attention_args *args, ck_inline_function function, float *scratch) {
    inline_job job = {args, function, ck_inline_layout_of(args, ck_pool_threads(pool)), scratch, NULL};
    const size_t heads = args->batch * args->heads, tasks = heads * job.layout.plan.chunks;
    job.workers = job.summaries + tasks * job.layout.summary;
    ck_pool_run(pool, tasks, inline_gather_task, &job);
    ck_pool_run(pool, heads * (args->head_dim + 2), inline_combine, &job);
    ck_pool_run(pool, heads, inline_centre, &job);
    ck_pool_run(pool, tasks, inline_answer_task, &job);
}
