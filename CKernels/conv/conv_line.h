/** How convolutions read their input. Internal. */
#ifndef CONV_LINE_H
#define CONV_LINE_H

#include "ck_conv.h"
#include "gemm/gemm_kernels.h"

/**
 * Writes the pixels `x ..< x + width` of row `y` of an image, both counted with the padding, as the product reads them:
 * normalised and activated where asked for, rounded where weights are bf16, zeros outside the image.
 */
void ck_conv_line(const ck_conv_args *args, const ck_product_kernels *kernels, size_t image, size_t y, size_t x,
                  size_t width, float *to);

#endif
