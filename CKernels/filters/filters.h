#ifndef CK_FILTERS_COMMON_H
#define CK_FILTERS_COMMON_H

#include "ck_filters.h"

enum { CK_FILTERS_HIGHEST_GROUP = 1024 };

/* Computes the taps of group `g` for batch element `b`. */
typedef void ck_filters_group(const ck_filters_args *args, size_t b, size_t g);

ck_filters_group ck_filters_group_ref, ck_filters_group_portable, ck_filters_group_avx2, ck_filters_group_avx512;

#endif
