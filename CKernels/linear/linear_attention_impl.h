/* Linear attention in two passes over the tokens (mathematics and order of summation: linear/README.md). */
#include "linear/linear_attention.h"

#include "attention/linear_impl.h"

typedef struct {
    const ck_linear_attention_args *args;
    ck_linear_attention_layout layout;
    float *summaries, *workers;
} linear_attention_job;

CK_INLINE vf identity_feature(vf x) { return x; }
CK_INLINE vf relu_feature(vf x) { return v_max(v_zero(), x); }

CK_INLINE row_source head_source(const float *x, ck_head_strides strides, size_t heads, size_t head, size_t token) {
    return (row_source){x ? x + ck_head_offset(strides, heads, head, token) : NULL, strides.row};
}

/* tile = feature(x) row by row, with the sums or products that `wanted` asks for */
CK_INLINE void map_features(ck_feature feature, const int wanted, row_source from, size_t rows, size_t dim,
                            const feature_uses *uses, float *tile, size_t width) {
    const ck_range all = {0, rows};
    switch (feature) {
    case CK_FEATURE_ELU1: feature_rows(v_elu1, wanted, from, all, NULL, dim, uses, tile, width); break;
    case CK_FEATURE_RELU: feature_rows(relu_feature, wanted, from, all, NULL, dim, uses, tile, width); break;
    case CK_FEATURE_SILU: feature_rows(v_silu, wanted, from, all, NULL, dim, uses, tile, width); break;
    default: feature_rows(identity_feature, wanted, from, all, NULL, dim, uses, tile, width); break;
    }
}

/*
 * tile = exp(x - highest so far), channel by channel. `highest` and `sum` run along, `decay` is what earlier tiles'
 * results have to be multiplied with.
 */
static void soften_keys(row_source from, size_t rows, size_t dim, float *highest, float *sum, float *decay,
                        float *tile, size_t width) {
    for (size_t c = 0; c < dim; c += VL) {
        const size_t n = dim - c < VL ? dim - c : VL;
        const vf before = v_load(highest + c);
        vf now = before, own = v_zero();
        for (size_t r = 0; r < rows; r++) now = v_max(now, load_some(from.x + r * from.stride + c, n));
        for (size_t r = 0; r < rows; r++) {
            const vf key = v_exp_nonpositive(v_sub(load_some(from.x + r * from.stride + c, n), now));
            v_store(tile + r * width + c, v_first(key, n));
            own = v_add(own, key);
        }
        const vf less = v_exp_nonpositive(v_sub(before, now));
        v_store(highest + c, now);
        v_store(decay + c, less);
        v_store(sum + c, v_fma(v_load(sum + c), less, own));
    }
}

/* Task: one chunk. Sums S and the mapped keys. */
static void linear_gather_keys(void *arguments, size_t task, size_t worker) {
    const linear_attention_job *const job = arguments;
    const ck_linear_attention_args *const args = job->args;
    const ck_linear_attention_layout *const layout = &job->layout;
    const size_t width = layout->plan.width, value_width = layout->value_width, head = task / layout->plan.chunks;
    float *const keys = job->workers + worker * layout->worker, *const values = keys + layout->plan.tile * width;
    float *const per_channel = values + layout->plan.tile * value_width; /* decays, or the key sums of a tile */
    float *const summary = job->summaries + task * layout->summary;
    const int softmax = args->key_feature == CK_FEATURE_TOKEN_SOFTMAX;
    zero(summary, layout->summary);
    if (softmax)
        for (size_t c = 0; c < width; c++) summary[layout->highest + c] = -INFINITY;
    const ck_range chunk = ck_part(args->key_tokens, layout->plan.chunks, task % layout->plan.chunks);
    const size_t tiles = ck_ceil_div(chunk.count, layout->plan.tile);
    for (size_t t = 0; t < tiles; t++) {
        const ck_range tile = tile_of(chunk, tiles, t);
        const row_source key = head_source(args->k, args->k_strides, args->heads, head, tile.first);
        const row_source value = head_source(args->v, args->v_strides, args->heads, head, tile.first);
        if (softmax) {
            soften_keys(key, tile.count, args->features, summary + layout->highest, summary + layout->key_sum,
                        per_channel, keys, width);
        } else {
            const feature_uses uses = {.sum = per_channel};
            zero(per_channel, width);
            map_features(args->key_feature, FEATURE_TILE | FEATURE_SUM, key, tile.count, args->features, &uses, keys, width);
            sum_rows(NULL, per_channel, 1, args->features, width, 1, summary + layout->key_sum);
        }
        weigh_rows(NULL, value.x, value.stride, tile.count, args->value_dim, values, value_width);
        const float once = 1;
        const upcoming_rows upcoming = {{after(key, tile), after(value, tile)}, tile.count, layout->plan.width};
        product_of_columns((tile_product){
            .rows = args->features, .vectors = ck_ceil_div(args->value_dim, VL), .steps = tile.count, .a = keys,
            .a_stride = width, .b = values, .b_stride = value_width, .c = summary, .c_stride = value_width,
            .decay = softmax ? per_channel : &once, .decay_step = softmax,
            .upcoming = &upcoming});
    }
}

