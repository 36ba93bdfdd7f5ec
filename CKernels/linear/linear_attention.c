#include "linear/linear_attention.h"

static ck_linear_attention_function *const implementations[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_linear_attention_f32_ref,
    [CK_ISA_PORTABLE] = ck_linear_attention_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_linear_attention_f32_avx2,
    [CK_ISA_AVX512] = ck_linear_attention_f32_avx512,
#endif
};

enum { HIGHEST_DIM = 1024 };

static ck_status check_sizes(const ck_context *context, const ck_linear_attention_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->heads == 0) return CK_BAD_SHAPE;
    if (args->tokens == 0 || args->key_tokens == 0) return CK_BAD_SHAPE;
    if (args->features == 0 || args->features > HIGHEST_DIM) return CK_BAD_SHAPE;
    if (args->value_dim == 0 || args->value_dim > HIGHEST_DIM) return CK_BAD_SHAPE;
    size_t heads, rows;
    if (__builtin_mul_overflow(args->batch, args->heads, &heads)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(heads, args->tokens, &rows)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(heads, args->key_tokens, &rows)) return CK_BAD_SHAPE;
    return CK_OK;
}

static ck_status check(const ck_context *context, const ck_linear_attention_args *args) {
    const ck_status status = check_sizes(context, args);
    if (status != CK_OK) return status;
    if (!args->q || !args->k || !args->v || !args->out) return CK_BAD_ARGUMENT;
    if ((unsigned)args->key_feature >= CK_FEATURE_COUNT) return CK_BAD_ARGUMENT;
    if ((unsigned)args->query_feature >= CK_FEATURE_TOKEN_SOFTMAX) return CK_BAD_ARGUMENT;
    if (args->normalised && args->key_feature == CK_FEATURE_TOKEN_SOFTMAX) return CK_BAD_ARGUMENT;
    if (args->q_strides.row < args->features || args->k_strides.row < args->features) return CK_BAD_ARGUMENT;
    if (args->v_strides.row < args->value_dim || args->out_strides.row < args->value_dim) return CK_BAD_ARGUMENT;
    if (args->local && args->local_strides.row < args->value_dim) return CK_BAD_ARGUMENT;
    return CK_OK;
}

size_t ck_linear_attention_scratch(const ck_context *context, const ck_linear_attention_args *args) {
    if (check_sizes(context, args) != CK_OK) return 0;
    const size_t workers = ck_pool_threads(context->pool);
    if (context->isa == CK_ISA_REF) return workers * ck_linear_attention_ref_doubles(args) * sizeof(double);
    return ck_linear_attention_layout_of(args, workers).total * sizeof(float);
}

ck_status ck_linear_attention_f32(const ck_context *context, const ck_linear_attention_args *args, void *scratch) {
    const ck_status status = check(context, args);
    if (status != CK_OK) return status;
    if (scratch == NULL) return CK_BAD_ARGUMENT;
    implementations[context->isa](context->pool, args, scratch);
    return CK_OK;
}
