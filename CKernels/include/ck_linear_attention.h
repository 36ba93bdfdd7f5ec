#ifndef CK_LINEAR_ATTENTION_H
#define CK_LINEAR_ATTENTION_H

#include "ck_heads.h"
#include "ck_pool.h"

/** What becomes of the rows of q and k before they meet. */
typedef enum {
    CK_FEATURE_IDENTITY = 0, /**< features made beforehand */
    CK_FEATURE_ELU1 = 1,     /**< ELU + 1: x + 1 for x > 0, else exp(x) */
    CK_FEATURE_RELU = 2,
    CK_FEATURE_SILU = 3,          /**< x / (1 + exp(-x)) */
    CK_FEATURE_TOKEN_SOFTMAX = 4, /**< of keys only, without division: softmax over the tokens, by channel */
    CK_FEATURE_COUNT = 5
} ck_feature;

/**
 * Non-causal linear attention (mathematics: linear/README.md). Per head, with f = feature(row) of `features` numbers:
 *
 *     S = sum over j of f(k_j)^T v_j,   s_i = f(q_i) . sum over j of f(k_j)
 *     out_i = scale * f(q_i) S / max(s_i + epsilon, lower_bound) + local_i
 */
typedef struct {
    size_t batch, heads;
    size_t tokens;     /**< rows of q, local and out */
    size_t key_tokens; /**< rows of k and v */
    size_t features;  /**< numbers in a row of q and k, at most 1024 */
    size_t value_dim; /**< numbers in a row of v, local and out, at most 1024 */
    ck_feature query_feature, key_feature;
    const float *q, *k, *v;
    ck_head_strides q_strides, k_strides, v_strides;
    int normalised;     /**< 0 leaves the division out */
    float epsilon;      /**< added to the sum */
    float lower_bound;  /**< of the divisor; -INFINITY for none */
    const float *scale; /**< [heads], or NULL for 1 */
    const float *local; /**< NULL for none; may be `out` itself */
    ck_head_strides local_strides;
    float *out; /**< must not overlap q, k or v */
    ck_head_strides out_strides;
} ck_linear_attention_args;

/**
 * O(tokens * features * value_dim).
 *
 * @return CK_BAD_SHAPE for an empty or too large size, CK_BAD_ARGUMENT for a missing pointer, a row stride below the
 *         row's length, a feature map that queries cannot have or a division where there is none.
 */
ck_status ck_linear_attention_f32(const ck_context *context, const ck_linear_attention_args *args, void *scratch);
/** Bytes of scratch (64-byte aligned) that `ck_linear_attention_f32` needs. */
size_t ck_linear_attention_scratch(const ck_context *context, const ck_linear_attention_args *args);

#endif
