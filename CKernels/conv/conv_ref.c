/* The specification of the dense convolution: plain loops over the taps that lie inside the image, in double. */
#include "gemm/gemm_ref.h"

#include <math.h>

#pragma STDC FP_CONTRACT OFF

static double activated(const ck_conv_args *args, size_t image, size_t channel, double x) {
    if (args->factor == NULL) return x;
    const size_t at = image * args->channels + channel;
    const double v = x * args->factor[at] + args->offset[at];
    return v / (1 + exp(-v));
}

void ck_conv_pixel_ref(const ck_conv_args *args, size_t pixel) {
    const ck_padding *const padding = &args->padding;
    const size_t out_height =
        ck_conv_output(args->height, args->kernel_height, args->stride, padding->top + padding->bottom);
    const size_t out_width = ck_conv_output(args->width, args->kernel_width, args->stride, padding->left + padding->right);
    const size_t line_stride = args->out_line_stride ? args->out_line_stride : out_width * args->out_stride;
    const size_t channels = args->packed ? args->channels : (args->channels + 1) / 2 * 2; /* of a tap */
    const size_t k = args->kernel_height * args->kernel_width * channels;
    const size_t image = pixel / (out_height * out_width);
    const size_t out_y = pixel / out_width % out_height, out_x = pixel % out_width;
    for (size_t column = 0; column < args->out_channels; column++) {
        const ck_column_ref w = ck_column_of(args->packed, args->packed_bf16, k, column);
        double sum = 0;
        for (size_t ky = 0; ky < args->kernel_height; ky++) {
            for (size_t kx = 0; kx < args->kernel_width; kx++) {
                const size_t y = out_y * args->stride + ky, x = out_x * args->stride + kx;
                if (y < padding->top || y - padding->top >= args->height) continue;
                if (x < padding->left || x - padding->left >= args->width) continue;
                const size_t source = (image * args->height + y - padding->top) * args->width + x - padding->left;
                const size_t tap = (ky * args->kernel_width + kx) * channels;
                for (size_t c = 0; c < args->channels; c++)
                    sum += ck_input_ref(w, activated(args, image, c, args->x[source * args->x_stride + c])) *
                           ck_weight_ref(w, tap + c);
            }
        }
        float *const line = args->out + pixel / out_width * line_stride;
        line[out_x * args->out_stride + column] = ck_finish_ref(&args->epilogue, sum, pixel, column);
    }
}
