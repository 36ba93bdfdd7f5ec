#include "attention/attention.h"

enum { HIGHEST_HEAD_DIM = 1024 };

ck_status ck_attention_check_sizes(const ck_context *context, const ck_attention_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->heads == 0 || args->tokens == 0) return CK_BAD_SHAPE;
    if (args->head_dim == 0 || args->head_dim > HIGHEST_HEAD_DIM) return CK_BAD_SHAPE;
    size_t channels, rows;
    if (__builtin_mul_overflow(args->heads, args->head_dim, &channels)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(args->batch, args->tokens, &rows)) return CK_BAD_SHAPE;
    const ck_rope *const rope = args->rope;
    if (rope) {
        size_t tokens;
        if (rope->head_dim != args->head_dim || rope->head_dim % 4 != 0) return CK_BAD_SHAPE;
        if (__builtin_mul_overflow(rope->height, rope->width, &tokens) || tokens != args->tokens) return CK_BAD_SHAPE;
    }
    return CK_OK;
}

ck_status ck_attention_check(const ck_context *context, const ck_attention_args *args) {
    const ck_status status = ck_attention_check_sizes(context, args);
    if (status != CK_OK) return status;
    const size_t channels = args->heads * args->head_dim;
    const ck_rope *const rope = args->rope;
    if (rope && (!rope->row_cosine || !rope->row_sine || !rope->column_cosine || !rope->column_sine))
        return CK_BAD_ARGUMENT;
    if (!args->q || !args->k || !args->v || !args->out) return CK_BAD_ARGUMENT;
    if (args->q_stride < channels || args->k_stride < channels || args->v_stride < channels) return CK_BAD_ARGUMENT;
    if (args->out_stride < channels) return CK_BAD_ARGUMENT;
    if (args->local && args->local_stride < channels) return CK_BAD_ARGUMENT;
    if (args->gate && args->gate_stride < channels) return CK_BAD_ARGUMENT;
    return CK_OK;
}
