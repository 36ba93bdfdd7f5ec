/*
 * The blocked matrix product over the vector vocabulary. The including file defines TILE_ROWS; a tile is TILE_ROWS x
 * (2 * VL) outputs held in registers.
 */
#include "gemm/gemm_blocks.h"

enum { TILE_COLUMNS = 2 * VL };

/* One tile over one k-block, and what to do with its sums. */
typedef struct {
    const float *rows;     /* packed rows, CK_ROW_STRIDE apart */
    const float *weights;  /* [k][CK_PANEL] */
    size_t k;
    const float *start;    /* TILE_COLUMNS initial sums for every row, or NULL to go on from `partial` */
    float *partial;        /* [rows][CK_PANEL] */
    float *out;            /* NULL: leave the sums in `partial` */
    size_t out_stride;
    const float *scale, *residual;
    size_t residual_stride;
} tile;

/* Adds one k to all sums of a tile; fetches the weights eight steps ahead into the first-level cache. */
CK_INLINE void step(const size_t rows, const float *x, const float *w, vf sum[TILE_ROWS][2]) {
    const vf w0 = v_load(w), w1 = v_load(w + VL);
    __builtin_prefetch(w + 8 * CK_PANEL, 0, 3);
    if (TILE_COLUMNS > 16) __builtin_prefetch(w + 8 * CK_PANEL + 16, 0, 3);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        const vf value = v_set(x[r * CK_ROW_STRIDE]);
        sum[r][0] = v_fma(value, w0, sum[r][0]);
        sum[r][1] = v_fma(value, w1, sum[r][1]);
    }
}

/*
 * Always inlined with a constant number of rows, so that every sum lives in a register and every output is the same
 * chain of fused multiply-adds over k whatever tile its row falls into.
 */
CK_INLINE void tile_of(const size_t rows, const tile *t) {
    vf sum[TILE_ROWS][2];
    if (t->start) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) sum[r][0] = v_load(t->start), sum[r][1] = v_load(t->start + VL);
    } else {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            sum[r][0] = v_load(t->partial + r * CK_PANEL);
            sum[r][1] = v_load(t->partial + r * CK_PANEL + VL);
        }
    }
    const float *x = t->rows, *w = t->weights;
    size_t i = t->k;
    for (; i >= 4; i -= 4, x += 4, w += 4 * CK_PANEL) {
#pragma clang loop unroll(full)
        for (size_t u = 0; u < 4; u++) step(rows, x + u, w + u * CK_PANEL, sum);
    }
    for (; i > 0; i--, x++, w += CK_PANEL) step(rows, x, w, sum);
    if (t->out == NULL) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            v_store(t->partial + r * CK_PANEL, sum[r][0]);
            v_store(t->partial + r * CK_PANEL + VL, sum[r][1]);
        }
        return;
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

/* The epilogue of tiles that cannot end in registers: activations, and panels that reach beyond the last column. */
static void finish_rows(const ck_product *p, size_t row, size_t rows, size_t column, size_t columns,
                        const float *partial) {
    for (size_t r = 0; r < rows; r++) {
        const ck_epilogue *const e = &p->epilogue;
        const float *const residual = e->residual ? e->residual + (row + r) * e->residual_stride : NULL;
        float *const out = p->out + (row + r) * p->out_stride;
        for (size_t c = 0; c < columns; c += VL) {
            const size_t count = columns - c < VL ? columns - c : VL;
            const vf v = v_load(partial + r * CK_PANEL + c);
            v_store_n(out + column + c, finish(v, e, residual, column + c, count), count);
        }
    }
}

/* One panel of columns over all rows of the region. */
static void multiply_panel(const ck_product *p, const ck_blocking *b, ck_region region, size_t column,
                           const float *packed_rows, float *partial) {
    const ck_epilogue *const e = &p->epilogue;
    const size_t columns = p->n - column < CK_PANEL ? p->n - column : CK_PANEL;
    const int direct = columns == CK_PANEL && e->activation == CK_ACTIVATION_NONE;
    float start[CK_PANEL] = {0};
    if (e->bias) memcpy(start, e->bias + column, columns * sizeof(float));

    const float *weights = p->packed + column * p->k;
    const size_t tile_floats = TILE_ROWS * CK_ROW_STRIDE;
    for (size_t block = 0; block < b->k_blocks; block++) {
        const size_t first = block * b->k_block, last = first + b->k_block < p->k ? first + b->k_block : p->k;
        const size_t k = last - first;
        for (size_t part = 0; part < CK_PANEL; part += TILE_COLUMNS) {
            for (size_t done = 0, index = 0; done < region.rows; done += TILE_ROWS, index++) {
                const size_t rows = region.rows - done < TILE_ROWS ? region.rows - done : TILE_ROWS;
                tile t = {
                    .rows = packed_rows + (index * b->k_blocks + block) * tile_floats,
                    .weights = weights + part,
                    .k = k,
                    .start = block == 0 ? start + part : NULL,
                    .partial = partial + done * CK_PANEL + part,
                };
                if (direct && last == p->k) {
                    const size_t row = region.row + done;
                    t.out = p->out + row * p->out_stride + column + part;
                    t.out_stride = p->out_stride;
                    if (e->scale) t.scale = e->scale + column + part;
                    if (e->residual) t.residual = e->residual + row * e->residual_stride + column + part;
                    t.residual_stride = e->residual_stride;
                }
                run_tile(rows, &t);
            }
        }
        weights += k * CK_PANEL;
    }
    if (!direct) finish_rows(p, region.row, region.rows, column, columns, partial);
}

