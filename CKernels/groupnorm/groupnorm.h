#ifndef CK_GROUPNORM_COMMON_H
#define CK_GROUPNORM_COMMON_H

#include "ck_groupnorm.h"

/** Pixels of a task, and of a sum in float. */
enum { CK_GROUP_NORM_RUN = 64 };

/**
 * Channel by channel over pixels `first ..< first + count` of batch element b, `count` at most CK_GROUP_NORM_RUN:
 * their sum, and the sum of squares of their differences from `sum / count`.
 */
typedef void ck_group_norm_moments(const ck_group_norm_args *args, size_t b, size_t first, size_t count, float *sums,
                                   float *squares);

/** out = activation(x * factor + offset) over the same pixels, with a factor and an offset per channel. */
typedef void ck_group_norm_apply(const ck_group_norm_args *args, size_t b, size_t first, size_t count,
                                 const float *factor, const float *offset);

ck_group_norm_moments ck_group_norm_moments_portable, ck_group_norm_moments_avx2, ck_group_norm_moments_avx512;
ck_group_norm_apply ck_group_norm_apply_portable, ck_group_norm_apply_avx2, ck_group_norm_apply_avx512;

/** The specification: one group of one batch element. */
void ck_group_norm_ref(const ck_group_norm_args *args, size_t b, size_t group);
void ck_group_norm_factors_ref(const ck_group_norm_factors_args *args, size_t b, size_t group);

#endif
