#include "attention/attention.h"

enum { HIGHEST_HEAD_DIM = 1024 };

/* Windows fit their grid and the number of tokens; `rows` are those of one image. */
static ck_status check_windows(const ck_attention_args *args, size_t *rows) {
    const ck_windows *const w = args->windows;
    size_t tokens;
    if (w->height == 0 || w->width == 0 || w->window_height == 0 || w->window_width == 0) return CK_BAD_SHAPE;
    if (w->shift_y >= w->window_height || w->shift_y >= w->height) return CK_BAD_SHAPE;
    if (w->shift_x >= w->window_width || w->shift_x >= w->width) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(w->height, w->width, rows)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(w->window_height, w->window_width, &tokens)) return CK_BAD_SHAPE;
    return args->rope || tokens != args->tokens || tokens != args->key_tokens ? CK_BAD_SHAPE : CK_OK;
}

ck_status ck_general_attention_check_sizes(const ck_context *context, const ck_attention_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->batch == 0 || args->heads == 0 || args->tokens == 0 || args->key_tokens == 0) return CK_BAD_SHAPE;
    if (args->head_dim == 0 || args->head_dim > HIGHEST_HEAD_DIM) return CK_BAD_SHAPE;
    size_t channels, total, rows = args->tokens > args->key_tokens ? args->tokens : args->key_tokens;
    if (args->windows && check_windows(args, &rows) != CK_OK) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(args->heads, args->head_dim, &channels)) return CK_BAD_SHAPE;
    if (__builtin_mul_overflow(args->batch, rows, &total)) return CK_BAD_SHAPE;
    const ck_rope *const rope = args->rope;
    if (rope) {
        size_t tokens;
        if (rope->head_dim != args->head_dim || rope->head_dim % 4 != 0) return CK_BAD_SHAPE;
        if (__builtin_mul_overflow(rope->height, rope->width, &tokens) || tokens != args->tokens) return CK_BAD_SHAPE;
        if (args->key_tokens != args->tokens) return CK_BAD_SHAPE;
    }
    return CK_OK;
}

ck_status ck_general_attention_check(const ck_context *context, const ck_attention_args *args) {
    const ck_status status = ck_general_attention_check_sizes(context, args);
    if (status != CK_OK) return status;
    const size_t channels = args->heads * args->head_dim;
    const ck_rope *const rope = args->rope;
    if (rope && (!rope->row_cosine || !rope->row_sine || !rope->column_cosine || !rope->column_sine))
        return CK_BAD_ARGUMENT;
    if (!args->q || !args->k || !args->v || !args->out) return CK_BAD_ARGUMENT;
    if (args->q_stride < channels || args->k_stride < channels || args->v_stride < channels) return CK_BAD_ARGUMENT;
    if (args->out_stride < channels) return CK_BAD_ARGUMENT;
    if (args->bias && args->bias_stride < args->tokens) return CK_BAD_ARGUMENT;
    if (args->local && args->local_stride < channels) return CK_BAD_ARGUMENT;
    if (args->gate && args->gate_stride < channels) return CK_BAD_ARGUMENT;
    return CK_OK;
}

ck_status ck_attention_check_sizes(const ck_context *context, const ck_attention_args *args) {
    const ck_status status = ck_general_attention_check_sizes(context, args);
    if (status != CK_OK) return status;
    return args->windows || args->key_tokens != args->tokens ? CK_BAD_SHAPE : CK_OK;
}

ck_status ck_attention_check(const ck_context *context, const ck_attention_args *args) {
    const ck_status status = ck_attention_check_sizes(context, args);
    if (status != CK_OK) return status;
    return args->bias ? CK_BAD_ARGUMENT : ck_general_attention_check(context, args);
}
