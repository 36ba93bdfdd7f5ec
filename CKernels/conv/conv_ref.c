/* The specification of the dense convolution: plain loops over the taps that lie inside the image, in double. */
#include "gemm/gemm_ref.h"

#pragma STDC FP_CONTRACT OFF

void ck_conv_region_ref(const ck_conv_args *args, const ck_blocking *blocking, ck_region region, float *scratch) {
    (void)blocking;
    (void)scratch;
    const size_t out_height = ck_conv_output(args->height, args->kernel_height, args->stride, args->padding);
    const size_t out_width = ck_conv_output(args->width, args->kernel_width, args->stride, args->padding);
    const size_t k = args->kernel_height * args->kernel_width * args->channels;
    for (size_t pixel = region.row; pixel < region.row + region.rows; pixel++) {
        const size_t image = pixel / (out_height * out_width);
        const size_t out_y = pixel / out_width % out_height, out_x = pixel % out_width;
        for (size_t column = region.column; column < region.column + region.columns; column++) {
            const float *w = args->packed + ck_packed_index(k, column);
            double sum = 0;
            for (size_t ky = 0; ky < args->kernel_height; ky++) {
                for (size_t kx = 0; kx < args->kernel_width; kx++) {
                    const size_t y = out_y * args->stride + ky, x = out_x * args->stride + kx;
                    const int inside = y >= args->padding && y - args->padding < args->height && x >= args->padding &&
                                       x - args->padding < args->width;
                    for (size_t c = 0; c < args->channels; c++, w += CK_PANEL) {
                        if (!inside) continue;
                        const size_t source = (image * args->height + y - args->padding) * args->width + x - args->padding;
                        sum += (double)args->x[source * args->x_stride + c] * *w;
                    }
                }
            }
            args->out[pixel * args->out_stride + column] = ck_finish_ref(&args->epilogue, sum, pixel, column);
        }
    }
}
