/* The parts that linear attentions are built of (README.md of this folder). */
#include "attention/linear.h"

#include "attention/rows_impl.h"
#include "attention/product_impl.h"
#include "rope/rope_impl.h"

/* One chunk of one head; `tiles` of them are walked through in order. */
typedef struct {
    ck_head head;
    size_t index;   /* of the head, 0..<batch * heads */
    ck_range token;
    size_t tiles, queries; /* tiles of keys, tiles of queries */
} linear_chunk;

CK_INLINE linear_chunk chunk_of(const ck_attention_args *args, const ck_linear_plan *plan, size_t task) {
    linear_chunk c = {.index = task / plan->chunks};
    c.head = head_of(args, c.index);
    c.token = ck_part(args->tokens, plan->chunks, task % plan->chunks);
    c.tiles = ck_ceil_div(c.token.count, plan->tile);
    c.queries = ck_ceil_div(c.token.count, plan->queries);
    return c;
}

/* One of the nearly equal tiles that some tokens are cut into. */
CK_INLINE ck_range tile_of(ck_range tokens, size_t tiles, size_t tile) {
    ck_range r = ck_part(tokens.count, tiles, tile);
    r.first += tokens.first;
    return r;
}

/* One of the tiles that some queries are cut into: nearly equal numbers of whole blocks, the last one cut short. */
CK_INLINE ck_range queries_of(ck_range tokens, size_t tiles, size_t tile) {
    const ck_range blocks = ck_part(ck_ceil_div(tokens.count, CK_LINEAR_QUERY_ROWS), tiles, tile);
    const size_t first = blocks.first * CK_LINEAR_QUERY_ROWS, rows = blocks.count * CK_LINEAR_QUERY_ROWS;
    return (ck_range){tokens.first + first, first + rows < tokens.count ? rows : tokens.count - first};
}

CK_INLINE row_source source(const float *x, size_t stride, ck_head head, size_t token) {
    return (row_source){x ? head_rows(x, stride, head, token) : NULL, stride};
}

/* The rows behind those of a tile. */
CK_INLINE row_source after(row_source tile_rows, ck_range tile) {
    return (row_source){tile_rows.x ? tile_rows.x + tile.count * tile_rows.stride : NULL, tile_rows.stride};
}

/* What to take from the rows' features f = map(x) on the way, and where to. */
enum { FEATURE_PRODUCTS = 1, FEATURE_SUM = 2, FEATURE_PLAIN = 4, FEATURE_TILE = 8, FEATURE_TURNED = 16 };
typedef struct {
    const float *vector;    /* products = f * vector, summed to VL lanes: [rows][VL] for sum_lanes */
    float *products;
    float *sum;             /* sum += f over the rows */
    float *plain;           /* f itself, [rows][width] */
} feature_uses;

/* `n` channels from c on, turned by the angles of these channels; adds to `product`. */
CK_INLINE vf feature_vector(vf (*map)(vf), const int wanted, const float *x, const float *cosine, const float *sine,
                            size_t c, size_t n, const feature_uses *uses, float *plain, float *tile, vf product) {
    vf f = map(load_some(x + c, n));
    if (n < VL) f = v_first(f, n);
    if (wanted & FEATURE_PRODUCTS) product = v_fma(f, load_some(uses->vector + c, n), product);
    if (wanted & FEATURE_SUM) store_some(uses->sum + c, v_add(load_some(uses->sum + c, n), f), n);
    if (wanted & FEATURE_PLAIN) store_some(plain + c, f, n);
    if (wanted & FEATURE_TURNED) f = rotated(f, load_some(cosine, n), load_some(sine, n));
    if (wanted & FEATURE_TILE) store_some(tile + c, f, n);
    return product;
}

