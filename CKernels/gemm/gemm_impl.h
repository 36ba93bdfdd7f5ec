/*
 * The microkernel and its loops over the vector vocabulary. The including file defines TILE_ROWS; a tile is TILE_ROWS x
 * (2 * VL) outputs held in registers while k runs from beginning to end: every output is one chain of fused
 * multiply-adds, whatever tile its row falls into.
 */
#include "gemm/gemm_kernels.h"

enum { TILE_COLUMNS = 2 * VL, BASES = (TILE_ROWS + 2) / 3 };

/* One tile and what to do with its sums. */
typedef struct {
    const float *from; /* its first row */
    size_t row_stride;
    size_t runs, run_stride, run;
    const float *weights; /* [k][CK_PANEL] */
    const float *start;   /* TILE_COLUMNS initial sums for every row */
    float *out;
    size_t out_stride;
    const float *scale, *residual;
    size_t residual_stride;
} tile;

/*
 * Adds one k to all sums. Row r is three rows' address r / 3 and a multiple of the stride, which addressing modes take
 * for free. The weights are fetched twelve steps ahead into the first-level cache.
 */
CK_INLINE void step(const size_t rows, const float *const *x, size_t stride, size_t i, const float *w,
                    vf sum[TILE_ROWS][2]) {
    const vf w0 = v_load(w), w1 = v_load(w + VL);
    __builtin_prefetch(w + 12 * CK_PANEL, 0, 3);
    if (TILE_COLUMNS > 16) __builtin_prefetch(w + 12 * CK_PANEL + 16, 0, 3);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        const vf value = v_set(x[r / 3][r % 3 * stride + i]);
        sum[r][0] = v_fma(value, w0, sum[r][0]);
        sum[r][1] = v_fma(value, w1, sum[r][1]);
    }
}

/* Always inlined with a constant number of rows, so that every sum lives in a register. */
CK_INLINE void tile_of(const size_t rows, const tile *t) {
    const size_t bases = (rows + 2) / 3;
    vf sum[TILE_ROWS][2];
    const float *x[BASES], *w = t->weights;
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) sum[r][0] = v_load(t->start), sum[r][1] = v_load(t->start + VL);
    for (size_t run = 0; run < t->runs; run++) {
#pragma clang loop unroll(full)
        for (size_t b = 0; b < bases; b++) x[b] = t->from + run * t->run_stride + 3 * b * t->row_stride;
        size_t i = t->run;
        for (; i >= 4; i -= 4, w += 4 * CK_PANEL) {
#pragma clang loop unroll(full)
            for (size_t b = 0; b < bases; b++) __asm__("" : "+r"(x[b])); /* or each row gets a pointer, and spills */
#pragma clang loop unroll(full)
            for (size_t u = 0; u < 4; u++) step(rows, x, t->row_stride, u, w + u * CK_PANEL, sum);
#pragma clang loop unroll(full)
            for (size_t b = 0; b < bases; b++) x[b] += 4;
        }
        for (; i > 0; i--, w += CK_PANEL) {
            step(rows, x, t->row_stride, 0, w, sum);
#pragma clang loop unroll(full)
            for (size_t b = 0; b < bases; b++) x[b]++;
        }
    }
    if (t->scale) {
        const vf s0 = v_load(t->scale), s1 = v_load(t->scale + VL);
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) sum[r][0] = v_mul(sum[r][0], s0), sum[r][1] = v_mul(sum[r][1], s1);
    }
    if (t->residual) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            sum[r][0] = v_add(sum[r][0], v_load(t->residual + r * t->residual_stride));
            sum[r][1] = v_add(sum[r][1], v_load(t->residual + r * t->residual_stride + VL));
        }
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        v_store(t->out + r * t->out_stride, sum[r][0]);
        v_store(t->out + r * t->out_stride + VL, sum[r][1]);
    }
}

static void run_tile(size_t rows, const tile *t) {
    switch (rows) {
    case 1: tile_of(1, t); break;
    case 2: tile_of(2, t); break;
    case 3: tile_of(3, t); break;
    case 4: tile_of(4, t); break;
#if TILE_ROWS > 4
    case 5: tile_of(5, t); break;
    case 6: tile_of(6, t); break;
#endif
#if TILE_ROWS > 6
    case 7: tile_of(7, t); break;
    case 8: tile_of(8, t); break;
#endif
#if TILE_ROWS > 8
    case 9: tile_of(9, t); break;
    case 10: tile_of(10, t); break;
    case 11: tile_of(11, t); break;
    case 12: tile_of(12, t); break;
    case 13: tile_of(13, t); break;
    case 14: tile_of(14, t); break;
#endif
    }
}

CK_INLINE vf finish(vf v, const ck_epilogue *e, const float *residual, size_t column, size_t count) {
    if (e->activation == CK_ACTIVATION_GELU) v = v_gelu(v);
    if (e->activation == CK_ACTIVATION_SILU) v = v_silu(v);
    if (e->scale) v = v_mul(v, v_load_n(e->scale + column, count));
    if (residual) v = v_add(v, v_load_n(residual + column, count));
    return v;
}

