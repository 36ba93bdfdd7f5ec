/** What the specifications of the matrix product and the convolution share. */
#ifndef GEMM_REF_H
#define GEMM_REF_H

#include "ck_conv.h"
#include "ck_gemm.h"

/** Where a column's first weight lies in the packed form; the next inputs follow at a distance of CK_PANEL. */
static inline size_t ck_packed_index(size_t k, size_t column) {
    return column / CK_PANEL * CK_PANEL * k + column % CK_PANEL;
}

/** The epilogue of one output. */
float ck_finish_ref(const ck_epilogue *epilogue, double product, size_t row, size_t column);

/** One row of a matrix product. */
void ck_gemm_row_ref(const ck_gemm_args *args, size_t row);

/** One output pixel of a convolution, counted through the batch. */
void ck_conv_pixel_ref(const ck_conv_args *args, size_t pixel);

#endif
