#ifndef CK_DWCONV_COMMON_H
#define CK_DWCONV_COMMON_H

#include "ck_dwconv.h"

/* Computes output rows `y` ..< `y + rows` of batch element `b`. */
typedef void ck_dwconv_rows(const ck_dwconv_args *args, size_t b, size_t y, size_t rows);

ck_dwconv_rows ck_dwconv_rows_ref, ck_dwconv_rows_portable, ck_dwconv_rows_avx2, ck_dwconv_rows_avx512;

#endif
