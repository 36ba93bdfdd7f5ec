#include "dwconv/dwconv.h"

static ck_dwconv_rows *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_dwconv_rows_ref,
    [CK_ISA_PORTABLE] = ck_dwconv_rows_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_dwconv_rows_avx2,
    [CK_ISA_AVX512] = ck_dwconv_rows_avx512,
#endif
};

/* A task computes at least this many outputs, in whole rows. */
enum { TASK_OUTPUTS = 8192 };

typedef struct {
    const ck_dwconv_args *args;
    ck_dwconv_rows *compute;
    size_t rows, blocks; /* of a task; of an image */
} job;

static void run_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const size_t y = task % own->blocks * own->rows, left = own->args->height - y;
    own->compute(own->args, task / own->blocks, y, left < own->rows ? left : own->rows);
}

ck_status ck_dwconv_f32(const ck_context *context, const ck_dwconv_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->height == 0 || args->width == 0 || args->channels == 0) return CK_BAD_SHAPE;
    if (args->kernel != 3 && args->kernel != 5 && args->kernel != 7) return CK_BAD_SHAPE;
    if (args->window_height == 0 || args->window_width == 0) return CK_BAD_SHAPE;
    size_t pixels, row;
    if (__builtin_mul_overflow(args->batch, args->height, &pixels)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(pixels, args->width, &pixels)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(args->width, args->channels, &row)) return CK_BAD_SHAPE;
    if (args->x == NULL || args->weight == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->channels || args->out_stride < args->channels) return CK_BAD_ARGUMENT;
    job own = {args, implementations[context->isa], TASK_OUTPUTS / row, 0};
    if (own.rows * row < TASK_OUTPUTS) own.rows++;
    if (own.rows > args->height) own.rows = args->height;
    own.blocks = (args->height + own.rows - 1) / own.rows;
    ck_pool_run(context->pool, args->batch * own.blocks, run_task, &own);
    return CK_OK;
}
