#include "scan/scan.h"

static ck_bidirectional_scan_function *const bidirectional[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_bidirectional_scan_f32_ref,
    [CK_ISA_PORTABLE] = ck_bidirectional_scan_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_bidirectional_scan_f32_avx2,
    [CK_ISA_AVX512] = ck_bidirectional_scan_f32_avx512,
#endif
};

static ck_causal_scan_function *const causal[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_causal_scan_f32_ref,
    [CK_ISA_PORTABLE] = ck_causal_scan_f32_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_causal_scan_f32_avx2,
    [CK_ISA_AVX512] = ck_causal_scan_f32_avx512,
#endif
};

enum { HIGHEST_DIM = 1024 };

static ck_status check_sizes(const ck_context *context, size_t batch, size_t heads, size_t tokens, size_t features,
                             size_t value_dim) {
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (batch == 0 || heads == 0 || tokens == 0) return CK_BAD_SHAPE;
    if (features == 0 || features > HIGHEST_DIM || value_dim == 0 || value_dim > HIGHEST_DIM) return CK_BAD_SHAPE;
    size_t all, numbers;
    if (__builtin_mul_overflow(batch, heads, &all) || __builtin_mul_overflow(all, tokens, &all)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(tokens, 2 * HIGHEST_DIM * sizeof(double), &numbers)) return CK_BAD_SHAPE;
    return CK_OK;
}

static size_t scratch_bytes(const ck_context *context, size_t features, size_t value_dim, size_t tokens) {
    const size_t workers = ck_pool_threads(context->pool);
    if (context->isa == CK_ISA_REF) return workers * ck_scan_ref_doubles(features, value_dim, tokens) * sizeof(double);
    return workers * ck_scan_worker(features, value_dim, tokens) * sizeof(float);
}

static ck_status check_bidirectional(const ck_context *context, const ck_bidirectional_scan_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    return check_sizes(context, args->batch, args->heads, args->tokens, args->features, args->value_dim);
}

size_t ck_bidirectional_scan_scratch(const ck_context *context, const ck_bidirectional_scan_args *args) {
    if (check_bidirectional(context, args) != CK_OK) return 0;
    return scratch_bytes(context, args->features, args->value_dim, args->tokens);
}

ck_status ck_bidirectional_scan_f32(const ck_context *context, const ck_bidirectional_scan_args *args, void *scratch) {
    const ck_status status = check_bidirectional(context, args);
    if (status != CK_OK) return status;
    if (!args->q || !args->k || !args->v || !args->out || !scratch) return CK_BAD_ARGUMENT;
    if (args->paths == 0 || args->paths > CK_SCAN_PATHS) return CK_BAD_ARGUMENT;
    for (size_t p = 0; p < args->paths; p++)
        if (args->path[p].decay == NULL) return CK_BAD_ARGUMENT;
    if (args->q_strides.row < args->features || args->k_strides.row < args->features) return CK_BAD_ARGUMENT;
    if (args->v_strides.row < args->value_dim || args->out_strides.row < args->value_dim) return CK_BAD_ARGUMENT;
    bidirectional[context->isa](context->pool, args, scratch);
    return CK_OK;
}

static ck_status check_causal(const ck_context *context, const ck_causal_scan_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    return check_sizes(context, args->batch, args->heads, args->tokens, args->features, args->value_dim);
}

size_t ck_causal_scan_scratch(const ck_context *context, const ck_causal_scan_args *args) {
    if (check_causal(context, args) != CK_OK) return 0;
    return scratch_bytes(context, args->features, args->value_dim, args->tokens);
}

ck_status ck_causal_scan_f32(const ck_context *context, const ck_causal_scan_args *args, void *scratch) {
    const ck_status status = check_causal(context, args);
    if (status != CK_OK) return status;
    if (!args->q || !args->k || !args->v || !args->out || !scratch) return CK_BAD_ARGUMENT;
    if ((unsigned)args->kind > CK_SCAN_RUNNING_SOFTMAX) return CK_BAD_ARGUMENT;
    if (args->kind == CK_SCAN_GATED && (!args->gate || args->gate_strides.row < args->features)) return CK_BAD_ARGUMENT;
    if (args->q_strides.row < args->features || args->k_strides.row < args->features) return CK_BAD_ARGUMENT;
    if (args->v_strides.row < args->value_dim || args->out_strides.row < args->value_dim) return CK_BAD_ARGUMENT;
    causal[context->isa](context->pool, args, scratch);
    return CK_OK;
}
