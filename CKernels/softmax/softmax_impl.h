/*
 * Softmax attention, tiled (mathematics and order of summation: softmax/README.md).
 *
 * The scores of a tile are held transposed, [key][query]: the maximum and the sum over the keys are then vertical, and
 * both products are plain tile products (scores = K Q^T with Q^T packed once per block, out = scores^T V).
 */
#include "softmax/softmax.h"

#include "attention/rows_impl.h"
#include "attention/product_impl.h"
#include "rope/rope_impl.h"

typedef struct {
    const ck_attention_args *args;
    ck_softmax_layout layout;
    float *copies, *workers;
} softmax_job;

/* Queries that share their keys: a head of an image, or of a window of it. */
typedef struct {
    const ck_windows *windows;
    size_t window, head;
    size_t query_row, key_row; /* first rows of the image in q, local, gate and out, in k and v */
    size_t column;
    const float *regions; /* of its tokens, where the roll brought several together and they are kept apart */
} softmax_group;

static softmax_group group_of(const softmax_job *job, size_t index) {
    const ck_attention_args *const args = job->args;
    const size_t image = index / args->heads / job->layout.windows;
    softmax_group g = {.windows = args->windows,
                       .window = index / args->heads % job->layout.windows,
                       .head = index % args->heads,
                       .query_row = image * args->tokens,
                       .key_row = image * args->key_tokens,
                       .column = index % args->heads * args->head_dim};
    if (args->windows) g.query_row = g.key_row = image * args->windows->height * args->windows->width;
    return g;
}

/*
 * Asks for what the next group of a map that lies beyond the second-level cache takes instead of a run of rows: those of
 * the next head, or of the first head one window further. The hardware does not foresee a window's short runs. Addresses
 * past the end are harmless, they are never read.
 */
static void fetch_next(const softmax_job *job, const softmax_group *group, const float *run, size_t stride,
                       size_t rows) {
    if (!job->layout.far) return;
    const size_t d = job->args->head_dim;
    const int last = group->head + 1 == job->args->heads;
    const float *next = last ? run - group->column + group->windows->window_width * stride : run + d;
    for (; rows > 0; rows--, next += stride)
        for (size_t c = 0; c < d; c += 16) __builtin_prefetch(next + c);
}

/* tile = x for some tokens of a group, whose image starts at row `row`; `outside` stands for padding */
static void copy_rows(const softmax_job *job, const softmax_group *group, ck_range tokens, const float *x,
                      size_t stride, size_t row, const float *outside, float *tile) {
    const size_t width = job->layout.width, d = job->args->head_dim;
    ck_window_walk walk = ck_window_walk_from(group->windows, group->window, tokens.first);
    for (size_t done = 0; done < tokens.count;) {
        const ck_run run = ck_next_run(group->windows, &walk, tokens.count - done);
        if (!run.outside) {
            const float *const from = x + (row + run.row) * stride + group->column;
            fetch_next(job, group, from, stride, run.count);
            weigh_rows(NULL, from, stride, run.count, d, tile, width);
        } else if (outside) {
            weigh_rows(NULL, outside + group->column, 0, run.count, d, tile, width);
        } else {
            zero(tile, run.count * width);
        }
        done += run.count;
        tile += run.count * width;
    }
}

/* Copies the values of a tile of keys into contiguous rows of a group's copy and, where there are such, its keys. */
static void copy_keys(const softmax_job *job, const softmax_group *group, ck_range tile, float *copy) {
    const ck_attention_args *const args = job->args;
    const ck_windows *const windows = args->windows;
    const size_t width = job->layout.width;
    float *const values = copy + tile.first * width, *const keys = values + job->layout.values;
    if (job->layout.copy > job->layout.values)
        copy_rows(job, group, tile, args->k, args->k_stride, group->key_row, windows ? windows->outside_key : NULL,
                  keys);
    if (args->rope) rotate_rows(args->rope, tile.first, tile.count, keys, width);
    copy_rows(job, group, tile, args->v, args->v_stride, group->key_row, windows ? windows->outside_value : NULL,
              values);
}

