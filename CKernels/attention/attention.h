#ifndef CK_ATTENTION_COMMON_H
#define CK_ATTENTION_COMMON_H

#include "ck_attention.h"

/* What the attention cores share outside the vector code. */

typedef void ck_attention_function(ck_pool *pool, const ck_attention_args *args, float *scratch);

/* What every core demands of the context and the sizes; then of all its arguments. */
ck_status ck_attention_check_sizes(const ck_context *context, const ck_attention_args *args);
ck_status ck_attention_check(const ck_context *context, const ck_attention_args *args);

/* The same for a core that takes windows, a bias, and as many keys as it likes. */
ck_status ck_general_attention_check_sizes(const ck_context *context, const ck_attention_args *args);
ck_status ck_general_attention_check(const ck_context *context, const ck_attention_args *args);

typedef struct {
    size_t first, count;
} ck_range;

/* Part `index` of `total` things in `parts` nearly equal parts: the first ones are longer by one. */
static inline ck_range ck_part(size_t total, size_t parts, size_t index) {
    const size_t base = total / parts, longer = total % parts;
    return (ck_range){index * base + (index < longer ? index : longer), base + (index < longer)};
}

static inline size_t ck_ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

/* Floats between the rows of a tile: the head dimension in whole 64-byte lines. */
static inline size_t ck_tile_width(size_t head_dim) { return ck_ceil_div(head_dim, 16) * 16; }

#endif
