#include "gemm/gemm_kernels.h"
#include "gemm/gemm_ref.h"

#include <math.h>
#include <string.h>

const ck_product_kernels ck_product_table[CK_ISA_COUNT] = {
    [CK_ISA_PORTABLE] = {ck_multiply_portable, ck_normalise_portable},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {ck_multiply_avx2, ck_normalise_avx2},
    [CK_ISA_AVX512] = {ck_multiply_avx512, ck_normalise_avx512},
#endif
};

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

ck_status ck_epilogue_check(const ck_epilogue *epilogue, size_t n) {
    if (epilogue->activation > CK_ACTIVATION_SILU) return CK_BAD_ARGUMENT;
    if (epilogue->residual && epilogue->residual_stride < n) return CK_BAD_ARGUMENT;
    return CK_OK;
}

/* How a product is cut into tasks: a function of the sizes alone. */
typedef struct {
    size_t rows, columns; /* of one task */
    int copied;           /* rows are copied (and normalised) into scratch first */
    int shared;           /* ... all of them before the product starts, because its tasks divide the columns */
    size_t stride;        /* of the copied rows */
} cut;

/*
 * Tasks take whole rows of the output as long as there are enough rows for it, in blocks that stay in the second-level
 * cache while the weights stream past. Few rows against many weights are divided by columns, each weight read once.
 */
static cut cut_for(const ck_gemm_args *args) {
    enum { NEAR_ROWS = 128 * 1024, BLOCK_ROWS = 112, ROUND = 14 };
    cut c = {.rows = args->rows, .columns = ck_divide_up(args->n, CK_PANEL) * CK_PANEL};
    const int near = args->n <= CK_NEAR_WEIGHTS / args->k && args->rows >= BLOCK_ROWS;
    if (near || args->rows > 2 * BLOCK_ROWS) {
        const size_t cached = ck_larger(2 * ROUND, NEAR_ROWS / args->k);
        const size_t rows = ck_smaller(ck_smaller(cached, BLOCK_ROWS), ck_divide_up(args->rows, CK_TASKS));
        c.rows = ck_divide_up(rows, ROUND) * ROUND;
    } else {
        c.columns = ck_divide_up(ck_divide_up(args->n, CK_PANEL), CK_TASKS) * CK_PANEL;
    }
    c.copied = args->norm_epsilon > 0 || !ck_stride_is_kind(args->x_stride);
    c.shared = c.copied && c.columns < args->n;
    c.stride = ck_kind_stride(args->k);
    return c;
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
    const cut c = cut_for(args);
    const size_t copies = !c.copied ? 0 : c.shared ? 1 : ck_pool_threads(context->pool);
    return copies * copied_floats(&c, args->rows) * sizeof(float);
}

typedef struct {
    const ck_gemm_args *args;
    ck_product product;
    const ck_product_kernels *kernels;
    cut cut;
    float *scratch;
} job;

static void copy_rows(const job *own, size_t row, size_t rows, float *to) {
    const ck_gemm_args *const args = own->args;
    if (args->norm_epsilon > 0) {
        own->kernels->normalise(args, row, rows, to, own->cut.stride);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        memcpy(to + r * own->cut.stride, args->x + (row + r) * args->x_stride, args->k * sizeof(float));
}

enum { SHARED_ROWS = 16 };

static void copy_shared_rows(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const size_t row = task * SHARED_ROWS;
    copy_rows(own, row, ck_smaller(SHARED_ROWS, own->args->rows - row), own->scratch + row * own->cut.stride);
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
        copy_rows(own, row, rows, to);
        from = to;
    }
    const ck_rows source = {.from = from,
                            .lines = 1,
                            .line_rows = rows,
                            .row_stride = own->cut.copied ? own->cut.stride : args->x_stride,
                            .runs = 1,
                            .run = args->k};
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
    if (args->x == NULL || args->packed == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->k || args->out_stride < args->n) return CK_BAD_ARGUMENT;
    if (!(args->norm_epsilon >= 0) || isinf(args->norm_epsilon)) return CK_BAD_ARGUMENT;
    if (context->isa == CK_ISA_REF) {
        ck_pool_run(context->pool, args->rows, specified_row, (void *)args);
        return CK_OK;
    }
    job own = {args,
               {args->n, args->packed, args->out, args->out_stride, args->epilogue},
               &ck_product_table[context->isa],
               cut_for(args),
               scratch};
    if (own.cut.copied && scratch == NULL) return CK_BAD_ARGUMENT;
    if (own.cut.shared) ck_pool_run(context->pool, ck_divide_up(args->rows, SHARED_ROWS), copy_shared_rows, &own);
    const size_t row_tasks = ck_divide_up(args->rows, own.cut.rows);
    ck_pool_run(context->pool, row_tasks * ck_divide_up(args->n, own.cut.columns), multiply, &own);
    return CK_OK;
}
