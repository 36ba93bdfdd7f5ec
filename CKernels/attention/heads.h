#ifndef CK_HEADS_COMMON_H
#define CK_HEADS_COMMON_H

#include "ck_heads.h"

/* Offset of token n of head `index` (0..<batch * heads). */
static inline size_t ck_head_offset(ck_head_strides strides, size_t heads, size_t index, size_t n) {
    return index / heads * strides.batch + index % heads * strides.head + n * strides.row;
}

#endif
