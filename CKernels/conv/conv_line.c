#include "conv/conv_line.h"

#include <string.h>

/* Pixels of the image itself, normalised and activated. */
static void activate(const ck_conv_args *args, const ck_product_kernels *kernels, size_t image, const float *from,
                     size_t width, float *to) {
    enum { CHUNK = 256 };
    const float *const factor = args->factor + image * args->channels, *const offset = args->offset + image * args->channels;
    if (!kernels->round) {
        kernels->activate(width, args->channels, from, args->x_stride, factor, offset, to, args->channels);
        return;
    }
    float values[CHUNK];
    for (size_t x = 0; x < width; x++, from += args->x_stride, to += ck_words(kernels, args->channels)) {
        for (size_t c = 0; c < args->channels; c += CHUNK) {
            const size_t count = ck_smaller(CHUNK, args->channels - c);
            kernels->activate(1, count, from + c, 0, factor + c, offset + c, values, 0);
            kernels->round(1, count, values, 0, to + ck_words(kernels, c), 0);
        }
    }
}

void ck_conv_line(const ck_conv_args *args, const ck_product_kernels *kernels, size_t image, size_t y, size_t x,
                  size_t width, float *to) {
    const size_t channels = args->channels, words = ck_words(kernels, channels);
    const size_t above = args->padding.top, before = args->padding.left;
    if (y < above || y - above >= args->height) {
        memset(to, 0, width * words * sizeof(float));
        return;
    }
    const size_t left = x < before ? ck_smaller(before - x, width) : 0;
    const size_t first = ck_smaller(x + left - before, args->width);
    const size_t inside = left == width ? 0 : ck_smaller(width - left, args->width - first);
    const float *const from = args->x + ((image * args->height + y - above) * args->width + first) * args->x_stride;
    const int contiguous = args->x_stride == channels;
    memset(to, 0, left * words * sizeof(float));
    to += left * words;
    if (inside == 0) {
        // Nothing of the row is read.
    } else if (args->factor) {
        activate(args, kernels, image, from, inside, to);
    } else if (kernels->round && contiguous && channels % 2 == 0) {
        kernels->round(1, inside * channels, from, 0, to, 0);
    } else if (kernels->round) {
        kernels->round(inside, channels, from, args->x_stride, to, words);
    } else if (contiguous) {
        memcpy(to, from, inside * channels * sizeof(float));
    } else {
        for (size_t i = 0; i < inside; i++)
            memcpy(to + i * channels, from + i * args->x_stride, channels * sizeof(float));
    }
    memset(to + inside * words, 0, (width - left - inside) * words * sizeof(float));
}
