/* The specification of the depthwise convolution: the taps inside the image and the window, summed in double. */
#include "dwconv/dwconv.h"

#pragma STDC FP_CONTRACT OFF

void ck_dwconv_rows_ref(const ck_dwconv_args *args, size_t b, size_t y, size_t rows) {
    const size_t k = args->kernel, radius = k / 2;
    for (size_t out_y = y; out_y < y + rows; out_y++) {
        for (size_t out_x = 0; out_x < args->width; out_x++) {
            const size_t pixel = (b * args->height + out_y) * args->width + out_x;
            for (size_t c = 0; c < args->channels; c++) {
                double sum = args->bias ? args->bias[c] : 0;
                if (args->add_input) sum += args->x[pixel * args->x_stride + c];
                for (size_t ky = 0; ky < k; ky++) {
                    for (size_t kx = 0; kx < k; kx++) {
                        const size_t in_y = out_y + ky, in_x = out_x + kx; /* plus radius */
                        if (in_y < radius || in_y - radius >= args->height) continue;
                        if (in_x < radius || in_x - radius >= args->width) continue;
                        if ((in_y - radius) / args->window_height != out_y / args->window_height) continue;
                        if ((in_x - radius) / args->window_width != out_x / args->window_width) continue;
                        const size_t source = (b * args->height + in_y - radius) * args->width + in_x - radius;
                        sum += (double)args->weight[(ky * k + kx) * args->channels + c] *
                               args->x[source * args->x_stride + c];
                    }
                }
                args->out[pixel * args->out_stride + c] = (float)sum;
            }
        }
    }
}
