#include "groupnorm/groupnorm.h"

#include <math.h>
#include <stdint.h>

static ck_group_norm_moments *const moments[CK_ISA_COUNT] = {
    [CK_ISA_PORTABLE] = ck_group_norm_moments_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_group_norm_moments_avx2,
    [CK_ISA_AVX512] = ck_group_norm_moments_avx512,
#endif
};

static ck_group_norm_apply *const applies[CK_ISA_COUNT] = {
    [CK_ISA_PORTABLE] = ck_group_norm_apply_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_group_norm_apply_avx2,
    [CK_ISA_AVX512] = ck_group_norm_apply_avx512,
#endif
};

/* Scratch, in rows of `width` floats: two for every run, factor and offset of every batch element. */
typedef struct {
    const ck_group_norm_args *args;
    ck_isa isa;
    size_t width, runs;
    float *sums, *squares; /* [batch][runs] */
    float *factor, *offset;
    size_t factor_width; /* of their rows */
} job;

static size_t row_width(const ck_group_norm_args *args) { return (args->channels + 15) / 16 * 16; }
static size_t run_count(const ck_group_norm_args *args) { return (args->pixels - 1) / CK_GROUP_NORM_RUN + 1; }

static size_t run_length(const job *own, size_t run) {
    const size_t left = own->args->pixels - run * CK_GROUP_NORM_RUN;
    return left < CK_GROUP_NORM_RUN ? left : CK_GROUP_NORM_RUN;
}

static ck_status check(const ck_context *context, const ck_group_norm_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->pixels == 0 || args->channels == 0 || args->groups == 0) return CK_BAD_SHAPE;
    if (args->channels % args->groups != 0 || args->channels > SIZE_MAX / 64) return CK_BAD_SHAPE;
    size_t rows, floats;
    if (__builtin_mul_overflow(args->batch, args->pixels, &rows)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(rows, 4 * sizeof(float) * row_width(args), &floats)) return CK_BAD_SHAPE;
    return CK_OK;
}

static job job_of(const ck_context *context, const ck_group_norm_args *args, float *scratch) {
    job own = {.args = args, .isa = context->isa, .width = row_width(args), .runs = run_count(args), .sums = scratch};
    own.squares = own.sums + args->batch * own.runs * own.width;
    return own;
}

static void moments_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const size_t run = task % own->runs;
    moments[own->isa](own->args, task / own->runs, run * CK_GROUP_NORM_RUN, run_length(own, run),
                      own->sums + task * own->width, own->squares + task * own->width);
}

/*
 * Task: one group of one batch element. With S and Q the moments of a run of n pixels in a channel,
 * sum (x - mean)^2 = Q + n (S / n - mean)^2.
 */
static void combine_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const ck_group_norm_args *const args = own->args;
    const size_t b = task / args->groups, members = args->channels / args->groups, first = task % args->groups * members;
    const float *const sums = own->sums + b * own->runs * own->width + first;
    const float *const squares = own->squares + b * own->runs * own->width + first;
    const double count = (double)members * (double)args->pixels;
    double mean = 0, variance = 0;
    for (size_t run = 0; run < own->runs; run++)
        for (size_t c = 0; c < members; c++) mean += sums[run * own->width + c];
    mean /= count;
    for (size_t run = 0; run < own->runs; run++) {
        const double n = (double)run_length(own, run), share = 1 / n;
        for (size_t c = 0; c < members; c++) {
            const double off = sums[run * own->width + c] * share - mean;
            variance += squares[run * own->width + c] + n * off * off;
        }
    }
    variance /= count;
    for (size_t c = first; c < first + members; c++) {
        const double factor = args->gamma[c] / sqrt(variance + args->epsilon);
        own->factor[b * own->factor_width + c] = (float)factor;
        own->offset[b * own->factor_width + c] = (float)(args->beta[c] - factor * mean);
    }
}

static void apply_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const size_t b = task / own->runs, run = task % own->runs;
    applies[own->isa](own->args, b, run * CK_GROUP_NORM_RUN, run_length(own, run), own->factor + b * own->factor_width,
                      own->offset + b * own->factor_width);
}

static void specified_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const ck_group_norm_args *const args = arguments;
    ck_group_norm_ref(args, task / args->groups, task % args->groups);
}

size_t ck_group_norm_scratch(const ck_context *context, const ck_group_norm_args *args) {
    if (check(context, args) != CK_OK || context->isa == CK_ISA_REF) return 0;
    return args->batch * (2 * run_count(args) + 2) * row_width(args) * sizeof(float);
}

/* Factor and offset of every channel, in rows of the job's width. */
static void find_factors(const ck_context *context, job *own) {
    ck_pool_run(context->pool, own->args->batch * own->runs, moments_task, own);
    ck_pool_run(context->pool, own->args->batch * own->args->groups, combine_task, own);
}

ck_status ck_group_norm_f32(const ck_context *context, const ck_group_norm_args *args, void *scratch) {
    const ck_status status = check(context, args);
    if (status != CK_OK) return status;
    if (!args->x || !args->out || !args->gamma || !args->beta) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->channels || args->out_stride < args->channels) return CK_BAD_ARGUMENT;
    const size_t groups = args->batch * args->groups;
    ck_group_norm_args copy = *args;
    if (context->isa == CK_ISA_REF) {
        ck_pool_run(context->pool, groups, specified_task, &copy);
        return CK_OK;
    }
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    job own = job_of(context, &copy, scratch);
    own.factor = own.squares + args->batch * own.runs * own.width;
    own.offset = own.factor + args->batch * own.width;
    own.factor_width = own.width;
    find_factors(context, &own);
    ck_pool_run(context->pool, args->batch * own.runs, apply_task, &own);
    return CK_OK;
}

static void specified_factors_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const ck_group_norm_factors_args *const args = arguments;
    ck_group_norm_factors_ref(args, task / args->norm.groups, task % args->norm.groups);
}

size_t ck_group_norm_factors_scratch(const ck_context *context, const ck_group_norm_factors_args *args) {
    return args == NULL ? 0 : ck_group_norm_scratch(context, &args->norm);
}

ck_status ck_group_norm_factors_f32(const ck_context *context, const ck_group_norm_factors_args *args, void *scratch) {
    const ck_status status = args == NULL ? CK_BAD_ARGUMENT : check(context, &args->norm);
    if (status != CK_OK) return status;
    const ck_group_norm_args *const norm = &args->norm;
    if (!norm->x || !norm->gamma || !norm->beta || !args->factor || !args->offset) return CK_BAD_ARGUMENT;
    if (norm->x_stride < norm->channels) return CK_BAD_ARGUMENT;
    ck_group_norm_factors_args copy = *args;
    if (context->isa == CK_ISA_REF) {
        ck_pool_run(context->pool, norm->batch * norm->groups, specified_factors_task, &copy);
        return CK_OK;
    }
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    job own = job_of(context, &copy.norm, scratch);
    own.factor = copy.factor;
    own.offset = copy.offset;
    own.factor_width = norm->channels;
    find_factors(context, &own);
    return CK_OK;
}
