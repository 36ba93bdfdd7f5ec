/* The specification of group norm, in double. */
#include "groupnorm/groupnorm.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

typedef struct {
    double mean, variance;
} group_moments;

static group_moments moments_of(const ck_group_norm_args *args, size_t b, size_t first, size_t width) {
    const double count = (double)(width * args->pixels);
    const float *const x = args->x + b * args->pixels * args->x_stride;
    double mean = 0, variance = 0;
    for (size_t p = 0; p < args->pixels; p++)
        for (size_t c = first; c < first + width; c++) mean += x[p * args->x_stride + c];
    mean /= count;
    for (size_t p = 0; p < args->pixels; p++)
        for (size_t c = first; c < first + width; c++)
            variance += (x[p * args->x_stride + c] - mean) * (x[p * args->x_stride + c] - mean);
    return (group_moments){mean, variance / count};
}

void ck_group_norm_factors_ref(const ck_group_norm_factors_args *args, size_t b, size_t group) {
    const ck_group_norm_args *const norm = &args->norm;
    const size_t width = norm->channels / norm->groups, first = group * width;
    const group_moments m = moments_of(norm, b, first, width);
    for (size_t c = first; c < first + width; c++) {
        const double factor = norm->gamma[c] / sqrt(m.variance + norm->epsilon);
        args->factor[b * norm->channels + c] = (float)factor;
        args->offset[b * norm->channels + c] = (float)(norm->beta[c] - factor * m.mean);
    }
}

void ck_group_norm_ref(const ck_group_norm_args *args, size_t b, size_t group) {
    const size_t width = args->channels / args->groups, first = group * width;
    const float *const x = args->x + b * args->pixels * args->x_stride;
    const group_moments m = moments_of(args, b, first, width);
    for (size_t p = 0; p < args->pixels; p++) {
        for (size_t c = first; c < first + width; c++) {
            double y = (x[p * args->x_stride + c] - m.mean) / sqrt(m.variance + args->epsilon) * args->gamma[c] +
                       args->beta[c];
            if (args->silu) y /= 1 + exp(-y);
            args->out[(b * args->pixels + p) * args->out_stride + c] = (float)y;
        }
    }
}
