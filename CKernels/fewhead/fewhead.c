#include "fewhead/fewhead.h"

#include "attention/attention_ref.h"

static ck_fewhead_function *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_fewhead_f32_ref,
    [CK_ISA_PORTABLE] = ck_fewhead_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_fewhead_f32_avx2,
    [CK_ISA_AVX512] = ck_fewhead_f32_avx512,
#endif
};

static ck_status check_sizes(const ck_context *context, const ck_fewhead_args *args) {
    if (args == NULL) return CK_BAD_ARGUMENT;
    const ck_status status = ck_attention_check_sizes(context, &args->attention);
    if (status != CK_OK || args->weight == NULL) return status;
    if (args->kernel != 3 && args->kernel != 5 && args->kernel != 7) return CK_BAD_SHAPE;
    size_t tokens;
    if (__builtin_mul_overflow(args->height, args->width, &tokens)) return CK_BAD_SHAPE;
    return tokens == args->attention.tokens ? CK_OK : CK_BAD_SHAPE;
}

size_t ck_fewhead_scratch(const ck_context *context, const ck_fewhead_args *args) {
    if (check_sizes(context, args) != CK_OK) return 0;
    const size_t workers = ck_pool_threads(context->pool);
    if (context->isa == CK_ISA_REF) return workers * ck_ref_doubles(&args->attention) * sizeof(double);
    return ck_fewhead_layout_of(args, workers).total * sizeof(float);
}

ck_status ck_fewhead_f32(const ck_context *context, const ck_fewhead_args *args, void *scratch) {
    ck_status status = check_sizes(context, args);
    if (status == CK_OK) status = ck_attention_check(context, &args->attention);
    if (status != CK_OK) return status;
    if (args->attention.rope || args->attention.local || args->attention.gate) return CK_BAD_ARGUMENT;
    if (args->bias != NULL && args->weight == NULL) return CK_BAD_ARGUMENT;
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    implementations[context->isa](context->pool, args, scratch);
    return CK_OK;
}
