/* The specification of the dense convolution: plain loops over the taps, in double. */
#include "conv/conv_ref.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

static size_t out_height(const ck_conv_args *args) {
    return ck_conv_output(args->height, args->kernel_height, args->stride, args->padding.top + args->padding.bottom);
}

static size_t out_width(const ck_conv_args *args) {
    return ck_conv_output(args->width, args->kernel_width, args->stride, args->padding.left + args->padding.right);
}

double ck_conv_input_ref(const ck_conv_args *args, size_t image, size_t y, size_t x, size_t channel) {
    const ck_padding *const padding = &args->padding;
    if (y < padding->top || y - padding->top >= args->height) return 0;
    if (x < padding->left || x - padding->left >= args->width) return 0;
    const size_t pixel = (image * args->height + y - padding->top) * args->width + x - padding->left;
    const double value = args->x[pixel * args->x_stride + channel];
    if (args->factor == NULL) return value;
    const size_t at = image * args->channels + channel;
    const double v = value * args->factor[at] + args->offset[at];
    return v / (1 + exp(-v));
}

void ck_conv_finish_ref(const ck_conv_args *args, double sum, size_t image, size_t y, size_t x, size_t column) {
    const size_t width = out_width(args), line = image * out_height(args) + y;
    const size_t line_stride = args->out_line_stride ? args->out_line_stride : width * args->out_stride;
    args->out[line * line_stride + x * args->out_stride + column] =
        ck_finish_ref(&args->epilogue, sum, line * width + x, column);
}

void ck_conv_pixel_ref(const ck_conv_args *args, size_t pixel) {
    const size_t height = out_height(args), width = out_width(args);
    const size_t channels = args->packed ? args->channels : (args->channels + 1) / 2 * 2; /* of a tap */
    const size_t k = args->kernel_height * args->kernel_width * channels;
    const size_t image = pixel / (height * width), y = pixel / width % height, x = pixel % width;
    for (size_t column = 0; column < args->out_channels; column++) {
        const ck_column_ref w = ck_column_of(args->packed, args->packed_bf16, k, column);
        double sum = 0;
        for (size_t ky = 0; ky < args->kernel_height; ky++) {
            for (size_t kx = 0; kx < args->kernel_width; kx++) {
                const size_t tap = (ky * args->kernel_width + kx) * channels;
                for (size_t c = 0; c < args->channels; c++) {
                    const double input =
                        ck_conv_input_ref(args, image, y * args->stride + ky, x * args->stride + kx, c);
                    sum += ck_input_ref(w, input) * ck_weight_ref(w, tap + c);
                }
            }
        }
        ck_conv_finish_ref(args, sum, image, y, x, column);
    }
}
