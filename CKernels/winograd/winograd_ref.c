/* The specification: plain loops over the transforms as the matrices have them, in double. */
#include "conv/conv_ref.h"
#include "winograd/winograd.h"

#pragma STDC FP_CONTRACT OFF

static const double input_rows[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
static const double output_rows[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};

/* B^T d B of one channel. */
static void transform_input(const ck_conv_args *args, size_t image, size_t y, size_t x, size_t channel,
                            double to[4][4]) {
    double d[4][4];
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) d[i][j] = ck_conv_input_ref(args, image, y + i, x + j, channel);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            to[i][j] = 0;
            for (size_t p = 0; p < CK_WINOGRAD_POSITIONS; p++)
                to[i][j] += input_rows[i][p / 4] * d[p / 4][p % 4] * input_rows[j][p % 4];
        }
    }
}

void ck_winograd_tile_ref(const ck_conv_args *args, size_t tile) {
    const ck_padding *const padding = &args->padding;
    const size_t out_height = padding->top + args->height + padding->bottom - 2;
    const size_t out_width = padding->left + args->width + padding->right - 2;
    const size_t rows = (out_height + 1) / 2, columns = (out_width + 1) / 2;
    const size_t image = tile / (rows * columns), y = tile / columns % rows * 2, x = tile % columns * 2;
    const size_t count = ck_gemm_packed_count(args->out_channels, args->channels);
    for (size_t first = 0; first < args->out_channels; first += CK_PANEL) {
        double sums[CK_PANEL][4][4] = {{{0}}};
        const size_t end = first + CK_PANEL < args->out_channels ? first + CK_PANEL : args->out_channels;
        for (size_t c = 0; c < args->channels; c++) {
            double input[4][4];
            transform_input(args, image, y, x, c, input);
            for (size_t column = first; column < end; column++) {
                for (size_t p = 0; p < CK_WINOGRAD_POSITIONS; p++) {
                    const float *const packed = args->packed_winograd + p * count;
                    const ck_column_ref w = ck_column_of(packed, NULL, args->channels, column);
                    sums[column - first][p / 4][p % 4] += input[p / 4][p % 4] * ck_weight_ref(w, c);
                }
            }
        }
        for (size_t column = first; column < end; column++) {
            for (size_t i = 0; i < 2 && y + i < out_height; i++) {
                for (size_t j = 0; j < 2 && x + j < out_width; j++) {
                    double sum = 0;
                    for (size_t p = 0; p < CK_WINOGRAD_POSITIONS; p++)
                        sum += output_rows[i][p / 4] * sums[column - first][p / 4][p % 4] * output_rows[j][p % 4];
                    ck_conv_finish_ref(args, sum, image, y + i, x + j, column);
                }
            }
        }
    }
}
