/* The specification of the filter predictor, in double. */
#include "filters/filters.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

void ck_filters_group_ref(const ck_filters_args *args, size_t b, size_t g) {
    const size_t d = args->group_channels, channels = args->groups * d;
    const float *const x = args->x + b * channels + g * d;
    double hidden[CK_FILTERS_HIGHEST_GROUP];
    for (size_t c = 0; c < d; c++) {
        double sum = args->hidden_bias[g * d + c];
        for (size_t i = 0; i < d; i++) sum += (double)args->hidden_weight[(g * d + i) * d + c] * x[i];
        hidden[c] = sum * (1 + erf(sum / sqrt(2))) / 2;
    }
    for (size_t tap = 0; tap < CK_FILTER_TAPS; tap++) {
        const float *const weight = args->weight + (g * CK_FILTER_TAPS + tap) * d * d;
        for (size_t c = 0; c < d; c++) {
            double sum = args->bias[tap * channels + g * d + c];
            for (size_t i = 0; i < d; i++) sum += weight[i * d + c] * hidden[i];
            args->out[(b * CK_FILTER_TAPS + tap) * channels + g * d + c] = (float)sum;
        }
    }
}
