/*
 * The microkernel and its loops over the vector vocabulary. The including file defines TILE_ROWS; a tile is TILE_ROWS x
 * (2 * VL) outputs held in registers while k runs from beginning to end: every output is one chain of fused
 * multiply-adds, whatever tile its row falls into.
 */
#include "gemm/gemm_kernels.h"

#include "gemm/finish_impl.h"

enum { TILE_COLUMNS = 2 * VL, BASES = (TILE_ROWS + 2) / 3 };

/* One tile and what to do with its sums. */
typedef struct {
    const float *from; /* its first row */
    size_t row_stride;
    size_t runs, run_stride, run;
    const float *weights; /* [steps][CK_PANEL] */
    const float *ahead;   /* weights to fetch meanwhile, one line or two every four k */
    int two_lines;
    const float *start;   /* TILE_COLUMNS initial sums for every row */
    float *out;
    size_t out_stride;
    const float *end; /* where the outputs go in the end: `out`, or behind the activation */
    size_t end_stride;
    int relu;
    const float *scale, *residual;
    size_t residual_stride;
} tile;

/*
 * Adds the products of one input of each row with one k of the weights. Row r is three rows' address r / 3 and a multiple
 * of the stride, which addressing modes take for free.
 */
CK_INLINE void add_products(const size_t rows, const float *const *x, size_t stride, size_t i, vf w0, vf w1,
                            vf sum[TILE_ROWS][2]) {
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        const float *const value = x[r / 3] + r % 3 * stride + i;
#if defined(CK_SIMD_AVX512)
        /* In assembly because 28 sums leave the compiler's scheduler four registers, and it takes five. */
        vf wide;
        __asm__("vbroadcastss %[value], %[wide]\n\t"
                "vfmadd231ps %[w0], %[wide], %[sum0]\n\t"
                "vfmadd231ps %[w1], %[wide], %[sum1]"
                : [sum0] "+v"(sum[r][0]), [sum1] "+v"(sum[r][1]), [wide] "=&v"(wide)
                : [w0] "v"(w0), [w1] "v"(w1), [value] "m"(*value));
#else
        const vf wide = v_set(*value);
        sum[r][0] = v_fma(wide, w0, sum[r][0]);
        sum[r][1] = v_fma(wide, w1, sum[r][1]);
#endif
    }
}

/* The weights are fetched twelve steps ahead into the first-level cache. */
CK_INLINE void fetch_ahead(const float *w) {
    __builtin_prefetch(w + 12 * CK_PANEL, 0, 3);
    if (TILE_COLUMNS > 16) __builtin_prefetch(w + 12 * CK_PANEL + 16, 0, 3);
}

#if defined(PRODUCT_BF16)
#include "gemm/gemm_bf16_impl.h"
#else
#define PRODUCT ck_multiply

/* A step takes a word of weights for every column and this many words of every row. Here both are one k. */
enum { STEP_WORDS = 1 };

CK_INLINE void step(const size_t rows, const float *const *x, size_t stride, size_t i, const float *w,
                    vf sum[TILE_ROWS][2]) {
    const vf w0 = v_load(w), w1 = v_load(w + VL);
    fetch_ahead(w);
    add_products(rows, x, stride, i, w0, w1, sum);
}
#endif

