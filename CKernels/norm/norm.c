#include "norm/norm.h"

static ck_layer_norm_rows *const layer_norms[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_layer_norm_rows_ref,
    [CK_ISA_PORTABLE] = ck_layer_norm_rows_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_layer_norm_rows_avx2,
    [CK_ISA_AVX512] = ck_layer_norm_rows_avx512,
#endif
};

static ck_mean_channels *const means[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_mean_channels_ref,
    [CK_ISA_PORTABLE] = ck_mean_channels_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_mean_channels_avx2,
    [CK_ISA_AVX512] = ck_mean_channels_avx512,
#endif
};

enum { TASK_FLOATS = 16384, MEAN_CHANNELS = 64 };

typedef struct {
    const void *args;
    ck_isa isa;
    size_t step, blocks; /* rows of a task; channel blocks of a mean */
} job;

static void norm_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const ck_layer_norm_args *const args = own->args;
    const size_t row = task * own->step, left = args->rows - row;
    layer_norms[own->isa](args, row, left < own->step ? left : own->step);
}

static void mean_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const ck_mean_args *const args = own->args;
    const size_t channel = task % own->blocks * MEAN_CHANNELS, left = args->channels - channel;
    means[own->isa](args, task / own->blocks, channel, left < MEAN_CHANNELS ? left : MEAN_CHANNELS);
}

ck_status ck_layer_norm_f32(const ck_context *context, const ck_layer_norm_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->rows == 0 || args->channels == 0) return CK_BAD_SHAPE;
    if (args->x == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->channels || args->out_stride < args->channels) return CK_BAD_ARGUMENT;
    job own = {.args = args, .isa = context->isa, .step = TASK_FLOATS / args->channels + 1};
    ck_pool_run(context->pool, (args->rows - 1) / own.step + 1, norm_task, &own);
    return CK_OK;
}

ck_status ck_mean_f32(const ck_context *context, const ck_mean_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->tokens == 0 || args->channels == 0) return CK_BAD_SHAPE;
    if (args->x == NULL || args->out == NULL || args->x_stride < args->channels) return CK_BAD_ARGUMENT;
    job own = {.args = args, .isa = context->isa, .blocks = (args->channels - 1) / MEAN_CHANNELS + 1};
    ck_pool_run(context->pool, args->batch * own.blocks, mean_task, &own);
    return CK_OK;
}
