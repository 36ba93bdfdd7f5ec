#ifndef CK_ROPE_H
#define CK_ROPE_H

#include "ck_status.h"
#include <stddef.h>

/**
 * Axial rotary position embedding of RALA and MALA on a token grid (specification in rope/README.md): channels
 * 0..<d/2 of a head turn by the token's row, the rest by its column, in neighbouring pairs.
 *
 * Tables hold each cosine twice and the sine with alternating sign (-s, +s), so that a rotation is
 * `x * cosine + swap_pairs(x) * sine`.
 */
typedef struct {
    size_t height, width, head_dim;
    const float *row_cosine, *row_sine;       /**< [height][head_dim / 2] */
    const float *column_cosine, *column_sine; /**< [width][head_dim / 2] */
} ck_rope;

/** Floats that the tables of a grid take. */
size_t ck_rope_count(size_t height, size_t width, size_t head_dim);

/**
 * Fills `tables` and points `rope` into it. `tables` must live as long as `rope` is used.
 *
 * @return CK_BAD_SHAPE when head_dim is not a positive multiple of 4 or the grid is empty.
 */
ck_status ck_rope_fill(size_t height, size_t width, size_t head_dim, float *tables, ck_rope *rope);

#endif