/* Always inlined with a constant number of rows, so that every sum lives in a register. */
CK_INLINE void tile_of(const size_t rows, const tile *t) {
    const size_t bases = (rows + 2) / 3;
    vf sum[TILE_ROWS][2];
    const size_t stride = t->row_stride, out_stride = t->out_stride;
    const float *x[BASES], *w = t->weights, *ahead = t->ahead, *residual = t->residual;
    const size_t end_stride = t->end_stride, ahead_step = t->two_lines ? 32 : 16;
    const float *end = t->end, *const last = end + (rows - 1) * end_stride;
    float *out = t->out;
    const vf start0 = v_load(t->start), start1 = v_load(t->start + VL);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) sum[r][0] = start0, sum[r][1] = start1;
    for (size_t run = 0; run < t->runs; run++) {
#pragma clang loop unroll(full)
        for (size_t b = 0; b < bases; b++) x[b] = t->from + run * t->run_stride + 3 * b * stride;
        size_t i = t->run;
        for (; i >= 4; i -= 4, w += 4 / STEP_WORDS * CK_PANEL, ahead += ahead_step / STEP_WORDS) {
            __builtin_prefetch(ahead, 0, 2);
            if (t->two_lines) __builtin_prefetch(ahead + 16, 0, 2);
            __builtin_prefetch(end, 1, 3);
            if (TILE_COLUMNS > 16) __builtin_prefetch(end + 16, 1, 3);
            end = end < last ? end + end_stride : end;
#pragma clang loop unroll(full)
            for (size_t b = 0; b < bases; b++) __asm__("" : "+r"(x[b])); /* or each row gets a pointer, and spills */
#pragma clang loop unroll(full)
            for (size_t u = 0; u < 4; u += STEP_WORDS) step(rows, x, stride, u, w + u / STEP_WORDS * CK_PANEL, sum);
#pragma clang loop unroll(full)
            for (size_t b = 0; b < bases; b++) x[b] += 4;
        }
        for (; i > 0; i -= STEP_WORDS, w += CK_PANEL) {
            step(rows, x, stride, 0, w, sum);
#pragma clang loop unroll(full)
            for (size_t b = 0; b < bases; b++) x[b] += STEP_WORDS;
        }
    }
    if (t->relu) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) sum[r][0] = v_relu(sum[r][0]), sum[r][1] = v_relu(sum[r][1]);
    }
    if (t->scale) {
        const vf s0 = v_load(t->scale), s1 = v_load(t->scale + VL);
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) sum[r][0] = v_mul(sum[r][0], s0), sum[r][1] = v_mul(sum[r][1], s1);
    }
    if (residual) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++, residual += t->residual_stride) {
            sum[r][0] = v_add(sum[r][0], v_load(residual));
            sum[r][1] = v_add(sum[r][1], v_load(residual + VL));
        }
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++, out += out_stride) {
        v_store(out, sum[r][0]);
        v_store(out + VL, sum[r][1]);
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

CK_INLINE void finish_rows(const ck_product *p, const ck_activation activation, size_t row, size_t rows, size_t column,
                           size_t gap, const float *sums) {
    const ck_epilogue *const e = &p->epilogue;
    const size_t columns = ck_smaller(p->n - column, TILE_COLUMNS);
    const size_t out_stride = p->out_stride, residual_stride = e->residual ? e->residual_stride : 0;
    const float *const scale = e->scale ? e->scale + column : NULL;
    const float *residual = e->residual ? e->residual + row * residual_stride + column : NULL;
    float *out = p->out + row * out_stride + gap + column;
    for (; rows > 0; rows--, sums += TILE_COLUMNS, out += out_stride, residual += residual_stride) {
        if (columns == TILE_COLUMNS) {
            finish(activation, v_load(sums), scale, residual, out, VL);
            finish(activation, v_load(sums + VL), scale ? scale + VL : NULL, residual ? residual + VL : NULL, out + VL,
                   VL);
            continue;
        }
        for (size_t c = 0; c < columns; c += VL)
            finish(activation, v_load(sums + c), scale ? scale + c : NULL, residual ? residual + c : NULL, out + c,
                   ck_smaller(columns - c, VL));
    }
}

/* The ends of a tile that can't be reached in registers: activations, and panels wider than what is left of n. */
static void finish_tile(const ck_product *p, size_t row, size_t rows, size_t column, size_t gap, const float *sums) {
    switch (p->epilogue.activation) {
    case CK_ACTIVATION_GELU: finish_rows(p, CK_ACTIVATION_GELU, row, rows, column, gap, sums); break;
    case CK_ACTIVATION_SILU: finish_rows(p, CK_ACTIVATION_SILU, row, rows, column, gap, sums); break;
    case CK_ACTIVATION_GELU_TANH: finish_rows(p, CK_ACTIVATION_GELU_TANH, row, rows, column, gap, sums); break;
    case CK_ACTIVATION_RELU: finish_rows(p, CK_ACTIVATION_RELU, row, rows, column, gap, sums); break;
    default: finish_rows(p, CK_ACTIVATION_NONE, row, rows, column, gap, sums); break;
    }
}

/* Up to TILE_COLUMNS columns of all rows. Each line is cut into tiles of nearly equal height. */
static void multiply_columns(const ck_product *p, const ck_rows *source, size_t row, size_t column) {
    const ck_epilogue *const e = &p->epilogue;
    const size_t columns = p->n - column < TILE_COLUMNS ? p->n - column : TILE_COLUMNS;
    const int relu = e->activation == CK_ACTIVATION_RELU;
    const int direct = columns == TILE_COLUMNS && (relu || e->activation == CK_ACTIVATION_NONE);
    _Alignas(64) float start[TILE_COLUMNS] = {0}, sums[TILE_ROWS * TILE_COLUMNS];
    if (e->bias) memcpy(start, e->bias + column, columns * sizeof(float));

    const size_t steps = source->runs * source->run / STEP_WORDS;
    const float *const next = p->packed + (column / CK_PANEL + 1) * CK_PANEL * steps;
    tile t = {.row_stride = source->row_stride,
              .runs = source->runs,
              .run_stride = source->run_stride,
              .run = source->run,
              .weights = p->packed + column / CK_PANEL * CK_PANEL * steps + column % CK_PANEL,
              .start = start,
              .out = sums,
              .out_stride = TILE_COLUMNS,
              .end_stride = p->out_stride};
    if (direct) {
        t.out_stride = p->out_stride;
        t.relu = relu;
        t.scale = e->scale ? e->scale + column : NULL;
        t.residual_stride = e->residual_stride;
    }
    const size_t tiles = ck_divide_up(source->line_rows, TILE_ROWS);
    const size_t least = source->line_rows / tiles, higher = source->line_rows % tiles;
    /* The next panel is spread over eight tiles: faster, and its lines would hold back those that are needed at once. */
    t.two_lines = tiles * source->lines < 8;
    const size_t shares = t.two_lines ? 4 : 8;
    size_t gap = 0, share = 0;
    for (size_t line = 0; line < source->lines; line++, gap += source->out_gap) {
        t.from = source->from + line * source->line_stride;
        for (size_t index = 0; index < tiles; index++) {
            const size_t rows = least + (index < higher);
            t.ahead = next + share++ % shares * (steps * CK_PANEL / shares);
            t.end = p->out + row * p->out_stride + gap + column;
            if (direct) {
                t.out = p->out + row * p->out_stride + gap + column;
                t.residual = e->residual ? e->residual + row * e->residual_stride + column : NULL;
            }
            run_tile(rows, &t);
            if (!direct) finish_tile(p, row, rows, column, gap, sums);
            t.from += rows * source->row_stride;
            row += rows;
        }
    }
}

void CK_NAME(PRODUCT)(const ck_product *product, const ck_rows *rows, size_t row, size_t column, size_t columns) {
    for (size_t c = column; c < column + columns; c += TILE_COLUMNS) multiply_columns(product, rows, row, c);
}

#if !defined(PRODUCT_BF16)
/* Four rows' sums of (x - mean), or of its square, lane by lane: one row's sums are a chain of latencies. */
CK_INLINE void sum_rows(const float *const x[4], const float *mean, size_t k, const int square, vf sum[4]) {
    const size_t whole = k / VL * VL;
    vf centre[4];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < 4; r++) sum[r] = v_zero(), centre[r] = v_set(mean[r]);
    for (size_t i = 0; i < whole; i += VL) {
#pragma clang loop unroll(full)
        for (size_t r = 0; r < 4; r++) {
            const vf value = v_load(x[r] + i), d = square ? v_sub(value, centre[r]) : value;
            sum[r] = square ? v_fma(d, d, sum[r]) : v_add(d, sum[r]);
        }
    }
    if (whole == k) return;
#pragma clang loop unroll(full)
    for (size_t r = 0; r < 4; r++) {
        const vf value = v_load_n(x[r] + whole, k - whole);
        const vf d = square ? v_sub(value, v_first(centre[r], k - whole)) : value;
        sum[r] = square ? v_fma(d, d, sum[r]) : v_add(d, sum[r]);
    }
}

