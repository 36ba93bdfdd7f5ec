/* The parts that linear attentions are built of (README.md of this folder). */
#include "attention/linear.h"

#include "attention/product_impl.h"
#include "attention/rows_impl.h"
#include "rope/rope_impl.h"

/* One chunk of one head; `tiles` of them are walked through in order. */
typedef struct {
    ck_head head;
    size_t index;   /* of the head, 0..<batch * heads */
    ck_range token;
    size_t tiles;
} linear_chunk;

CK_INLINE linear_chunk chunk_of(const ck_attention_args *args, const ck_linear_plan *plan, size_t task) {
    linear_chunk c = {.index = task / plan->chunks};
    c.head = head_of(args, c.index);
    c.token = ck_part(args->tokens, plan->chunks, task % plan->chunks);
    c.tiles = ck_ceil_div(c.token.count, plan->tile);
    return c;
}

CK_INLINE ck_range tile_of(const linear_chunk *chunk, size_t tile) {
    ck_range r = ck_part(chunk->token.count, chunk->tiles, tile);
    r.first += chunk->token.first;
    return r;
}

/* summary[i][j] = summary[i][j] * decay + sum over the tile's tokens of keys[.][i] * values[.][j] */
CK_INLINE void add_outer_products(const float *keys, const float *values, size_t tokens, size_t head_dim, size_t width,
                                  float decay, float *summary) {
    product_of_columns((tile_product){.rows = head_dim, .vectors = ck_ceil_div(head_dim, VL), .steps = tokens,
                                      .a = keys, .a_stride = width, .b = values, .b_stride = width,
                                      .c = summary, .c_stride = width, .decay = &decay, .decay_step = 0});
}

/* core[.][j] = sum over i of queries[.][i] * summary[i][j] */
CK_INLINE void read_summary(const float *queries, const float *summary, size_t tokens, size_t head_dim, size_t width,
                            float *core) {
    product_of_rows((tile_product){.rows = tokens, .vectors = ck_ceil_div(head_dim, VL), .steps = head_dim,
                                   .a = queries, .a_stride = width, .b = summary, .b_stride = width,
                                   .c = core, .c_stride = width});
}

/* to = sum over the chunks of weights[chunk] * from[chunk], in the order of the chunks; `to` may be the first */
CK_INLINE void combine_chunks(const float *from, size_t chunk_stride, size_t chunks, const float *weights, float *to,
                              size_t count) {
    for (size_t i = 0; i < count; i += VL) {
        vf sum = v_zero();
        for (size_t c = 0; c < chunks; c++) sum = v_fma(v_set(weights[c]), v_load(from + c * chunk_stride + i), sum);
        v_store(to + i, sum);
    }
}

/* x = exp(x - highest), with highest at least every x */
CK_INLINE void exp_below(float *x, size_t count, float highest) {
    for (size_t i = 0; i < count; i += VL) {
        const size_t n = count - i < VL ? count - i : VL;
        v_store_n(x + i, v_exp_nonpositive(v_sub(v_load_n(x + i, n), v_set(highest))), n);
    }
}

/* The largest of `start` and the x; a NaN is passed over. */
CK_INLINE float highest_of(const float *x, size_t count, float start) {
    for (size_t i = 0; i < count; i++) start = x[i] > start ? x[i] : start;
    return start;
}

CK_INLINE float total_of(const float *x, size_t count) {
    float sum = 0;
    for (size_t i = 0; i < count; i++) sum += x[i];
    return sum;
}
