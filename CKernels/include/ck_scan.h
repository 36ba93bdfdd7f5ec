#ifndef CK_SCAN_H
#define CK_SCAN_H

#include "ck_heads.h"
#include "ck_pool.h"

/** An order in which the tokens are visited, and how a state decays on the way from one to the next. */
typedef struct {
    const size_t *order; /**< [tokens]: the token at each position; NULL for the order of the rows */
    const float *decay;  /**< of token n of head h of batch element b: decay[b * batch + h * head + n * row] */
    ck_head_strides decay_strides; /**< a stride of 0 where all have the same */
} ck_scan_path;

enum { CK_SCAN_PATHS = 2 };

/**
 * Bidirectional decayed linear attention (mathematics: scan/README.md): the weight of token j for token i is q_i . k_j
 * times, summed over the paths, the product of the decays of the tokens from j (included) to i (excluded) along the path.
 *
 *     out_i = sum over j of w_ij v_j / (sum over j of w_ij + epsilon)
 */
typedef struct {
    size_t batch, heads, tokens;
    size_t features;  /**< numbers in a row of q and k, at most 1024 */
    size_t value_dim; /**< numbers in a row of v and out, at most 1024 */
    const float *q, *k, *v;
    ck_head_strides q_strides, k_strides, v_strides;
    size_t paths; /**< 1 or 2 */
    ck_scan_path path[CK_SCAN_PATHS];
    float epsilon;
    float *out; /**< must not overlap the inputs */
    ck_head_strides out_strides;
} ck_bidirectional_scan_args;

/** O(paths * tokens * features * value_dim). `order` must hold numbers below `tokens`. */
ck_status ck_bidirectional_scan_f32(const ck_context *context, const ck_bidirectional_scan_args *args, void *scratch);
/** Bytes of scratch (64-byte aligned) that `ck_bidirectional_scan_f32` needs. */
size_t ck_bidirectional_scan_scratch(const ck_context *context, const ck_bidirectional_scan_args *args);

/** What a causal scan does to its state at every token. */
typedef enum {
    CK_SCAN_GATED = 0,          /**< S = diag(sigmoid(gate)^(1/16)) S + k^T v, out = scale q S */
    CK_SCAN_RUNNING_SOFTMAX = 1 /**< S = sum so far of softmax over the tokens so far (k)^T v, out = scale silu(q) S */
} ck_causal_scan_kind;

/** Causal linear attention over the rows in order. */
typedef struct {
    ck_causal_scan_kind kind;
    size_t batch, heads, tokens;
    size_t features;  /**< numbers in a row of q, k and gate, at most 1024 */
    size_t value_dim; /**< numbers in a row of v and out, at most 1024 */
    const float *q, *k, *v;
    ck_head_strides q_strides, k_strides, v_strides;
    const float *gate; /**< of CK_SCAN_GATED only */
    ck_head_strides gate_strides;
    float scale;
    float *out; /**< must not overlap the inputs */
    ck_head_strides out_strides;
} ck_causal_scan_args;

/** O(tokens * features * value_dim). */
ck_status ck_causal_scan_f32(const ck_context *context, const ck_causal_scan_args *args, void *scratch);
/** Bytes of scratch (64-byte aligned) that `ck_causal_scan_f32` needs. */
size_t ck_causal_scan_scratch(const ck_context *context, const ck_causal_scan_args *args);

#endif
