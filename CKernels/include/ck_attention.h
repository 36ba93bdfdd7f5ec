#ifndef CK_ATTENTION_H
#define CK_ATTENTION_H

#include "ck_pool.h"
#include "ck_rope.h"

/**
 * Windows of the token grid that attend to themselves, each on its own. The grid is rolled up and to the left by the
 * shift, padded at the bottom and on the right up to whole windows and cut row by row; outputs go back to where their
 * query came from, those of the padding nowhere. All of it is index arithmetic: nothing is copied to shift or to pad.
 */
typedef struct {
    size_t height, width; /**< the grid: an image has height * width rows */
    size_t window_height, window_width;
    size_t shift_y, shift_x; /**< below window_height and height, window_width and width */
    /** Added to the score of two tokens that share a window only because the grid was rolled; 0 for none. */
    float separation;
    const float *outside_key, *outside_value; /**< [heads * head_dim], every token of the padding; NULL for zeros */
} ck_windows;

/** Windows that one image is cut into; 1 for NULL. */
static inline size_t ck_window_count(const ck_windows *windows) {
    if (windows == NULL) return 1;
    const size_t down = (windows->height - 1) / windows->window_height + 1;
    return down * ((windows->width - 1) / windows->window_width + 1);
}

/**
 * Non-causal attention over tokens, read in place from a packed projection: head h occupies columns
 * `h * head_dim ..< (h + 1) * head_dim` of q, k, v, local, gate and out; batch element b occupies rows
 * `b * tokens ..< (b + 1) * tokens` (k and v: `key_tokens`; with windows all of them: height * width).
 *
 * Every core ends in `out = (core + local) * gate`. Only softmax attention takes a bias, windows and another number of
 * keys than of queries.
 */
typedef struct {
    size_t batch, heads;
    size_t tokens;     /**< queries of a batch element; with windows those of a window, window_height * window_width */
    size_t key_tokens; /**< keys and values, likewise */
    size_t head_dim;
    const float *q, *k, *v;
    size_t q_stride, k_stride, v_stride; /**< row strides in floats */
    const ck_rope *rope;                 /**< tokens = height * width; NULL for no rotation */
    const float *bias;                   /**< [heads][key_tokens][tokens], added to the scaled scores; NULL for none */
    size_t bias_stride;                  /**< floats from key to key; whole multiples of 16 are fastest */
    const ck_windows *windows;           /**< NULL for none */
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

/** The kernel function of InLine attention. */
typedef enum {
    CK_INLINE_IDENTITY = 0, /**< x */
    CK_INLINE_RELU,         /**< max(x, 0) */
    CK_INLINE_LEAKY_RELU,   /**< x for x > 0, else 0.01 x */
    CK_INLINE_EXP,          /**< exp(0.2 x) */
    CK_INLINE_COUNT
} ck_inline_function;

/**
 * Injective linear attention (mathematics: inline/README.md). Tokens need not form a grid; there is no rotation:
 * `args->rope` is NULL.
 */
ck_status ck_inline_f32(const ck_context *context, const ck_attention_args *args, ck_inline_function function,
                        void *scratch);
size_t ck_inline_scratch(const ck_context *context, const ck_attention_args *args);

#endif