/* Task: one key tile of one group. */
static void copy_shared_keys(void *job, size_t task, size_t worker) {
    (void)worker;
    const softmax_job *const own = job;
    const size_t tiles = own->layout.key_tiles, index = task / tiles;
    const softmax_group group = group_of(own, index);
    copy_keys(own, &group, ck_part(own->args->key_tokens, tiles, task % tiles), own->copies + index * own->layout.copy);
}

/* scores += separation where key and query come from different regions of the rolled grid */
static void separate(const softmax_group *group, float *scores, ck_range keys, ck_range queries) {
    const vf separation = v_set(group->windows->separation);
    for (size_t k = 0; k < keys.count; k++, scores += CK_SOFTMAX_QUERIES) {
        const vf region = v_set(group->regions[keys.first + k]);
        for (size_t q = 0; q < queries.count; q += VL) {
            const vf score = v_load(scores + q);
            const vf distance = v_abs(v_sub(v_load(group->regions + queries.first + q), region));
            v_store(scores + q, v_select_gt(distance, v_zero(), v_add(score, separation), score));
        }
    }
}

/* exp(x) for x <= 0, and 0 for x < -87: arithmetic with subnormal numbers takes a hundred times as long. */
CK_INLINE vf weight_of(vf x) {
    const vf lowest = v_set(-87.0f);
    return v_select_gt(lowest, x, v_zero(), v_exp_nonpositive(x));
}

/* What runs along while the keys of a block of queries come tile by tile, [query] each. */
typedef struct {
    float *highest, *sum;
    float *decay; /* what the results of earlier tiles have to be multiplied with */
} softmax_state;

/*
 * Turns some vectors of queries of a tile of scores [keys][queries] into exp(score + bias - highest so far); a NULL bias
 * stands for none, `last` is how many queries the last vector has. A NaN score never becomes the maximum and so reaches
 * the sum.
 */
CK_INLINE void weigh_vectors(const size_t vectors, float *scores, size_t keys, const float *bias, size_t bias_stride,
                             size_t last, const softmax_state *state, size_t q) {
    vf now[4];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) now[v] = v_load(state->highest + q + v * VL);
    for (size_t k = 0; k < keys; k++) {
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) {
            float *const at = scores + k * CK_SOFTMAX_QUERIES + q + v * VL;
            vf score = v_load(at);
            if (bias) {
                const float *const own = bias + k * bias_stride + q + v * VL;
                score = v_add(score, v + 1 < vectors || last == VL ? v_load(own) : v_load_n(own, last));
                v_store(at, score);
            }
            now[v] = v_max(score, now[v]);
        }
    }
    for (size_t v = 0; v < vectors; v++, q += VL) {
        vf sum = v_zero();
        for (size_t k = 0; k < keys; k++) {
            float *const at = scores + k * CK_SOFTMAX_QUERIES + q;
            const vf weight = weight_of(v_sub(v_load(at), now[v]));
            v_store(at, weight);
            sum = v_add(sum, weight);
        }
        const vf less = weight_of(v_sub(v_load(state->highest + q), now[v]));
        v_store(state->highest + q, now[v]);
        v_store(state->decay + q, less);
        v_store(state->sum + q, v_fma(v_load(state->sum + q), less, sum));
    }
}

/* The same for all queries, four vectors at a time: one alone would wait for its own maximum at every key. */
static void weigh_scores(float *scores, size_t keys, size_t queries, const float *bias, size_t bias_stride,
                         const softmax_state *state) {
    const size_t vectors = ck_ceil_div(queries, VL), rest = queries - (vectors - 1) * VL;
    for (size_t v = 0; v < vectors; v += 4) {
        const size_t last = v + 4 < vectors ? VL : rest;
        switch (vectors - v) {
        case 1: weigh_vectors(1, scores, keys, bias, bias_stride, last, state, v * VL); break;
        case 2: weigh_vectors(2, scores, keys, bias, bias_stride, last, state, v * VL); break;
        case 3: weigh_vectors(3, scores, keys, bias, bias_stride, last, state, v * VL); break;
        default: weigh_vectors(4, scores, keys, bias, bias_stride, last, state, v * VL); break;
        }
    }
}

