/* The specification of the row functions: rowmap/README.md, step by step, in double. */
#include "rowmap/row_map.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

static float highest_scaled(const float *x, size_t dim, float scale) {
    float highest = -INFINITY;
    for (size_t c = 0; c < dim; c++) highest = fmaxf(highest, scale * x[c]);
    return highest;
}

static void softmax(const float *x, size_t dim, double sign, double least, float *out) {
    double highest = -INFINITY, sum = 0;
    for (size_t c = 0; c < dim; c++) highest = fmax(highest, sign * x[c]);
    for (size_t c = 0; c < dim; c++) sum += exp(sign * x[c] - highest);
    for (size_t c = 0; c < dim; c++) {
        const double value = exp(sign * x[c] - highest) / sum;
        out[c] = (float)(value < least ? least : value);
    }
}

static void exponential(const ck_row_map_args *args, const ck_row *row, double highest) {
    double norm = 0;
    for (size_t c = 0; row->y && c < args->y_dim; c++) norm += (double)row->y[c] * row->y[c];
    for (size_t c = 0; c < args->dim; c++)
        row->out[c] = (float)(exp((double)args->scale * row->x[c] - args->norm_scale * norm - highest) + args->offset);
}

static double silu(double x) { return x / (1 + exp(-x)); }

static void unit_silu(const float *x, size_t dim, float *out) {
    double norm = 0;
    for (size_t c = 0; c < dim; c++) norm += (silu(x[c]) + 0.5) * (silu(x[c]) + 0.5);
    for (size_t c = 0; c < dim; c++) out[c] = (float)((silu(x[c]) + 0.5) / sqrt(norm));
}

static double focused_input(const ck_row_map_args *args, const ck_row *row, size_t c) {
    const double x = row->x[c] + (row->addend ? (double)row->addend[c] : 0), positive = x < 0 ? 0 : x;
    return (positive + 1e-6) * (args->weight ? args->weight[c] : 1);
}

static void focused(const ck_row_map_args *args, const ck_row *row) {
    double norm = 0, cube_norm = 0;
    for (size_t c = 0; c < args->dim; c++) {
        const double y = focused_input(args, row, c);
        norm += y * y;
        cube_norm += y * y * y * y * y * y;
    }
    for (size_t c = 0; c < args->dim; c++) {
        const double y = focused_input(args, row, c);
        row->out[c] = (float)(y * y * y * sqrt(norm / cube_norm));
    }
}

static void rms_norm(const ck_row_map_args *args, const ck_row *row) {
    double sum = 0;
    for (size_t c = 0; c < args->dim; c++) sum += (double)row->x[c] * row->x[c];
    const double root = sqrt(sum / (double)args->dim + args->inner_epsilon) + args->outer_epsilon;
    for (size_t c = 0; c < args->dim; c++) {
        const double weight = args->weight ? args->weight[c] : 1, gate = row->gate ? silu(row->gate[c]) : 1;
        row->out[c] = (float)(row->x[c] / root * weight * gate);
    }
}

static void map(const ck_row_map_args *args, const ck_row *row) {
    const size_t dim = args->dim;
    switch (args->function) {
    case CK_ROW_SOFTMAX: softmax(row->x, dim, 1, 0, row->out); break;
    case CK_ROW_SOFTMAX_PAIR:
        softmax(row->x, dim, 1, 1e-12, row->out);
        softmax(row->x, dim, -1, 1e-12, row->out + dim);
        break;
    case CK_ROW_EXP: exponential(args, row, highest_scaled(row->x, dim, args->scale)); break;
    case CK_ROW_EXP_HEAD: exponential(args, row, row->highest); break;
    case CK_ROW_RELU:
        for (size_t c = 0; c < dim; c++) row->out[c] = (row->x[c] < 0 ? 0 : row->x[c]) + args->offset;
        break;
    case CK_ROW_GELU:
        for (size_t c = 0; c < dim; c++) {
            const double gelu = row->x[c] * erfc(-row->x[c] / sqrt(2)) / 2;
            row->out[c] = (float)(gelu * (args->weight ? args->weight[c] : 1) + (args->shift ? args->shift[c] : 0));
        }
        break;
    case CK_ROW_UNIT_SILU: unit_silu(row->x, dim, row->out); break;
    case CK_ROW_FOCUSED: focused(args, row); break;
    default: rms_norm(args, row); break;
    }
}

const ck_row_functions ck_row_map_f32_ref = {map, highest_scaled};
