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

size_t ck_fewhead_scratch(const ck_context *context, const ck_fewhead_args *args) {
    if (args == NULL || ck_attention_check_sizes(context, &args->attention) != CK_OK) return 0;
    const size_t workers = ck_pool_threads(context->pool);
    if (context->isa == CK_ISA_REF) return workers * ck_ref_doubles(&args->attention) * sizeof(double);
    return ck_fewhead_layout_of(&args->attention, workers).total * sizeof(float);
}

static ck_status check(const ck_context *context, const ck_fewhead_args *args) {
    if (args == NULL) return CK_BAD_ARGUMENT;
    const ck_status status = ck_attention_check(context, &args->attention);
    if (status != CK_OK) return status;
    if (args->attention.rope != NULL || args->attention.local != NULL) return CK_BAD_ARGUMENT;
    if (args->weight == NULL) return args->bias == NULL ? CK_OK : CK_BAD_ARGUMENT;
    if (args->kernel != 3 && args->kernel != 5 && args->kernel != 7) return CK_BAD_SHAPE;
    size_t tokens;
    if (__builtin_mul_overflow(args->height, args->width, &tokens)) return CK_BAD_SHAPE;
    return tokens == args->attention.tokens ? CK_OK : CK_BAD_SHAPE;
}

ck_status ck_fewhead_f32(const ck_context *context, const ck_fewhead_args *args, void *scratch) {
    const ck_status status = check(context, args);
    if (status != CK_OK) return status;
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    implementations[context->isa](context->pool, args, scratch);
    return CK_OK;
}
