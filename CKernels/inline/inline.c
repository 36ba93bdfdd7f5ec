#include "inline/inline.h"

#include "attention/attention_ref.h"

static ck_inline_implementation *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_inline_f32_ref,
    [CK_ISA_PORTABLE] = ck_inline_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_inline_f32_avx2,
    [CK_ISA_AVX512] = ck_inline_f32_avx512,
#endif
};

size_t ck_inline_scratch(const ck_context *context, const ck_attention_args *args) {
    if (ck_attention_check_sizes(context, args) != CK_OK) return 0;
    const size_t workers = ck_pool_threads(context->pool);
    if (context->isa == CK_ISA_REF) return workers * ck_ref_doubles(args) * sizeof(double);
    return ck_inline_layout_of(args, workers).total * sizeof(float);
}

ck_status ck_inline_f32(const ck_context *context, const ck_attention_args *args, ck_inline_function function,
                        void *scratch) {
    const ck_status status = ck_attention_check(context, args);
    if (status != CK_OK) return status;
    if (args->rope || (unsigned)function >= CK_INLINE_COUNT || scratch == NULL) return CK_BAD_ARGUMENT;
    implementations[context->isa](context->pool, args, function, scratch);
    return CK_OK;
}
