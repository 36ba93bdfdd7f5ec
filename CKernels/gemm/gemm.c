#include "gemm/gemm_blocks.h"
#include "gemm/gemm_ref.h"

#include <math.h>

size_t ck_gemm_packed_count(size_t n, size_t k) { return (n + CK_PANEL - 1) / CK_PANEL * CK_PANEL * k; }

void ck_gemm_pack(size_t n, size_t k, const float *weight, size_t stride, float *packed) {
    for (size_t column = 0; column < n; column += CK_PANEL) {
        const size_t columns = n - column < CK_PANEL ? n - column : CK_PANEL;
        for (size_t i = 0; i < k; i++, packed += CK_PANEL) {
            for (size_t c = 0; c < columns; c++) packed[c] = weight[(column + c) * stride + i];
            for (size_t c = columns; c < CK_PANEL; c++) packed[c] = 0;
        }
    }
}

static ck_status check_sizes(const ck_context *context, const ck_gemm_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->rows == 0 || args->n == 0 || args->k == 0) return CK_BAD_SHAPE;
    if (args->rows > CK_SIZE_LIMIT || args->n > CK_SIZE_LIMIT || args->k > CK_SIZE_LIMIT) return CK_BAD_SHAPE;
    return CK_OK;
}

size_t ck_gemm_scratch(const ck_context *context, const ck_gemm_args *args) {
    return check_sizes(context, args) == CK_OK ? ck_blocks_scratch(context, args->rows, args->n, args->k) : 0;
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
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    const ck_product product = {args->rows, args->n,          args->k,       args->packed,
                                args->out,  args->out_stride, args->epilogue};
    ck_multiply_blocks(context, &product, ck_block_table[context->isa].gemm_rows, args, scratch);
    return CK_OK;
}
