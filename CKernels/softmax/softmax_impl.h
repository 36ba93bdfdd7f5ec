/*
 * Softmax attention, tiled (mathematics and order of summation: softmax/README.md).
 *
 * The scores of a tile are held transposed, [key][query]: the maximum and the sum over the keys are then vertical, and
 * both products are plain tile products (scores = K Q^T with Q^T packed once per task, out = scores^T V).
 */
#include "softmax/softmax.h"

#include "attention/product_impl.h"
#include "attention/rows_impl.h"
#include "rope/rope_impl.h"

typedef struct {
    const ck_attention_args *args;
    ck_softmax_layout layout;
    float *keys, *values, *workers;
} softmax_job;

/* Task: one key tile of one head. Rotates keys and copies values into contiguous rows. */
static void pack_keys(void *job, size_t task, size_t worker) {
    (void)worker;
    const softmax_job *const own = job;
    const ck_attention_args *const args = own->args;
    const size_t width = own->layout.width, d = args->head_dim, index = task / own->layout.key_tiles;
    const ck_range tile = ck_part(args->tokens, own->layout.key_tiles, task % own->layout.key_tiles);
    const ck_head head = head_of(args, index);
    const size_t at = index * own->layout.head + tile.first * width;
    weigh_rows(NULL, head_rows(args->k, args->k_stride, head, tile.first), args->k_stride, tile.count, d,
               own->keys + at, width);
    if (args->rope) rotate_rows(args->rope, tile.first, tile.count, own->keys + at, width);
    weigh_rows(NULL, head_rows(args->v, args->v_stride, head, tile.first), args->v_stride, tile.count, d,
               own->values + at, width);
}

/*
 * Turns a tile of scores [keys][queries] into exp(score - highest so far). `highest` and `sum` run along, `decay` is
 * what earlier tiles' results have to be multiplied with. A NaN score never becomes the maximum and so reaches the sum.
 */
static void weigh_scores(float *scores, size_t keys, size_t queries, float *highest, float *sum, float *decay) {
    for (size_t q = 0; q < queries; q += VL) {
        const vf before = v_load(highest + q);
        vf now = before;
        for (size_t k = 0; k < keys; k++) now = v_max(v_load(scores + k * CK_SOFTMAX_QUERIES + q), now);
        vf own = v_zero();
        for (size_t k = 0; k < keys; k++) {
            float *const score = scores + k * CK_SOFTMAX_QUERIES + q;
            const vf weight = v_exp_nonpositive(v_sub(v_load(score), now));
            v_store(score, weight);
            own = v_add(own, weight);
        }
        const vf less = v_exp_nonpositive(v_sub(before, now));
        v_store(highest + q, now);
        v_store(decay + q, less);
        v_store(sum + q, v_fma(v_load(sum + q), less, own));
    }
}

/* Task: up to CK_SOFTMAX_QUERIES queries of one head against all of its keys. */
static void attend(void *job, size_t task, size_t worker) {
    const softmax_job *const own = job;
    const ck_attention_args *const args = own->args;
    const size_t width = own->layout.width, d = args->head_dim, vectors = ck_ceil_div(d, VL);
    const size_t blocks = ck_ceil_div(args->tokens, CK_SOFTMAX_QUERIES), index = task / blocks;
    const size_t token = task % blocks * CK_SOFTMAX_QUERIES, left = args->tokens - token;
    const size_t queries = left < CK_SOFTMAX_QUERIES ? left : CK_SOFTMAX_QUERIES;
    const ck_head head = head_of(args, index);

    float *const out = own->workers + worker * own->layout.worker;
    float *const turned = out + CK_SOFTMAX_QUERIES * width;
    float *const scores = turned + CK_SOFTMAX_QUERIES * width;
    float *const highest = scores + CK_SOFTMAX_KEYS * CK_SOFTMAX_QUERIES;
    float *const sum = highest + CK_SOFTMAX_QUERIES, *const decay = sum + CK_SOFTMAX_QUERIES;

    for (size_t q = 0; q < CK_SOFTMAX_QUERIES; q++) highest[q] = -INFINITY, sum[q] = 0, decay[q] = 1 / sqrtf((float)d);
    weigh_rows(decay, head_rows(args->q, args->q_stride, head, token), args->q_stride, queries, d, out, width);
    if (args->rope) rotate_rows(args->rope, token, queries, out, width);
    zero(out + queries * width, (CK_SOFTMAX_QUERIES - queries) * width);
    transpose(out, width, CK_SOFTMAX_QUERIES, d, turned, CK_SOFTMAX_QUERIES);

    zero(out, queries * width);
    for (size_t t = 0; t < own->layout.key_tiles; t++) {
        const ck_range tile = ck_part(args->tokens, own->layout.key_tiles, t);
        const size_t at = index * own->layout.head + tile.first * width;
        product_of_rows((tile_product){.rows = tile.count, .vectors = ck_ceil_div(queries, VL), .steps = d,
                                       .a = own->keys + at, .a_stride = width,
                                       .b = turned, .b_stride = CK_SOFTMAX_QUERIES,
                                       .c = scores, .c_stride = CK_SOFTMAX_QUERIES});
        weigh_scores(scores, tile.count, queries, highest, sum, decay);
        product_of_columns((tile_product){.rows = queries, .vectors = vectors, .steps = tile.count,
                                          .a = scores, .a_stride = CK_SOFTMAX_QUERIES,
                                          .b = own->values + at, .b_stride = width,
                                          .c = out, .c_stride = width, .decay = decay, .decay_step = 1});
    }
    for (size_t q = 0; q < queries; q++) sum[q] = 1 / sum[q];
    finish_rows(args, head, token, queries, out, width, sum, NULL, NULL);
}

void CK_NAME(ck_softmax_attention_f32)(ck_pool *pool, const ck_attention_args *args, float *scratch) {
    softmax_job job = {args, ck_softmax_layout_of(args, ck_pool_threads(pool)), scratch, NULL, NULL};
    const size_t heads = args->batch * args->heads;
    job.values = job.keys + heads * job.layout.head;
    job.workers = job.values + heads * job.layout.head;
    ck_pool_run(pool, heads * job.layout.key_tiles, pack_keys, &job);
    ck_pool_run(pool, heads * ck_ceil_div(args->tokens, CK_SOFTMAX_QUERIES), attend, &job);
}
