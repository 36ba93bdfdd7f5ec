#include "filters/filters.h"

static ck_filters_group *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_filters_group_ref,
    [CK_ISA_PORTABLE] = ck_filters_group_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_filters_group_avx2,
    [CK_ISA_AVX512] = ck_filters_group_avx512,
#endif
};

typedef struct {
    const ck_filters_args *args;
    ck_filters_group *compute;
} job;

/* The images of a group follow each other, so that its weights are read from memory once. */
static void run_task(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    own->compute(own->args, task % own->args->batch, task / own->args->batch);
}

ck_status ck_filters_f32(const ck_context *context, const ck_filters_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->groups == 0 || args->group_channels == 0) return CK_BAD_SHAPE;
    if (args->group_channels > CK_FILTERS_HIGHEST_GROUP) return CK_BAD_SHAPE;
    size_t tasks, floats;
    if (__builtin_mul_overflow(args->batch, args->groups, &tasks)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(tasks, CK_FILTER_TAPS * args->group_channels, &floats)) return CK_BAD_SHAPE;
    if (args->x == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if (args->hidden_weight == NULL || args->hidden_bias == NULL) return CK_BAD_ARGUMENT;
    if (args->weight == NULL || args->bias == NULL) return CK_BAD_ARGUMENT;
    job own = {args, implementations[context->isa]};
    ck_pool_run(context->pool, tasks, run_task, &own);
    return CK_OK;
}