/*
 * Normalises up to VL rows, whose lanes are added up together. Mean first, then the squared distances from it; a row's
 * sums have an order that k alone fixes. Rows that are missing repeat the last one.
 */
static void normalise(const ck_gemm_args *args, size_t row, size_t rows, float *to, size_t stride) {
    const size_t k = args->k;
    const float *const x = args->x + row * args->x_stride, *from[VL];
    const ck_norm_affine *const affine = &args->norm_affine;
    float mean[VL] = {0}, factor[VL];
    vf sum[VL];
    for (size_t r = 0; r < VL; r++) from[r] = x + ck_smaller(r, rows - 1) * args->x_stride;
    for (size_t r = 0; r < VL; r += 4) sum_rows(from + r, mean + r, k, 0, sum + r);
    const vf count = v_set((float)k);
    v_store(mean, v_div(v_sums(sum), count));
    for (size_t r = 0; r < VL; r += 4) sum_rows(from + r, mean + r, k, 1, sum + r);
    const vf variance = v_div(v_sums(sum), count);
    v_store(factor, v_div(v_set(1), v_sqrt(v_add(variance, v_set(args->norm_epsilon)))));
    for (size_t r = 0; r < rows; r++, to += stride) {
        const vf centre = v_set(mean[r]), scale = v_set(factor[r]);
        size_t i = 0;
        if (affine->scale) {
            const size_t set = affine->rows ? (row + r) / affine->rows * affine->stride : 0;
            const float *const own_scale = affine->scale + set, *const shift = affine->shift + set;
            for (; i + VL <= k; i += VL) {
                const vf value = v_mul(v_sub(v_load(from[r] + i), centre), scale);
                v_store(to + i, v_fma(value, v_load(own_scale + i), v_load(shift + i)));
            }
            if (i == k) continue;
            const vf value = v_mul(v_sub(v_load_n(from[r] + i, k - i), centre), scale);
            v_store(to + i, v_fma(value, v_load_n(own_scale + i, k - i), v_load_n(shift + i, k - i)));
            continue;
        }
        for (; i + VL <= k; i += VL) v_store(to + i, v_mul(v_sub(v_load(from[r] + i), centre), scale));
        if (i < k) v_store(to + i, v_mul(v_sub(v_load_n(from[r] + i, k - i), centre), scale));
    }
}

void CK_NAME(ck_normalise)(const ck_gemm_args *args, size_t row, size_t rows, float *to, size_t stride) {
    for (size_t r = 0; r < rows; r += VL)
        normalise(args, row + r, ck_smaller(VL, rows - r), to + r * stride, stride);
}

void CK_NAME(ck_activate)(size_t rows, size_t k, const float *from, size_t from_stride, const float *factor,
                          const float *offset, float *to, size_t to_stride) {
    for (; rows > 0; rows--, from += from_stride, to += to_stride) {
        size_t i = 0;
        for (; i + VL <= k; i += VL)
            v_store(to + i, v_silu(v_fma(v_load(from + i), v_load(factor + i), v_load(offset + i))));
        if (i == k) continue;
        const size_t n = k - i;
        const vf value = v_fma(v_load_n(from + i, n), v_load_n(factor + i, n), v_load_n(offset + i, n));
        v_store_n(to + i, v_silu(value), n);
    }
}
#endif
