#ifndef CK_ATTENTION_H
#define CK_ATTENTION_H

#include "ck_pool.h"
#include "ck_rope.h"

/**
 * Non-causal attention over tokens, read in place from a packed projection: head h occupies columns
 * `h * head_dim ..< (h + 1) * head_dim` of q, k, v, local, gate and out; batch element b occupies rows
 * `b * tokens ..< (b + 1) * tokens`.
 *
 * Every core ends in `out = (core + local) * gate`.
 */
typedef struct {
    size_t batch, heads, tokens, head_dim;
    const float *q, *k, *v;
    size_t q_stride, k_stride, v_stride; /**< row strides in floats */
    const ck_rope *rope;                 /**< tokens = height * width; NULL for no rotation */
    const float *local;                  /**< NULL for none; may be `out` itself */
    size_t local_stride;
    const float *gate; /**< NULL for none */
    size_t gate_stride;
    float *out; /**< must not overlap q, k, v or gate */
    size_t out_stride;
} ck_attention_args;

/** Softmax attention: scale head_dim^-1/2, tiled with an online softmax (mathematics: softmax/README.md). */
ck_status ck_softmax_attention_f32(const ck_context *context, const ck_attention_args *args, void *scratch);
/** Bytes of scratch (64-byte aligned) that `ck_softmax_attention_f32` needs. */
size_t ck_softmax_attention_scratch(const ck_context *context, const ck_attention_args *args);

/** Rank-augmented linear attention, ELU + 1 (mathematics: rala/README.md). */
ck_status ck_rala_f32(const ck_context *context, const ck_attention_args *args, void *scratch);
size_t ck_rala_scratch(const ck_context *context, const ck_attention_args *args);

/** Magnitude-aware linear attention, ELU + 1 (mathematics: mala/README.md). */
ck_status ck_mala_f32(const ck_context *context, const ck_attention_args *args, void *scratch);
size_t ck_mala_scratch(const ck_context *context, const ck_attention_args *args);

#endif
