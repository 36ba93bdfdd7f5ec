#include "gemm/gemm_bf16.h"
#include "gemm/gemm_kernels.h"
#include "gemm/gemm_ref.h"

#include <math.h>
#include <string.h>

/* Indexed by ck_isa and by whether weights are bf16. */
static const ck_product_kernels product_table[CK_ISA_COUNT][2] = {
    [CK_ISA_PORTABLE] = {{ck_multiply_portable, ck_normalise_portable, ck_activate_portable, NULL, 0},
                         {ck_multiply_bf16_portable, ck_normalise_portable, ck_activate_portable, ck_round_portable, 2}},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {{ck_multiply_avx2, ck_normalise_avx2, ck_activate_avx2, NULL, 0},
                     {ck_multiply_bf16_avx2, ck_normalise_avx2, ck_activate_avx2, ck_round_avx2, 2}},
    [CK_ISA_AVX512] = {{ck_multiply_avx512, ck_normalise_avx512, ck_activate_avx512, NULL, 0},
                       {ck_multiply_bf16_avx512, ck_normalise_avx512, ck_activate_avx512, ck_round_avx512, 2}},
#endif
};

#if defined(__x86_64__)
static const ck_product_kernels bf16_dot = {ck_multiply_bf16_avx512bf16, ck_normalise_avx512, ck_activate_avx512,
                                            ck_round_avx512bf16, 1};
#endif

const ck_product_kernels *ck_product_kernels_for(ck_isa isa, int bf16) {
#if defined(__x86_64__)
    if (bf16 && isa == CK_ISA_AVX512 && ck_bf16_dot_available()) return &bf16_dot;
#endif
    return &product_table[isa][bf16 != 0];
}

size_t ck_gemm_packed_count(size_t n, size_t k) { return ck_divide_up(n, CK_PANEL) * CK_PANEL * k; }

void ck_gemm_pack(size_t n, size_t k, const float *weight, size_t stride, float *packed) {
    for (size_t column = 0; column < n; column += CK_PANEL) {
        const size_t columns = ck_smaller(n - column, CK_PANEL);
        for (size_t i = 0; i < k; i++, packed += CK_PANEL) {
            for (size_t c = 0; c < columns; c++) packed[c] = weight[(column + c) * stride + i];
            for (size_t c = columns; c < CK_PANEL; c++) packed[c] = 0;
        }
    }
}

size_t ck_gemm_packed_bf16_count(size_t n, size_t taps, size_t channels) {
    return ck_gemm_packed_count(n, taps * ((channels + 1) / 2 * 2));
}

void ck_gemm_pack_bf16(size_t n, size_t taps, size_t channels, const float *weight, size_t stride, ck_bf16 *packed) {
    memset(packed, 0, ck_gemm_packed_bf16_count(n, taps, channels) * sizeof(ck_bf16));
    const size_t pairs = (channels + 1) / 2;
    for (size_t column = 0; column < n; column++) {
        const float *from = weight + column * stride;
        ck_bf16 *to = packed + (column / CK_PANEL * CK_PANEL * taps * pairs + column % CK_PANEL) * 2;
        for (size_t tap = 0; tap < taps; tap++, from += channels, to += pairs * CK_PANEL * 2)
            for (size_t c = 0; c < channels; c++) to[c / 2 * CK_PANEL * 2 + c % 2] = ck_bf16_rounded(from[c]);
    }
}

ck_status ck_epilogue_check(const ck_epilogue *epilogue, size_t n) {
    if (epilogue->activation > CK_ACTIVATION_RELU) return CK_BAD_ARGUMENT;
    if (epilogue->residual && epilogue->residual_stride < n) return CK_BAD_ARGUMENT;
    return CK_OK;
}

/* How a product is cut into tasks. No output depends on it. */
typedef struct {
    size_t rows, columns; /* of one task */
    int copied;           /* rows are copied (and normalised) into scratch first */
    int shared;           /* ... all of them before the product starts, because its tasks divide the columns */
    size_t stride;        /* of the copied rows */
} cut;

