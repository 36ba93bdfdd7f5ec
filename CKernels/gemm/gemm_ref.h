/** What the specifications of the matrix product and the convolution share. */
#ifndef GEMM_REF_H
#define GEMM_REF_H

#include "ck_conv.h"
#include "ck_gemm.h"
#include "gemm/gemm_bf16.h"

/** One column of packed weights: of one of the two kinds. */
typedef struct {
    const float *packed;
    const ck_bf16 *packed_bf16;
} ck_column_ref;

/** The column of weights that have k inputs; in bf16 form k counts the zeros that make pairs whole. */
static inline ck_column_ref ck_column_of(const float *packed, const ck_bf16 *packed_bf16, size_t k, size_t column) {
    const size_t panel = column / CK_PANEL * CK_PANEL * k, place = column % CK_PANEL;
    return (ck_column_ref){packed ? packed + panel + place : NULL, packed_bf16 ? packed_bf16 + panel + 2 * place : NULL};
}

static inline double ck_weight_ref(ck_column_ref column, size_t i) {
    if (column.packed) return column.packed[i * CK_PANEL];
    return ck_bf16_float(column.packed_bf16[i / 2 * 2 * CK_PANEL + i % 2]);
}

/** An input as it is multiplied: with bf16 weights it is rounded to bf16. */
static inline double ck_input_ref(ck_column_ref column, double value) {
    return column.packed ? value : ck_bf16_float(ck_bf16_rounded((float)value));
}

/** The epilogue of one output. */
float ck_finish_ref(const ck_epilogue *epilogue, double product, size_t row, size_t column);

/** One row of a matrix product. */
void ck_gemm_row_ref(const ck_gemm_args *args, size_t row);

#endif