/* Channels first ..< last of a row. */
CK_INLINE vf feature_part(vf (*map)(vf), const int wanted, const float *x, const float *cosine, const float *sine,
                          size_t first, size_t last, const feature_uses *uses, float *plain, float *tile, vf product) {
    size_t c = first;
    for (; c + VL <= last; c += VL) {
        product = feature_vector(map, wanted, x, cosine, sine, c, VL, uses, plain, tile, product);
        if (wanted & FEATURE_TURNED) cosine += VL, sine += VL;
    }
    if (c < last) product = feature_vector(map, wanted, x, cosine, sine, c, last - c, uses, plain, tile, product);
    return product;
}

/* feature_rows with or without FEATURE_TURNED: nothing in the loop asks which, or reads the arguments again. */
CK_INLINE void feature_rows_of(vf (*map)(vf), const int wanted, row_source from, ck_range tokens, const ck_rope rope,
                               size_t head_dim, const feature_uses uses, float *tile, size_t width) {
    enum { AHEAD = 6 };
    const size_t half = head_dim / 2;
    size_t row = tokens.first / rope.width, column = tokens.first % rope.width;
    float *plain = uses.plain;
    for (size_t r = 0; r < tokens.count; r++, tile += width, plain += wanted & FEATURE_PLAIN ? width : 0) {
        const float *const x = from.x + r * from.stride;
        prefetch_row(x + AHEAD * from.stride, head_dim);
        vf product = v_zero();
        if (wanted & FEATURE_TURNED) {
            product = feature_part(map, wanted, x, rope.row_cosine + row * half, rope.row_sine + row * half, 0, half,
                                   &uses, plain, tile, product);
            product = feature_part(map, wanted, x, rope.column_cosine + column * half,
                                   rope.column_sine + column * half, half, head_dim, &uses, plain, tile, product);
            if (++column == rope.width) column = 0, row++;
        } else {
            product = feature_part(map, wanted, x, NULL, NULL, 0, head_dim, &uses, plain, tile, product);
        }
        if (wanted & FEATURE_PRODUCTS) v_store(uses.products + r * VL, product);
    }
}

/* tile = rot(map(x)) for some tokens and what else is `wanted`, in one pass over x */
CK_INLINE void feature_rows(vf (*map)(vf), const int wanted, row_source from, ck_range tokens, const ck_rope *rope,
                            size_t head_dim, const feature_uses *uses, float *tile, size_t width) {
    if (rope) {
        feature_rows_of(map, wanted | FEATURE_TURNED, from, tokens, *rope, head_dim, *uses, tile, width);
    } else {
        feature_rows_of(map, wanted, from, tokens, (ck_rope){.width = 1}, head_dim, *uses, tile, width);
    }
}

/*
 * The two products for a head dimension that is known beforehand: compiled into each caller, or, in a file whose callers
 * are many, once for all of them, which is a little slower and far quicker to compile.
 */
#if defined(LINEAR_PRODUCTS_APART)
#define LINEAR_PRODUCT static __attribute__((noinline))
#else
#define LINEAR_PRODUCT CK_INLINE
#endif
enum { RELEASED_DIM = 64 };
LINEAR_PRODUCT void released_outer_products(tile_product t) {
    t.rows = t.a_stride = t.b_stride = t.c_stride = RELEASED_DIM;
    t.vectors = RELEASED_DIM / VL;
    product(&t, PRODUCT_COLUMNS);
}
LINEAR_PRODUCT void released_answers(tile_product t) {
    t.steps = t.a_stride = t.b_stride = RELEASED_DIM;
    t.vectors = RELEASED_DIM / VL;
    product(&t, PRODUCT_ENDED);
}

/* summary[i][j] = summary[i][j] * decay + sum over the tile's tokens of keys[.][i] * values[.][j]; NULL for decay 0 */
CK_INLINE void add_outer_products(const float *keys, const float *values, size_t tokens, size_t head_dim, size_t width,
                                  const float *decay, float *summary, const upcoming_rows *upcoming) {
    const tile_product t = {.rows = head_dim, .vectors = ck_ceil_div(head_dim, VL), .steps = tokens,
                            .a = keys, .a_stride = width, .b = values, .b_stride = width,
                            .c = summary, .c_stride = width, .decay = decay, .decay_step = 0, .upcoming = upcoming};
    if (__builtin_constant_p(head_dim) && head_dim == RELEASED_DIM) {
        released_outer_products(t);
    } else {
        product_of_columns(t);
    }
}

