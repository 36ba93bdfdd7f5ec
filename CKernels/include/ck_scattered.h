#ifndef CK_SCATTERED_H
#define CK_SCATTERED_H

#include "ck_pool.h"

/** Consecutive rows that attend to each other. */
typedef struct {
    size_t first, count;
} ck_row_group;

/**
 * Linear attention within ragged groups of rows, read in place from a packed projection: head h occupies columns
 * `h * head_dim ..< (h + 1) * head_dim` of q, k, v and out.
 */
typedef struct {
    size_t rows, heads, head_dim;
    const ck_row_group *groups; /**< in ascending order, without overlap; rows between them are left alone */
    size_t group_count;
    const float *q, *k, *v;
    size_t q_stride, k_stride, v_stride; /**< row strides in floats */
    float *out;                          /**< must not overlap q, k or v */
    size_t out_stride;
} ck_scattered_args;

/** Scattered linear attention, ReLU (mathematics: scattered/README.md). */
ck_status ck_scattered_f32(const ck_context *context, const ck_scattered_args *args, void *scratch);
/** Bytes of scratch (64-byte aligned) that `ck_scattered_f32` needs; reads sizes and groups only. */
size_t ck_scattered_scratch(const ck_context *context, const ck_scattered_args *args);

#endif
