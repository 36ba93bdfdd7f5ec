#include "pooling/pooling.h"

#include "ck_conv.h"

#include <stdint.h>

static ck_pooling_function *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_pooling_ref,
    [CK_ISA_PORTABLE] = ck_pooling_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_pooling_avx2,
    [CK_ISA_AVX512] = ck_pooling_avx512,
#endif
};

typedef struct {
    const ck_pooling_args *args;
    ck_pooling_function *function;
    size_t out_height, out_width;
} job;

/* The part of a window of `kernel` places from `first` (counted with the padding) on that lies in `size` places. */
static size_t clip(const ck_pooling_args *args, size_t first, size_t size, size_t *begin) {
    const size_t last = first + args->kernel, padding = args->padding;
    *begin = first < padding ? 0 : first - padding;
    const size_t end = last - padding < size ? last - padding : size;
    return end - *begin;
}

/* Task: one row of output pixels. */
static void pool_line(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const ck_pooling_args *const args = own->args;
    const size_t image = task / own->out_height, line = task % own->out_height;
    ck_pooling_window window = {.row_stride = args->width * args->x_stride, .pixel_stride = args->x_stride};
    size_t y, x;
    window.rows = clip(args, line * args->stride, args->height, &y);
    float *out = args->out + task * own->out_width * args->out_stride;
    for (size_t column = 0; column < own->out_width; column++, out += args->out_stride) {
        window.columns = clip(args, column * args->stride, args->width, &x);
        window.x = args->x + ((image * args->height + y) * args->width + x) * args->x_stride;
        own->function(args->kind, args->channels, &window, out);
    }
}

ck_status ck_pooling_f32(const ck_context *context, const ck_pooling_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->height == 0 || args->width == 0 || args->channels == 0) return CK_BAD_SHAPE;
    /* Then every window reaches into the image. */
    if (args->padding >= args->kernel || args->kernel > INT32_MAX) return CK_BAD_SHAPE;
    job own = {.args = args, .function = implementations[context->isa]};
    own.out_height = ck_conv_output(args->height, args->kernel, args->stride, 2 * args->padding);
    own.out_width = ck_conv_output(args->width, args->kernel, args->stride, 2 * args->padding);
    size_t rows;
    if (own.out_height == 0 || own.out_width == 0 || args->kind > CK_POOLING_MAX) return CK_BAD_ARGUMENT;
    if (__builtin_mul_overflow(args->batch, own.out_height, &rows)) return CK_BAD_SHAPE;
    if (args->x == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->channels || args->out_stride < args->channels) return CK_BAD_ARGUMENT;
    ck_pool_run(context->pool, rows, pool_line, &own);
    return CK_OK;
}