void CK_NAME(ck_multiply)(const ck_product *product, const ck_blocking *blocking, ck_region region,
                          const float *rows, float *partial) {
    for (size_t column = region.column; column < region.column + region.columns; column += CK_PANEL)
        multiply_panel(product, blocking, region, column, rows, partial);
}

/* Copies `count` floats; writes up to VL - 1 floats beyond them, which a packed row has room for. */
CK_INLINE void copy_row(float *to, const float *from, size_t count) {
    size_t i = 0;
    for (; i + VL <= count; i += VL) v_store(to + i, v_load(from + i));
    if (i < count) v_store(to + i, v_load_n(from + i, count - i));
}

/* Two passes, mean first; lanes are summed in an order fixed by k and the k-blocks. */
static void normalise_row(const ck_gemm_args *args, const ck_blocking *b, const float *x, float *to) {
    const size_t k = args->k, next = TILE_ROWS * CK_ROW_STRIDE;
    vf sum0 = v_zero(), sum1 = v_zero();
    size_t i = 0;
    for (; i + 2 * VL <= k; i += 2 * VL) {
        sum0 = v_add(sum0, v_load(x + i));
        sum1 = v_add(sum1, v_load(x + i + VL));
    }
    for (; i < k; i += VL) sum0 = v_add(sum0, v_load_n(x + i, k - i < VL ? k - i : VL));
    const vf mean = v_set(v_sum(v_add(sum0, sum1)) / (float)k);

    vf squares0 = v_zero(), squares1 = v_zero();
    float *part = to;
    for (size_t first = 0; first < k; first += b->k_block, part += next) {
        const size_t count = k - first < b->k_block ? k - first : b->k_block;
        for (i = 0; i + 2 * VL <= count; i += 2 * VL) {
            const vf d0 = v_sub(v_load(x + first + i), mean), d1 = v_sub(v_load(x + first + i + VL), mean);
            v_store(part + i, d0);
            v_store(part + i + VL, d1);
            squares0 = v_fma(d0, d0, squares0);
            squares1 = v_fma(d1, d1, squares1);
        }
        for (; i < count; i += VL) {
            const size_t lanes = count - i < VL ? count - i : VL;
            v_store(part + i, v_sub(v_load_n(x + first + i, lanes), mean));
            const vf d = v_load_n(part + i, lanes);
            squares0 = v_fma(d, d, squares0);
        }
    }
    const float variance = v_sum(v_add(squares0, squares1)) / (float)k;
    const vf factor = v_set(1 / sqrtf(variance + args->norm_epsilon));
    part = to;
    for (size_t first = 0; first < k; first += b->k_block, part += next) {
        const size_t count = k - first < b->k_block ? k - first : b->k_block;
        for (i = 0; i < count; i += VL) v_store(part + i, v_mul(v_load(part + i), factor));
    }
}

void CK_NAME(ck_gemm_rows)(const void *arguments, const ck_blocking *blocking, size_t row, size_t rows, float *to) {
    const ck_gemm_args *const args = arguments;
    const size_t tile_floats = TILE_ROWS * CK_ROW_STRIDE;
    for (size_t r = 0; r < rows; r++) {
        const float *const x = args->x + (row + r) * args->x_stride;
        float *part = to + r / TILE_ROWS * blocking->k_blocks * tile_floats + r % TILE_ROWS * CK_ROW_STRIDE;
        if (args->norm_epsilon > 0) {
            normalise_row(args, blocking, x, part);
            continue;
        }
        for (size_t first = 0; first < args->k; first += blocking->k_block, part += tile_floats) {
            const size_t count = args->k - first < blocking->k_block ? args->k - first : blocking->k_block;
            copy_row(part, x + first, count);
        }
    }
}
