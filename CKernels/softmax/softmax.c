#include "softmax/softmax.h"

static ck_attention_function *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_softmax_attention_f32_ref,
    [CK_ISA_PORTABLE] = ck_softmax_attention_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_softmax_attention_f32_avx2,
    [CK_ISA_AVX512] = ck_softmax_attention_f32_avx512,
#endif
};

size_t ck_softmax_attention_scratch(const ck_context *context, const ck_attention_args *args) {
    if (ck_general_attention_check_sizes(context, args) != CK_OK) return 0;
    const size_t workers = ck_pool_threads(context->pool);
    if (context->isa == CK_ISA_REF) return workers * ck_softmax_ref_doubles(args) * sizeof(double);
    return ck_softmax_layout_of(args, workers).total * sizeof(float);
}

ck_status ck_softmax_attention_f32(const ck_context *context, const ck_attention_args *args, void *scratch) {
    const ck_status status = ck_general_attention_check(context, args);
    if (status != CK_OK) return status;
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    implementations[context->isa](context->pool, args, scratch);
    return CK_OK;
}