/*
 * Tasks take whole rows of the output as long as there are enough rows for it, in blocks that stay in the second-level
 * cache while the weights stream past: the longer, the fewer times, but shorter for several threads, which may differ in
 * speed. Few rows against many weights are divided by columns, each weight read once.
 */
static cut cut_for(const ck_gemm_args *args, const ck_product_kernels *kernels, size_t threads) {
    enum { NEAR_ROWS = 192 * 1024, BLOCK_ROWS = 266, SHARED_BLOCK_ROWS = 112, LEAST_ROWS = 28 };
    cut c = {.rows = args->rows, .columns = ck_divide_up(args->n, CK_PANEL) * CK_PANEL};
    const int near = args->n <= CK_NEAR_WEIGHTS / args->k && args->rows >= SHARED_BLOCK_ROWS;
    const size_t cached = ck_larger(LEAST_ROWS, NEAR_ROWS / args->k);
    if (near || args->rows > ck_smaller(cached, BLOCK_ROWS)) {
        const size_t most = ck_smaller(cached, threads > 1 ? SHARED_BLOCK_ROWS : BLOCK_ROWS);
        const size_t blocks = ck_larger(ck_divide_up(args->rows, most), threads > 1 ? 2 * threads : 1);
        /* As many for every thread: of five blocks one thread of two would have three. */
        c.rows = ck_divide_up(args->rows, ck_divide_up(blocks, threads) * threads);
    } else {
        c.columns = ck_divide_up(ck_divide_up(args->n, CK_PANEL), CK_TASKS) * CK_PANEL;
    }
    c.copied = args->norm_epsilon > 0 || kernels->round || !ck_stride_is_kind(args->x_stride);
    c.shared = c.copied && c.columns < args->n;
    c.stride = ck_kind_stride(ck_words(kernels, args->k));
    return c;
}

/* Rows that are normalised before they are rounded stay in floats this many at a time. */
enum { STAGED_ROWS = 4 };

static size_t staged_floats(const ck_gemm_args *args) {
    return args->packed_bf16 && args->norm_epsilon > 0 ? STAGED_ROWS * ck_kind_stride(args->k) : 0;
}

static size_t copied_floats(const cut *c, size_t rows) { return ck_smaller(c->rows, rows) * c->stride; }

static ck_status check_sizes(const ck_context *context, const ck_gemm_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->rows == 0 || args->n == 0 || args->k == 0) return CK_BAD_SHAPE;
    if (args->rows > CK_SIZE_LIMIT || args->n > CK_SIZE_LIMIT || args->k > CK_SIZE_LIMIT) return CK_BAD_SHAPE;
    return CK_OK;
}

size_t ck_gemm_scratch(const ck_context *context, const ck_gemm_args *args) {
    if (check_sizes(context, args) != CK_OK || context->isa == CK_ISA_REF) return 0;
    const size_t threads = ck_pool_threads(context->pool);
    const cut c = cut_for(args, ck_product_kernels_for(context->isa, args->packed_bf16 != NULL), threads);
    const size_t copies = !c.copied ? 0 : c.shared ? 1 : threads;
    return (copies * copied_floats(&c, args->rows) + threads * staged_floats(args)) * sizeof(float);
}

typedef struct {
    const ck_gemm_args *args;
    ck_product product;
    const ck_product_kernels *kernels;
    cut cut;
    float *scratch, *staged;
} job;

