#ifndef CK_ROW_MAP_COMMON_H
#define CK_ROW_MAP_COMMON_H

#include "ck_row_map.h"

/* The operands of one row. */
typedef struct {
    const float *x, *y, *addend, *gate; /* NULL for none */
    float highest;                      /* of the head, for CK_ROW_EXP_HEAD */
    float *out;
} ck_row;

/* One instruction set: a row, and the highest scale * x of a row. */
typedef struct {
    void (*map)(const ck_row_map_args *args, const ck_row *row);
    float (*highest)(const float *x, size_t dim, float scale);
} ck_row_functions;

extern const ck_row_functions ck_row_map_f32_ref, ck_row_map_f32_portable, ck_row_map_f32_avx2, ck_row_map_f32_avx512;

#endif
