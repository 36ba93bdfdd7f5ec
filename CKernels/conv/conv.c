#include "gemm/gemm_blocks.h"
#include "gemm/gemm_ref.h"

#include <stdint.h>

size_t ck_conv_output(size_t size, size_t kernel, size_t stride, size_t padding) {
    if (kernel == 0 || stride == 0 || padding > (SIZE_MAX - size) / 2 || size + 2 * padding < kernel) return 0;
    return (size + 2 * padding - kernel) / stride + 1;
}

/* The convolution as a product: rows are output pixels, k runs over taps and channels. */
typedef struct {
    size_t rows, k;
} shape;

/* a * b, or a value above every bound when that is too large. */
static size_t product(size_t a, size_t b) { return b && a > CK_SIZE_LIMIT / b ? (size_t)CK_SIZE_LIMIT + 1 : a * b; }

static ck_status check_sizes(const ck_context *context, const ck_conv_args *args, shape *result) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    const size_t height = ck_conv_output(args->height, args->kernel_height, args->stride, args->padding);
    const size_t width = ck_conv_output(args->width, args->kernel_width, args->stride, args->padding);
    result->rows = product(args->batch, product(height, width));
    result->k = product(args->channels, product(args->kernel_height, args->kernel_width));
    if (args->height == 0 || args->width == 0 || args->out_channels == 0) return CK_BAD_SHAPE;
    if (result->rows == 0 || result->k == 0) return CK_BAD_SHAPE;
    if (result->rows > CK_SIZE_LIMIT || result->k > CK_SIZE_LIMIT || args->out_channels > CK_SIZE_LIMIT ||
        args->padding > CK_SIZE_LIMIT || product(args->batch, product(args->height, args->width)) > CK_SIZE_LIMIT)
        return CK_BAD_SHAPE;
    return CK_OK;
}

size_t ck_conv_scratch(const ck_context *context, const ck_conv_args *args) {
    shape own;
    if (check_sizes(context, args, &own) != CK_OK) return 0;
    return ck_blocks_scratch(context, own.rows, args->out_channels, own.k);
}

static void specified_pixel(void *arguments, size_t task, size_t worker) {
    (void)worker;
    ck_conv_pixel_ref(arguments, task);
}

ck_status ck_conv_f32(const ck_context *context, const ck_conv_args *args, void *scratch) {
    shape own;
    ck_status status = check_sizes(context, args, &own);
    if (status == CK_OK) status = ck_epilogue_check(&args->epilogue, args->out_channels);
    if (status != CK_OK) return status;
    if (args->x == NULL || args->packed == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->channels || args->out_stride < args->out_channels) return CK_BAD_ARGUMENT;
    if (context->isa == CK_ISA_REF) {
        ck_pool_run(context->pool, own.rows, specified_pixel, (void *)args);
        return CK_OK;
    }
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    const ck_product product = {own.rows,  args->out_channels, own.k,         args->packed,
                                args->out, args->out_stride,   args->epilogue};
    ck_multiply_blocks(context, &product, ck_block_table[context->isa].conv_rows, args, scratch);
    return CK_OK;
}