/* Normalises, rounds or just copies rows. */
static void copy_rows(const job *own, size_t row, size_t rows, size_t worker, float *to) {
    const ck_gemm_args *const args = own->args;
    const ck_product_kernels *const kernels = own->kernels;
    if (args->norm_epsilon > 0 && kernels->round) {
        const size_t stride = ck_kind_stride(args->k);
        float *const staged = own->staged + worker * staged_floats(args);
        for (size_t r = 0; r < rows; r += STAGED_ROWS) {
            const size_t count = ck_smaller(STAGED_ROWS, rows - r);
            kernels->normalise(args, row + r, count, staged, stride);
            kernels->round(count, args->k, staged, stride, to + r * own->cut.stride, own->cut.stride);
        }
        return;
    }
    if (args->norm_epsilon > 0) {
        kernels->normalise(args, row, rows, to, own->cut.stride);
        return;
    }
    if (kernels->round) {
        kernels->round(rows, args->k, args->x + row * args->x_stride, args->x_stride, to, own->cut.stride);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        memcpy(to + r * own->cut.stride, args->x + (row + r) * args->x_stride, args->k * sizeof(float));
}

enum { SHARED_ROWS = 16 };

static void copy_shared_rows(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const size_t row = task * SHARED_ROWS;
    copy_rows(own, row, ck_smaller(SHARED_ROWS, own->args->rows - row), worker, own->scratch + row * own->cut.stride);
}

static void multiply(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const ck_gemm_args *const args = own->args;
    const size_t column_tasks = ck_divide_up(args->n, own->cut.columns);
    const size_t row = task / column_tasks * own->cut.rows, rows = ck_smaller(own->cut.rows, args->rows - row);
    const size_t column = task % column_tasks * own->cut.columns;
    const float *from = args->x + row * args->x_stride;
    if (own->cut.shared) {
        from = own->scratch;
    } else if (own->cut.copied) {
        float *const to = own->scratch + worker * copied_floats(&own->cut, args->rows);
        copy_rows(own, row, rows, worker, to);
        from = to;
    }
    const ck_rows source = {.from = from,
                            .lines = 1,
                            .line_rows = rows,
                            .row_stride = own->cut.copied ? own->cut.stride : args->x_stride,
                            .runs = 1,
                            .run = ck_words(own->kernels, args->k)};
    own->kernels->multiply(&own->product, &source, row, column, ck_smaller(own->cut.columns, args->n - column));
}

static void specified_row(void *arguments, size_t task, size_t worker) {
    (void)worker;
    ck_gemm_row_ref(arguments, task);
}

ck_status ck_gemm_f32(const ck_context *context, const ck_gemm_args *args, void *scratch) {
    ck_status status = check_sizes(context, args);
    if (status == CK_OK) status = ck_epilogue_check(&args->epilogue, args->n);
    if (status != CK_OK) return status;
    if (args->x == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if ((args->packed == NULL) == (args->packed_bf16 == NULL)) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->k || args->out_stride < args->n) return CK_BAD_ARGUMENT;
    if (!(args->norm_epsilon >= 0) || isinf(args->norm_epsilon)) return CK_BAD_ARGUMENT;
    const ck_norm_affine *const affine = &args->norm_affine;
    if ((affine->scale == NULL) != (affine->shift == NULL)) return CK_BAD_ARGUMENT;
    if (affine->scale && args->norm_epsilon == 0) return CK_BAD_ARGUMENT;
    if (context->isa == CK_ISA_REF) {
        ck_pool_run(context->pool, args->rows, specified_row, (void *)args);
        return CK_OK;
    }
    const float *const packed = args->packed_bf16 ? (const float *)args->packed_bf16 : args->packed;
    job own = {.args = args,
               .product = {args->n, packed, args->out, args->out_stride, args->epilogue},
               .kernels = ck_product_kernels_for(context->isa, args->packed_bf16 != NULL),
               .scratch = scratch};
    const size_t threads = ck_pool_threads(context->pool);
    own.cut = cut_for(args, own.kernels, threads);
    if (own.cut.copied && scratch == NULL) return CK_BAD_ARGUMENT;
    const size_t copies = !own.cut.copied ? 0 : own.cut.shared ? 1 : threads;
    if (scratch) own.staged = own.scratch + copies * copied_floats(&own.cut, args->rows);
    if (own.cut.shared) ck_pool_run(context->pool, ck_divide_up(args->rows, SHARED_ROWS), copy_shared_rows, &own);
    const size_t row_tasks = ck_divide_up(args->rows, own.cut.rows);
    ck_pool_run(context->pool, row_tasks * ck_divide_up(args->n, own.cut.columns), multiply, &own);
    return CK_OK;
}
