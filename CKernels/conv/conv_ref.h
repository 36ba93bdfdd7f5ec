/** What the specifications of the convolutions share. */
#ifndef CONV_REF_H
#define CONV_REF_H

#include "gemm/gemm_ref.h"

/** A channel of pixel (y, x) of an image, both counted with the padding, as it is convolved. */
double ck_conv_input_ref(const ck_conv_args *args, size_t image, size_t y, size_t x, size_t channel);

/** Writes the channel `column` of output pixel (y, x) of an image, the sum of whose products is known. */
void ck_conv_finish_ref(const ck_conv_args *args, double sum, size_t image, size_t y, size_t x, size_t column);

/** One output pixel of a convolution, counted through the batch. */
void ck_conv_pixel_ref(const ck_conv_args *args, size_t pixel);

#endif
