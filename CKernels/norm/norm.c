#include "norm/norm.h"

#include <string.h>

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

static ck_norm_sum *const norm_sums[CK_ISA_COUNT] = {
    [CK_ISA_PORTABLE] = ck_norm_sum_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_norm_sum_avx2,
    [CK_ISA_AVX512] = ck_norm_sum_avx512,
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
    if (args->residual && args->residual_stride < args->channels) return CK_BAD_ARGUMENT;
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

typedef struct {
    const ck_norm_mean_args *args;
    ck_norm_sum *sum;
    size_t runs;   /* of a batch element */
    size_t stride; /* between the sums of runs */
    float *sums;   /* [batch][runs], `stride` apart */
} mean_job;

static size_t sum_stride(const ck_norm_mean_args *args) { return (args->channels + 15) / 16 * 16; }
static size_t sum_runs(const ck_norm_mean_args *args) { return (args->tokens + CK_MEAN_RUN - 1) / CK_MEAN_RUN; }

static void sum_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const mean_job *const own = arguments;
    const size_t first = task % own->runs * CK_MEAN_RUN, left = own->args->tokens - first;
    own->sum(own->args, task / own->runs, first, left < CK_MEAN_RUN ? left : CK_MEAN_RUN,
             own->sums + task * own->stride);
}

/* Adds up the runs of a batch element, in order. */
static void mean_of_sums_task(void *arguments, size_t b, size_t worker) {
    (void)worker;
    const mean_job *const own = arguments;
    const size_t channels = own->args->channels;
    const float *const sums = own->sums + b * own->runs * own->stride;
    float *const out = own->args->out + b * channels;
    memcpy(out, sums, channels * sizeof(float));
    for (size_t run = 1; run < own->runs; run++)
        for (size_t c = 0; c < channels; c++) out[c] += sums[run * own->stride + c];
    for (size_t c = 0; c < channels; c++) out[c] /= (float)own->args->tokens;
}

static void norm_mean_specified_task(void *arguments, size_t b, size_t worker) {
    (void)worker;
    const mean_job *const own = arguments;
    ck_norm_mean_ref(own->args, b);
}

static ck_status norm_mean_check(const ck_context *context, const ck_norm_mean_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->tokens == 0 || args->channels == 0) return CK_BAD_SHAPE;
    size_t rows, floats;
    if (__builtin_mul_overflow(args->batch, args->tokens, &rows)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(rows, 4 * sum_stride(args), &floats)) return CK_BAD_SHAPE;
    return CK_OK;
}

size_t ck_norm_mean_scratch(const ck_context *context, const ck_norm_mean_args *args) {
    if (norm_mean_check(context, args) != CK_OK || context->isa == CK_ISA_REF) return 0;
    return args->batch * sum_runs(args) * sum_stride(args) * sizeof(float);
}

ck_status ck_norm_mean_f32(const ck_context *context, const ck_norm_mean_args *args, void *scratch) {
    const ck_status status = norm_mean_check(context, args);
    if (status != CK_OK) return status;
    if (args->x == NULL || args->out == NULL || args->x_stride < args->channels) return CK_BAD_ARGUMENT;
    mean_job own = {args, norm_sums[context->isa], sum_runs(args), sum_stride(args), scratch};
    if (context->isa == CK_ISA_REF) {
        ck_pool_run(context->pool, args->batch, norm_mean_specified_task, &own);
        return CK_OK;
    }
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    ck_pool_run(context->pool, args->batch * own.runs, sum_task, &own);
    ck_pool_run(context->pool, args->batch, mean_of_sums_task, &own);
    return CK_OK;
}
