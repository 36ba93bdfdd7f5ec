/** What the specifications of the matrix product and the convolution share. */
#ifndef GEMM_REF_H
#define GEMM_REF_H

#include "gemm/gemm_blocks.h"

/** Where a column's first weight lies in the packed form; the next inputs follow at a distance of CK_PANEL. */
static inline size_t ck_packed_index(size_t k, size_t column) {
    return column / CK_PANEL * CK_PANEL * k + column % CK_PANEL;
}

/** The epilogue of one output. */
float ck_finish_ref(const ck_epilogue *epilogue, double product, size_t row, size_t column);

#endif
