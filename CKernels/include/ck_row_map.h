#ifndef CK_ROW_MAP_H
#define CK_ROW_MAP_H

#include "ck_heads.h"
#include "ck_pool.h"

/** Functions of a whole row x of `dim` numbers (mathematics: rowmap/README.md). */
typedef enum {
    CK_ROW_SOFTMAX = 0,      /**< exp(x - highest x) / its sum */
    CK_ROW_SOFTMAX_PAIR = 1, /**< [softmax(x), softmax(-x)], each at least 1e-12: 2 dim numbers */
    CK_ROW_EXP = 2,          /**< exp(scale x - norm_scale |y|^2 - highest scale x of the row) + offset */
    CK_ROW_EXP_HEAD = 3,     /**< the same with the highest of all tokens of the head */
    CK_ROW_RELU = 4,         /**< max(x, 0) + offset */
    CK_ROW_UNIT_SILU = 5,    /**< y / |y| with y = silu(x) + 1/2 */
    CK_ROW_FOCUSED = 6,      /**< y^3 |y| / |y^3| with y = (max(x + addend, 0) + 1e-6) weight */
    CK_ROW_RMS_NORM = 7,     /**< x weight silu(gate) / (sqrt(mean of x^2 + inner_epsilon) + outer_epsilon) */
    CK_ROW_GELU = 8,         /**< gelu(x) weight + shift: GELU and the batch norm behind it */
    CK_ROW_COUNT = 9
} ck_row_function;

typedef struct {
    ck_row_function function;
    size_t batch, heads, tokens, dim;
    const float *x;
    ck_head_strides x_strides;
    float *out; /**< may be x itself, but for CK_ROW_SOFTMAX_PAIR */
    ck_head_strides out_strides;
    float scale, offset;
    const float *y; /**< rows of `y_dim` numbers, or NULL for |y| = 0 */
    ck_head_strides y_strides;
    size_t y_dim;
    float norm_scale;
    const float *weight; /**< [dim], or NULL for 1 */
    const float *shift;  /**< [dim], or NULL for 0 */
    const float *addend; /**< [tokens][dim], or NULL for 0 */
    const float *gate;   /**< NULL for none */
    ck_head_strides gate_strides;
    float inner_epsilon, outer_epsilon;
} ck_row_map_args;

/** @return CK_BAD_SHAPE for an empty size, CK_BAD_ARGUMENT for a missing pointer or a row stride below its row. */
ck_status ck_row_map_f32(const ck_context *context, const ck_row_map_args *args, void *scratch);
/** Bytes of scratch that `ck_row_map_f32` needs. */
size_t ck_row_map_scratch(const ck_context *context, const ck_row_map_args *args);

#endif