/* Task: one row of S, or the key sums. Combines the chunks into the first one. */
static void linear_combine(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const linear_attention_job *const job = arguments;
    const ck_linear_attention_layout *const layout = &job->layout;
    const size_t rows = job->args->features + 1, row = task % rows, chunks = layout->plan.chunks;
    float *const first = job->summaries + task / rows * chunks * layout->summary;
    float weights[CK_LINEAR_CHUNKS];
    for (size_t c = 0; c < chunks; c++) weights[c] = 1;
    const int softmax = job->args->key_feature == CK_FEATURE_TOKEN_SOFTMAX;
    if (row == job->args->features) {
        if (softmax) return; /* the other tasks read the chunks' sums, and nobody a sum of them */
        combine_chunks(first + layout->key_sum, layout->summary, chunks, weights, first + layout->key_sum,
                       layout->plan.width);
        return;
    }
    if (softmax) {
        float total = 0;
        for (size_t c = 0; c < chunks; c++) weights[c] = first[c * layout->summary + layout->highest + row];
        exp_below(weights, chunks, highest_of(weights, chunks, -INFINITY));
        for (size_t c = 0; c < chunks; c++) total += weights[c] * first[c * layout->summary + layout->key_sum + row];
        for (size_t c = 0; c < chunks; c++) weights[c] /= total;
    }
    float *const own = first + row * layout->value_width;
    combine_chunks(own, layout->summary, chunks, weights, own, layout->value_width);
}

/* out = factor[r] * core + local */
static void store_answers(const linear_attention_job *job, size_t head, ck_range tile, const float *core,
                          const float *factor) {
    const ck_linear_attention_args *const args = job->args;
    const row_source local = head_source(args->local, args->local_strides, args->heads, head, tile.first);
    float *out = args->out + ck_head_offset(args->out_strides, args->heads, head, tile.first);
    for (size_t r = 0; r < tile.count; r++, core += job->layout.value_width, out += args->out_strides.row) {
        const float *const addend = local.x ? local.x + r * local.stride : NULL;
        for (size_t c = 0; c < args->value_dim; c += VL) {
            const size_t n = args->value_dim - c < VL ? args->value_dim - c : VL;
            const vf x = v_mul(v_load(core + c), v_set(factor[r]));
            store_some(out + c, addend ? v_add(x, load_some(addend + c, n)) : x, n);
        }
    }
}

/* Task: one chunk. Answers its queries. */
static void linear_answer(void *arguments, size_t task, size_t worker) {
    const linear_attention_job *const job = arguments;
    const ck_linear_attention_args *const args = job->args;
    const ck_linear_attention_layout *const layout = &job->layout;
    const size_t width = layout->plan.width, value_width = layout->value_width, head = task / layout->query_chunks;
    float *const queries = job->workers + worker * layout->worker, *const core = queries + layout->plan.tile * width;
    float *const factor = core + layout->plan.tile * value_width;
    const float *const summary = job->summaries + head * layout->plan.chunks * layout->summary;
    const float scale = args->scale ? args->scale[head % args->heads] : 1;
    const ck_range chunk = ck_part(args->tokens, layout->query_chunks, task % layout->query_chunks);
    const size_t tiles = ck_ceil_div(chunk.count, layout->plan.queries);
    for (size_t t = 0; t < tiles; t++) {
        const ck_range tile = queries_of(chunk, tiles, t);
        const row_source query = head_source(args->q, args->q_strides, args->heads, head, tile.first);
        const feature_uses uses = {.vector = summary + layout->key_sum, .products = core};
        map_features(args->query_feature, FEATURE_TILE | FEATURE_PRODUCTS, query, tile.count, args->features, &uses, queries, width);
        if (args->normalised) {
            sum_lanes(core, tile.count, 1, factor);
            for (size_t r = 0; r < tile.count; r++) {
                const float sum = factor[r] + args->epsilon;
                factor[r] = scale / (sum < args->lower_bound ? args->lower_bound : sum);
            }
        } else {
            for (size_t r = 0; r < tile.count; r++) factor[r] = scale;
        }
        const row_source local = head_source(args->local, args->local_strides, args->heads, head, tile.first);
        const row_source out = head_source(args->out, args->out_strides, args->heads, head, tile.first);
        const upcoming_rows upcoming = {{after(query, tile), after(local, tile), after(out, tile)}, tile.count,
                                        layout->plan.width};
        product_of_rows((tile_product){.rows = tile.count, .vectors = ck_ceil_div(args->value_dim, VL),
                                       .steps = args->features, .a = queries, .a_stride = width, .b = summary,
                                       .b_stride = value_width, .c = core, .c_stride = value_width,
                                       .upcoming = &upcoming});
        store_answers(job, head, tile, core, factor);
    }
}

void CK_NAME(ck_linear_attention_f32)(ck_pool *pool, const ck_linear_attention_args *args, float *scratch) {
    linear_attention_job job = {args, ck_linear_attention_layout_of(args, ck_pool_threads(pool)), scratch, NULL};
    const size_t heads = args->batch * args->heads, tasks = heads * job.layout.plan.chunks;
    job.workers = job.summaries + tasks * job.layout.summary;
    ck_pool_run(pool, tasks, linear_gather_keys, &job);
    ck_pool_run(pool, heads * (args->features + 1), linear_combine, &job);
    ck_pool_run(pool, heads * job.layout.query_chunks, linear_answer, &job);
}