/* What answering the queries behind those of a tile will read and write. */
CK_INLINE upcoming_rows upcoming_answers(const ck_attention_args *args, ck_head head, ck_range tile) {
    const size_t token = tile.first + tile.count;
    return (upcoming_rows){{source(args->q, args->q_stride, head, token),
                            source(args->local, args->local_stride, head, token),
                            source(args->gate, args->gate_stride, head, token),
                            source(args->out, args->out_stride, head, token)},
                           tile.count, args->head_dim};
}

/* Answers queries: their core[.][j] = sum over i of queries[.][i] * summary[i][j] ends as `end` says. */
CK_INLINE void read_summary(const float *queries, const float *summary, size_t tokens, size_t head_dim, size_t width,
                            const row_end *end, const upcoming_rows *upcoming) {
    const tile_product t = {.rows = tokens, .vectors = ck_ceil_div(head_dim, VL), .steps = head_dim,
                            .a = queries, .a_stride = width, .b = summary, .b_stride = width,
                            .end = end, .upcoming = upcoming};
    if (__builtin_constant_p(head_dim) && head_dim == RELEASED_DIM) {
        released_answers(t);
    } else {
        product_of_ended_rows(t);
    }
}

/*
 * Adds up a chunk's keys and values, their features f = map(k): d rows sum of rot(f)^T v, one row sum of f (not rotated),
 * one row sum of v. `tiles` holds two tiles and one row.
 */
CK_INLINE void gather_sums(vf (*map)(vf), const ck_attention_args *args, const ck_linear_plan *plan,
                           const linear_chunk *chunk, const size_t d, float *tiles, float *summary) {
    const size_t width = ck_tile_width(d);
    float *const keys = tiles, *const values = keys + plan->tile * width;
    float *const key_sum = values + plan->tile * width; /* of a tile: short sums first */
    const float once = 1;
    zero(summary + d * width, 2 * width);
    for (size_t t = 0; t < chunk->tiles; t++) {
        const ck_range tile = tile_of(chunk->token, chunk->tiles, t);
        const row_source key = source(args->k, args->k_stride, chunk->head, tile.first);
        const row_source value = source(args->v, args->v_stride, chunk->head, tile.first);
        const feature_uses uses = {.sum = key_sum};
        const upcoming_rows upcoming = {{after(key, tile), after(value, tile)}, tile.count, d};
        zero(key_sum, width);
        feature_rows(map, FEATURE_TILE | FEATURE_SUM, key, tile, args->rope, d, &uses, keys, width);
        sum_rows(NULL, key_sum, 1, d, width, 1, summary + d * width);
        weigh_rows(NULL, value.x, value.stride, tile.count, d, values, width);
        sum_rows(NULL, values, tile.count, d, width, 1, summary + (d + 1) * width);
        add_outer_products(keys, values, tile.count, d, width, t > 0 ? &once : NULL, summary, &upcoming);
    }
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

/*
 * Combines row `row` of the summaries that `gather_sums` made, into the first one: the first d rows and the features
 * become means times d^-1/2, the values means.
 */
CK_INLINE void combine_means(const ck_attention_args *args, const ck_linear_plan *plan, size_t row, float *first,
                             size_t chunk_stride) {
    const float scale = row <= args->head_dim ? 1 / sqrtf((float)args->head_dim) : 1;
    float weights[CK_LINEAR_CHUNKS];
    for (size_t c = 0; c < plan->chunks; c++) weights[c] = scale / (float)args->tokens;
    first += row * plan->width;
    combine_chunks(first, chunk_stride, plan->chunks, weights, first, plan->width);
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
