#ifndef CK_FILTERS_H
#define CK_FILTERS_H

#include "ck_pool.h"

/** Taps of a predicted filter: 3 x 3, in row order. */
#define CK_FILTER_TAPS 9

/**
 * Predicts a depthwise 3 x 3 filter per image from one vector per image: two linear layers in `groups` groups of
 * `group_channels` = d channels with the exact GELU between them (mathematics: filters/README.md).
 *
 * With C = groups * d channels, group g reads channels g d ..< (g + 1) d of x and writes the taps of the same channels,
 * in the layout that `ck_dwconv_f32` reads.
 */
typedef struct {
    size_t batch, groups, group_channels;
    const float *x;             /**< [batch][C] */
    const float *hidden_weight; /**< [groups][d in][d out] */
    const float *hidden_bias;   /**< [C] */
    const float *weight;        /**< [groups][taps][d in][d out] */
    const float *bias;          /**< [taps][C] */
    float *out;                 /**< [batch][taps][C]; must not overlap x */
} ck_filters_args;

ck_status ck_filters_f32(const ck_context *context, const ck_filters_args *args);

#endif
