/* The specification of the matrix product: plain loops, double accumulators, scalar functions of libm. */
#include "gemm/gemm_ref.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

float ck_finish_ref(const ck_epilogue *epilogue, double product, size_t row, size_t column) {
    double v = product;
    if (epilogue->bias) v += epilogue->bias[column];
    if (epilogue->activation == CK_ACTIVATION_GELU) v = 0.5 * v * (1 + erf(v * 0.70710678118654752440));
    if (epilogue->activation == CK_ACTIVATION_SILU) v = v / (1 + exp(-v));
    if (epilogue->activation == CK_ACTIVATION_GELU_TANH)
        v = 0.5 * v * (1 + tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v)));
    if (epilogue->activation == CK_ACTIVATION_RELU && v < 0) v = 0;
    if (epilogue->scale) v *= epilogue->scale[column];
    if (epilogue->residual) v += epilogue->residual[row * epilogue->residual_stride + column];
    return (float)v;
}

/* Mean and reciprocal standard deviation of a row; 0 and 1 when there is no norm. */
static void moments(const ck_gemm_args *args, const float *x, double *mean, double *reciprocal) {
    *mean = 0;
    *reciprocal = 1;
    if (args->norm_epsilon == 0) return;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < args->k; i++) sum += x[i];
    *mean = sum / (double)args->k;
    for (size_t i = 0; i < args->k; i++) squares += (x[i] - *mean) * (x[i] - *mean);
    *reciprocal = 1 / sqrt(squares / (double)args->k + args->norm_epsilon);
}

void ck_gemm_row_ref(const ck_gemm_args *args, size_t row) {
    const float *const x = args->x + row * args->x_stride;
    const ck_norm_affine *const affine = &args->norm_affine;
    const size_t set = affine->rows ? row / affine->rows * affine->stride : 0;
    double mean, reciprocal;
    moments(args, x, &mean, &reciprocal);
    for (size_t column = 0; column < args->n; column++) {
        const size_t k = args->packed ? args->k : (args->k + 1) / 2 * 2;
        const ck_column_ref w = ck_column_of(args->packed, args->packed_bf16, k, column);
        double sum = 0;
        for (size_t i = 0; i < args->k; i++) {
            double input = (x[i] - mean) * reciprocal;
            if (affine->scale) input = input * affine->scale[set + i] + affine->shift[set + i];
            sum += ck_input_ref(w, input) * ck_weight_ref(w, i);
        }
        args->out[row * args->out_stride + column] = ck_finish_ref(&args->epilogue, sum, row, column);
    }
}
