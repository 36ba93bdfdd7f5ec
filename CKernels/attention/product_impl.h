/*
 * Products of small tiles that lie in the first-level cache: c[i][j] = sum over p of a(i, p) b[p][j].
 *
 * A block of PRODUCT_ROWS x PRODUCT_VECTORS accumulators stays in registers over all steps p; the rows of b are loaded
 * as vectors, the elements of a are broadcast. Each c[i][j] is one fused-multiply-add chain over p = 0, 1, ..., whatever
 * the block it falls into.
 */
#include "attention/fetch_impl.h"

enum { PRODUCT_ROWS = 6, PRODUCT_VECTORS = VL == 16 ? 4 : 2 };

typedef struct {
    size_t rows, vectors, steps; /* c is rows x (vectors * VL) */
    const float *a;
    size_t a_stride;
    const float *b;
    size_t b_stride;
    float *c;
    size_t c_stride;
    const float *decay; /* c = c * decay[i * decay_step] + product; NULL for c = product */
    size_t decay_step;
    const row_end *end; /* with PRODUCT_ENDED: of the rows, which take this way instead of being stored in c */
    const upcoming_rows *upcoming; /* fetched into the cache meanwhile; NULL for none */
} tile_product;

/* PRODUCT_COLUMNS: a(i, p) is a[p][i], else a[i][p] */
enum { PRODUCT_COLUMNS = 1, PRODUCT_ENDED = 2 };

CK_INLINE void product_block(const tile_product *t, const int kind, size_t i, size_t j, const size_t rows,
                             const size_t vectors, fetch_cursor *fetch) {
    const int columns = kind & PRODUCT_COLUMNS;
    const size_t a_row = columns ? 1 : t->a_stride, a_step = columns ? t->a_stride : 1, b_stride = t->b_stride;
    const float *low = t->a + i * a_row, *high = low + 3 * a_row; /* from rows 0 and 3 of a all are in reach */
    const float *b = t->b + j * VL;
    vf sum[PRODUCT_ROWS][PRODUCT_VECTORS];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) sum[r][v] = v_zero();
    for (size_t left = t->steps; left > 0;) {
        const size_t run = left < fetch->rows_left ? left : fetch->rows_left, down = fetch->stride;
        const float *line = fetch->line;
#pragma clang loop unroll_count(2)
        for (size_t p = 0; p < run; p++, low += a_step, high += a_step, b += b_stride, line += down) {
            __builtin_prefetch(line, 0, 2);
            vf right[PRODUCT_VECTORS];
#pragma clang loop unroll(full)
            for (size_t v = 0; v < vectors; v++) right[v] = v_load(b + v * VL);
#pragma clang loop unroll(full)
            for (size_t r = 0; r < rows; r++) {
                const vf factor = v_set(r < 3 ? low[r * a_row] : high[(r - 3) * a_row]);
#pragma clang loop unroll(full)
                for (size_t v = 0; v < vectors; v++) sum[r][v] = v_fma(factor, right[v], sum[r][v]);
            }
        }
        left -= run;
        fetch->line = line;
        if ((fetch->rows_left -= run) == 0) next_strip(fetch);
    }
    float *const c = t->c + i * t->c_stride + j * VL;
    if (t->decay) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            const vf decay = v_set(t->decay[(i + r) * t->decay_step]);
            const float *const before = c + r * t->c_stride;
#pragma clang loop unroll(full)
            for (size_t v = 0; v < vectors; v++) sum[r][v] = v_fma(v_load(before + v * VL), decay, sum[r][v]);
        }
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        if (kind & PRODUCT_ENDED) {
            finish_vectors(t->end, i + r, j * VL, sum[r], vectors);
            continue;
        }
#pragma clang loop unroll(full)
        for (size_t v = 0; v < vectors; v++) v_store(c + r * t->c_stride + v * VL, sum[r][v]);
    }
}

CK_INLINE void product_panel(const tile_product *t, const int kind, size_t j, const size_t vectors,
                             fetch_cursor *fetch) {
    size_t i = 0;
    for (; i + PRODUCT_ROWS <= t->rows; i += PRODUCT_ROWS) product_block(t, kind, i, j, PRODUCT_ROWS, vectors, fetch);
    if (t->rows - i >= 4) {
        product_block(t, kind, i, j, 4, vectors, fetch);
        i += 4;
    }
    if (t->rows - i >= 2) {
        product_block(t, kind, i, j, 2, vectors, fetch);
        i += 2;
    }
    if (t->rows > i) product_block(t, kind, i, j, 1, vectors, fetch);
}

CK_INLINE void product(const tile_product *t, const int kind) {
    fetch_cursor fetch = first_line(t->upcoming, t->b);
    for (size_t j = 0; j < t->vectors;) {
        const size_t left = t->vectors - j;
        const size_t take = left >= 2 * PRODUCT_VECTORS || left <= PRODUCT_VECTORS ? left : (left + 1) / 2;
        switch (take < PRODUCT_VECTORS ? take : PRODUCT_VECTORS) {
        case 1: product_panel(t, kind, j, 1, &fetch), j += 1; break;
        case 2: product_panel(t, kind, j, 2, &fetch), j += 2; break;
#if VL == 16
        case 3: product_panel(t, kind, j, 3, &fetch), j += 3; break;
        default: product_panel(t, kind, j, 4, &fetch), j += 4; break;
#endif
        }
    }
}

/* Compiled once each, for callers whose sizes are not known beforehand. */
static __attribute__((unused)) void product_of_rows(tile_product t) { product(&t, 0); }
static __attribute__((unused)) void product_of_ended_rows(tile_product t) { product(&t, PRODUCT_ENDED); }
static __attribute__((unused)) void product_of_ended_columns(tile_product t) {
    product(&t, PRODUCT_COLUMNS | PRODUCT_ENDED);
}
static __attribute__((unused)) void product_of_columns(tile_product t) { product(&t, PRODUCT_COLUMNS); }
