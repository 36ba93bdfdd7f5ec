#include "gemm/gemm_blocks.h"

#include <stdint.h>

typedef void ck_conv_region(const ck_conv_args *, const ck_blocking *, ck_region, float *);

static ck_conv_region *const regions[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_conv_region_ref,
    [CK_ISA_PORTABLE] = ck_conv_region_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_conv_region_avx2,
    [CK_ISA_AVX512] = ck_conv_region_avx512,
#endif
};

size_t ck_conv_output(size_t size, size_t kernel, size_t stride, size_t padding) {
    if (kernel == 0 || stride == 0 || padding > (SIZE_MAX - size) / 2 || size + 2 * padding < kernel) return 0;
    return (size + 2 * padding - kernel) / stride + 1;
}

/* The convolution as a product: rows are output pixels, k runs over taps and channels. */
typedef struct {
    size_t rows, k;
    ck_blocking blocking;
} shape;

/* a * b, or a value above every bound when that is too large. */
static size_t product(size_t a, size_t b) { return b && a > CK_SIZE_LIMIT / b ? (size_t)CK_SIZE_LIMIT + 1 : a * b; }

static ck_status check(const ck_context *context, const ck_conv_args *args, shape *result) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (context->isa >= CK_ISA_COUNT || !ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    const size_t height = ck_conv_output(args->height, args->kernel_height, args->stride, args->padding);
    const size_t width = ck_conv_output(args->width, args->kernel_width, args->stride, args->padding);
    result->rows = product(args->batch, product(height, width));
    result->k = product(args->channels, product(args->kernel_height, args->kernel_width));
    if (args->height == 0 || args->width == 0 || args->out_channels == 0) return CK_BAD_SHAPE;
    if (result->rows == 0 || result->k == 0) return CK_BAD_SHAPE;
    if (result->rows > CK_SIZE_LIMIT || result->k > CK_SIZE_LIMIT || args->out_channels > CK_SIZE_LIMIT ||
        args->padding > CK_SIZE_LIMIT || product(args->batch, product(args->height, args->width)) > CK_SIZE_LIMIT)
        return CK_BAD_SHAPE;
    result->blocking = ck_blocking_for(ck_tile_rows[context->isa], result->rows, args->out_channels, result->k);
    return CK_OK;
}

size_t ck_conv_scratch(const ck_context *context, const ck_conv_args *args) {
    shape own;
    if (check(context, args, &own) != CK_OK) return 0;
    return ck_pool_threads(context->pool) * ck_blocking_scratch_floats(&own.blocking) * sizeof(float);
}

typedef struct {
    const ck_conv_args *args;
    shape shape;
    ck_conv_region *region;
    float *scratch;
} job;

static void run_task(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const ck_blocking *const blocking = &own->shape.blocking;
    own->region(own->args, blocking, ck_region_of(blocking, own->shape.rows, own->args->out_channels, task),
                own->scratch + worker * ck_blocking_scratch_floats(blocking));
}

ck_status ck_conv_f32(const ck_context *context, const ck_conv_args *args, void *scratch) {
    job own = {.args = args, .scratch = scratch};
    ck_status status = check(context, args, &own.shape);
    if (status == CK_OK) status = ck_epilogue_check(&args->epilogue, args->out_channels);
    if (status != CK_OK) return status;
    if (args->x == NULL || args->packed == NULL || args->out == NULL || scratch == NULL) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->channels || args->out_stride < args->out_channels) return CK_BAD_ARGUMENT;
    own.region = regions[context->isa];
    ck_pool_run(context->pool, own.shape.blocking.row_blocks * own.shape.blocking.column_blocks, run_task, &own);
    return CK_OK;
}
