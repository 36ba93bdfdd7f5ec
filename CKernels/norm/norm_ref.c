/* The specifications of layer norm and average pooling, in double. */
#include "norm/norm.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

static void moments(const float *x, size_t channels, double *mean, double *variance) {
    *mean = 0, *variance = 0;
    for (size_t c = 0; c < channels; c++) *mean += x[c];
    *mean /= (double)channels;
    for (size_t c = 0; c < channels; c++) *variance += (x[c] - *mean) * (x[c] - *mean);
    *variance /= (double)channels;
}

void ck_layer_norm_rows_ref(const ck_layer_norm_args *args, size_t row, size_t rows) {
    const size_t channels = args->channels;
    for (size_t r = row; r < row + rows; r++) {
        const float *const x = args->x + r * args->x_stride;
        float *const out = args->out + r * args->out_stride;
        double mean, variance;
        moments(x, channels, &mean, &variance);
        for (size_t c = 0; c < channels; c++) {
            const double gamma = args->gamma ? args->gamma[c] : 1, beta = args->beta ? args->beta[c] : 0;
            const double residual = args->residual ? args->residual[r * args->residual_stride + c] : 0;
            out[c] = (float)((x[c] - mean) / sqrt(variance + args->epsilon) * gamma + beta + residual);
        }
    }
}

void ck_mean_channels_ref(const ck_mean_args *args, size_t b, size_t channel, size_t channels) {
    for (size_t c = channel; c < channel + channels; c++) {
        double sum = 0;
        for (size_t n = 0; n < args->tokens; n++) sum += args->x[(b * args->tokens + n) * args->x_stride + c];
        args->out[b * args->channels + c] = (float)(sum / (double)args->tokens);
    }
}

void ck_norm_mean_ref(const ck_norm_mean_args *args, size_t b) {
    for (size_t c = 0; c < args->channels; c++) {
        double sum = 0;
        for (size_t n = 0; n < args->tokens; n++) {
            const float *const x = args->x + (b * args->tokens + n) * args->x_stride;
            double mean, variance;
            moments(x, args->channels, &mean, &variance);
            sum += (x[c] - mean) / sqrt(variance + args->epsilon);
        }
        args->out[b * args->channels + c] = (float)(sum / (double)args->tokens);
    }
}
