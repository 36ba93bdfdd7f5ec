/* The specification of group norm, in double. */
#include "groupnorm/groupnorm.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

void ck_group_norm_ref(const ck_group_norm_args *args, size_t b, size_t group) {
    const size_t width = args->channels / args->groups, first = group * width;
    const double count = (double)(width * args->pixels);
    const float *const x = args->x + b * args->pixels * args->x_stride;
    double mean = 0, variance = 0;
    for (size_t p = 0; p < args->pixels; p++)
        for (size_t c = first; c < first + width; c++) mean += x[p * args->x_stride + c];
    mean /= count;
    for (size_t p = 0; p < args->pixels; p++)
        for (size_t c = first; c < first + width; c++)
            variance += (x[p * args->x_stride + c] - mean) * (x[p * args->x_stride + c] - mean);
    variance /= count;
    for (size_t p = 0; p < args->pixels; p++) {
        for (size_t c = first; c < first + width; c++) {
            double y = (x[p * args->x_stride + c] - mean) / sqrt(variance + args->epsilon) * args->gamma[c] +
                       args->beta[c];
            if (args->silu) y /= 1 + exp(-y);
            args->out[(b * args->pixels + p) * args->out_stride + c] = (float)y;
        }
    }
}