/* Writes the results of some queries to where their tokens lie. */
static void finish_queries(const softmax_job *job, const softmax_group *group, ck_range tokens, const float *core,
                           const float *scale) {
    const ck_attention_args *const args = job->args;
    const size_t width = job->layout.width;
    ck_window_walk walk = ck_window_walk_from(group->windows, group->window, tokens.first);
    for (size_t done = 0; done < tokens.count;) {
        const ck_run run = ck_next_run(group->windows, &walk, tokens.count - done);
        const ck_head head = {group->query_row, group->column};
        if (!run.outside) {
            finish_rows(args, head, run.row, run.count, core + done * width, width, scale + done, NULL, NULL);
            const float *const out = args->out + (head.row + run.row) * args->out_stride + head.column;
            fetch_next(job, group, out, args->out_stride, run.count);
        }
        done += run.count;
    }
}

/* Rows that the next head of the same image reads or writes and the first block of this one has fetched meanwhile. */
typedef struct {
    upcoming_rows scores, outputs; /* during the product that makes them */
} softmax_upcoming;

static softmax_upcoming next_head(const softmax_job *job, const softmax_group *group, ck_range block, ck_range tile) {
    const ck_attention_args *const args = job->args;
    softmax_upcoming next = {.scores = {.rows = 0}, .outputs = {.rows = 0}};
    if (group->windows || job->layout.shared || block.first > 0 || group->head + 1 == args->heads) return next;
    const size_t column = group->column + args->head_dim;
    const size_t key_row = group->key_row + tile.first, query_row = group->query_row + tile.first;
    next.scores.source[0] = (row_source){args->k + key_row * args->k_stride + column, args->k_stride};
    next.scores.source[1] = (row_source){args->v + key_row * args->v_stride + column, args->v_stride};
    next.outputs.source[0] = (row_source){args->q + query_row * args->q_stride + column, args->q_stride};
    next.outputs.source[1] = (row_source){args->out + query_row * args->out_stride + column, args->out_stride};
    next.scores.rows = next.outputs.rows = tile.count;
    next.scores.columns = next.outputs.columns = args->head_dim;
    return next;
}

/* The queries of a block as columns, scaled. They are copied first where they do not lie ready in whole vectors. */
static void turn_queries(const softmax_job *job, const softmax_group *group, ck_range block, float *tile,
                         float *turned) {
    const ck_attention_args *const args = job->args;
    const size_t width = job->layout.width, d = args->head_dim, padded = ck_ceil_div(block.count, VL) * VL;
    const float *from = args->q + (group->query_row + block.first) * args->q_stride + group->column;
    size_t stride = args->q_stride;
    if (group->windows || args->rope || d % 4 != 0 || block.count < padded) {
        copy_rows(job, group, block, args->q, args->q_stride, group->query_row, NULL, tile);
        if (args->rope) rotate_rows(args->rope, block.first, block.count, tile, width);
        zero(tile + block.count * width, (padded - block.count) * width);
        from = tile;
        stride = width;
    }
    transpose(from, stride, padded, ck_ceil_div(d, 4) * 4, 1 / sqrtf((float)d), turned, CK_SOFTMAX_QUERIES);
}