/* The ends of a tile that can't be reached in registers: activations, and panels wider than what is left of n. */
static void finish_tile(const ck_product *p, size_t row, size_t rows, size_t column, const float *sums) {
    const ck_epilogue *const e = &p->epilogue;
    const size_t columns = p->n - column < TILE_COLUMNS ? p->n - column : TILE_COLUMNS;
    for (size_t r = 0; r < rows; r++, sums += TILE_COLUMNS) {
        const float *const residual = e->residual ? e->residual + (row + r) * e->residual_stride : NULL;
        float *const out = p->out + (row + r) * p->out_stride;
        for (size_t c = 0; c < columns; c += VL) {
            const size_t count = columns - c < VL ? columns - c : VL;
            v_store_n(out + column + c, finish(v_load(sums + c), e, residual, column + c, count), count);
        }
    }
}

/* Up to TILE_COLUMNS columns of all rows. Each line is cut into tiles of nearly equal height. */
static void multiply_columns(const ck_product *p, const ck_rows *source, size_t row, size_t column) {
    const ck_epilogue *const e = &p->epilogue;
    const size_t columns = p->n - column < TILE_COLUMNS ? p->n - column : TILE_COLUMNS;
    const int direct = columns == TILE_COLUMNS && e->activation == CK_ACTIVATION_NONE;
    _Alignas(64) float start[TILE_COLUMNS] = {0}, sums[TILE_ROWS * TILE_COLUMNS];
    if (e->bias) memcpy(start, e->bias + column, columns * sizeof(float));

    const size_t k = source->runs * source->run;
    tile t = {.row_stride = source->row_stride,
              .runs = source->runs,
              .run_stride = source->run_stride,
              .run = source->run,
              .weights = p->packed + column / CK_PANEL * CK_PANEL * k + column % CK_PANEL,
              .start = start,
              .out = sums,
              .out_stride = TILE_COLUMNS};
    if (direct) {
        t.out_stride = p->out_stride;
        t.scale = e->scale ? e->scale + column : NULL;
        t.residual_stride = e->residual_stride;
    }
    const size_t tiles = ck_divide_up(source->line_rows, TILE_ROWS);
    const size_t least = source->line_rows / tiles, higher = source->line_rows % tiles;
    for (size_t line = 0; line < source->lines; line++) {
        t.from = source->from + line * source->line_stride;
        for (size_t index = 0; index < tiles; index++) {
            const size_t rows = least + (index < higher);
            if (direct) {
                t.out = p->out + row * p->out_stride + column;
                t.residual = e->residual ? e->residual + row * e->residual_stride + column : NULL;
            }
            run_tile(rows, &t);
            if (!direct) finish_tile(p, row, rows, column, sums);
            t.from += rows * source->row_stride;
            row += rows;
        }
    }
}

void CK_NAME(ck_multiply)(const ck_product *product, const ck_rows *rows, size_t row, size_t column, size_t columns) {
    for (size_t c = column; c < column + columns; c += TILE_COLUMNS) multiply_columns(product, rows, row, c);
}

/*
 * Normalises a constant number of neighbouring rows side by side, as one row's sums are a chain of latencies.
 * Mean first, then the squared distances from it; a row's lanes are added in an order that k alone fixes.
 */
CK_INLINE void normalise(const size_t rows, const ck_gemm_args *args, const float *x, float *to, size_t stride) {
    enum { MOST = 4 };
    const size_t k = args->k, whole = k / VL * VL, rest = k - whole;
    vf mean[MOST], squares[MOST], factor[MOST];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) mean[r] = squares[r] = v_zero();
    for (size_t i = 0; i < whole; i += VL) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) mean[r] = v_add(mean[r], v_load(x + r * args->x_stride + i));
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        mean[r] = v_add(mean[r], v_load_n(x + r * args->x_stride + whole, rest));
        mean[r] = v_set(v_sum(mean[r]) / (float)k);
    }
    for (size_t i = 0; i < whole; i += VL) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            const vf d = v_sub(v_load(x + r * args->x_stride + i), mean[r]);
            squares[r] = v_fma(d, d, squares[r]);
        }
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        if (rest) {
            float distances[VL];
            v_store(distances, v_sub(v_load_n(x + r * args->x_stride + whole, rest), mean[r]));
            const vf d = v_load_n(distances, rest);
            squares[r] = v_fma(d, d, squares[r]);
        }
        factor[r] = v_set(1 / sqrtf(v_sum(squares[r]) / (float)k + args->norm_epsilon));
    }
    for (size_t i = 0; i < k; i += VL) {
        const size_t lanes = k - i < VL ? k - i : VL;
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            const float *const from = x + r * args->x_stride + i;
            const vf value = lanes == VL ? v_load(from) : v_load_n(from, lanes);
            v_store(to + r * stride + i, v_mul(v_sub(value, mean[r]), factor[r]));
        }
    }
}

void CK_NAME(ck_normalise)(const ck_gemm_args *args, size_t row, size_t rows, float *to, size_t stride) {
    const float *x = args->x + row * args->x_stride;
    for (; rows >= 4; rows -= 4, x += 4 * args->x_stride, to += 4 * stride) normalise(4, args, x, to, stride);
    for (; rows > 0; rows--, x += args->x_stride, to += stride) normalise(1, args, x, to, stride);
}
