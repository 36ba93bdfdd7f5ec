#ifndef CK_NORM_COMMON_H
#define CK_NORM_COMMON_H

#include "ck_norm.h"

/* Normalises `rows` rows from `row` on. */
typedef void ck_layer_norm_rows(const ck_layer_norm_args *args, size_t row, size_t rows);

/* Averages `channels` channels from `channel` on of batch element `b`. */
typedef void ck_mean_channels(const ck_mean_args *args, size_t b, size_t channel, size_t channels);

/* Tokens are added up in runs of this many, then the runs. */
enum { CK_MEAN_RUN = 64 };

/* Writes to `sum` [channels] what the normalised tokens `first ..< first + count` of batch element `b` add up to. */
typedef void ck_norm_sum(const ck_norm_mean_args *args, size_t b, size_t first, size_t count, float *sum);

ck_layer_norm_rows ck_layer_norm_rows_ref, ck_layer_norm_rows_portable, ck_layer_norm_rows_avx2,
    ck_layer_norm_rows_avx512;
ck_mean_channels ck_mean_channels_ref, ck_mean_channels_portable, ck_mean_channels_avx2, ck_mean_channels_avx512;
ck_norm_sum ck_norm_sum_portable, ck_norm_sum_avx2, ck_norm_sum_avx512;

/* The specification of the whole mean of normalised tokens of batch element `b`. */
void ck_norm_mean_ref(const ck_norm_mean_args *args, size_t b);

#endif