/* A block of queries of a group against all of its keys. */
static void attend_block(const softmax_job *job, const softmax_group *group, ck_range block, const float *copy,
                         float *tiles) {
    const ck_attention_args *const args = job->args;
    const size_t width = job->layout.width, d = args->head_dim, queries = block.count;
    float *const out = tiles, *const turned = out + CK_SOFTMAX_QUERIES * width;
    float *const scores = turned + CK_SOFTMAX_QUERIES * width;
    float *const highest = scores + CK_SOFTMAX_KEYS * CK_SOFTMAX_QUERIES;
    const softmax_state state = {highest, highest + CK_SOFTMAX_QUERIES, highest + 2 * CK_SOFTMAX_QUERIES};
    const row_end end = {args, {group->query_row, group->column}, block.first, state.sum, NULL, NULL};
    const int copied = job->layout.copy > job->layout.values;
    const float *const keys = copied ? copy + job->layout.values
                                     : args->k + group->key_row * args->k_stride + group->column;
    const size_t key_stride = copied ? width : args->k_stride;

    for (size_t q = 0; q < CK_SOFTMAX_QUERIES; q++) state.highest[q] = -INFINITY, state.sum[q] = 0;
    turn_queries(job, group, block, out, turned);
    for (size_t t = 0; t < job->layout.key_tiles; t++) {
        const ck_range tile = ck_part(args->key_tokens, job->layout.key_tiles, t);
        const softmax_upcoming next = next_head(job, group, block, tile);
        product_of_rows((tile_product){.rows = tile.count, .vectors = ck_ceil_div(queries, VL), .steps = d,
                                       .a = keys + tile.first * key_stride, .a_stride = key_stride,
                                       .b = turned, .b_stride = CK_SOFTMAX_QUERIES,
                                       .c = scores, .c_stride = CK_SOFTMAX_QUERIES, .upcoming = &next.scores});
        const size_t bias = (group->head * args->key_tokens + tile.first) * args->bias_stride + block.first;
        if (group->regions) separate(group, scores, tile, block);
        weigh_scores(scores, tile.count, queries, args->bias ? args->bias + bias : NULL, args->bias_stride, &state);
        const tile_product weighted_values = {
            .rows = queries, .vectors = ck_ceil_div(d, VL), .steps = tile.count,
            .a = scores, .a_stride = CK_SOFTMAX_QUERIES, .b = copy + tile.first * width, .b_stride = width,
            .c = out, .c_stride = width, .decay = t > 0 ? state.decay : NULL, .decay_step = 1,
            .end = &end, .upcoming = &next.outputs};
        if (t + 1 < job->layout.key_tiles) {
            product_of_columns(weighted_values);
            continue;
        }
        for (size_t q = 0; q < queries; q++) state.sum[q] = 1 / state.sum[q];
        if (group->windows) {
            product_of_columns(weighted_values);
            finish_queries(job, group, block, out, state.sum);
        } else {
            product_of_ended_columns(weighted_values);
        }
    }
}

/* Task: some blocks of queries of one group. */
static void attend(void *job, size_t task, size_t worker) {
    const softmax_job *const own = job;
    const ck_softmax_layout *const layout = &own->layout;
    const size_t index = task / layout->tasks, tokens = own->args->tokens;
    softmax_group group = group_of(own, index);
    float *const tiles = own->workers + worker * layout->worker;
    float *copy = own->copies + index * layout->copy, *regions = tiles + layout->worker - layout->regions;
    if (!layout->shared) {
        copy = tiles + layout->worker - layout->copy;
        regions -= layout->copy;
        copy_keys(own, &group, (ck_range){0, own->args->key_tokens}, copy);
    }
    if (group.windows && group.windows->separation != 0 && ck_window_regions(group.windows, group.window, regions))
        group.regions = regions;
    const ck_range blocks = ck_part(ck_ceil_div(tokens, CK_SOFTMAX_QUERIES), layout->tasks, task % layout->tasks);
    for (size_t block = blocks.first; block < blocks.first + blocks.count; block++) {
        const size_t first = block * CK_SOFTMAX_QUERIES, left = tokens - first;
        const ck_range queries = {first, left < CK_SOFTMAX_QUERIES ? left : CK_SOFTMAX_QUERIES};
        attend_block(own, &group, queries, copy, tiles);
    }
}

void CK_NAME(ck_softmax_attention_f32)(ck_pool *pool, const ck_attention_args *args, float *scratch) {
    softmax_job job = {.args = args, .layout = ck_softmax_layout_of(args, ck_pool_threads(pool))};
    const ck_softmax_layout *const layout = &job.layout;
    job.copies = scratch;
    job.workers = scratch + (layout->shared ? layout->groups * layout->copy : 0);
    if (layout->shared) ck_pool_run(pool, layout->groups * layout->key_tiles, copy_shared_keys, &job);
    ck_pool_run(pool, layout->groups * layout->tasks, attend, &job);
}
