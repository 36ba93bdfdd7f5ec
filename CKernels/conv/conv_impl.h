/*
 * Packs output pixels as rows of a matrix product, k running over (ky, kx, channel); the product itself is
 * gemm/gemm_impl.h's.
 */
#include "gemm/gemm_blocks.h"

/* Writes a packed row piece by piece, going on to the next k-block where one is full. */
typedef struct {
    float *to;
    size_t filled, k_block, next_block;
} row_writer;

/* Appends `count` floats, zeros where `from` is NULL. May write up to VL - 1 floats beyond them. */
CK_INLINE void append(row_writer *w, const float *from, size_t count) {
    while (count > 0) {
        if (w->filled == w->k_block) {
            w->to += w->next_block;
            w->filled = 0;
        }
        const size_t room = w->k_block - w->filled, part = count < room ? count : room;
        float *const to = w->to + w->filled;
        size_t i = 0;
        if (from) {
            for (; i + VL <= part; i += VL) v_store(to + i, v_load(from + i));
            if (i < part) v_store(to + i, v_load_n(from + i, part - i));
            from += part;
        } else {
            for (; i < part; i += VL) v_store(to + i, v_zero());
        }
        w->filled += part;
        count -= part;
    }
}

/* One output pixel; `y` and `x` are its first tap's position plus the padding. */
static void pack_pixel(const ck_conv_args *args, const float *image, size_t y, size_t x, row_writer w) {
    const size_t kernel = args->kernel_width, channels = args->channels, padding = args->padding;
    size_t left = x < padding ? padding - x : 0; /* taps beyond the left border, then those before the right one */
    if (left > kernel) left = kernel;
    size_t right = padding + args->width > x ? padding + args->width - x : 0;
    if (right > kernel) right = kernel;
    for (size_t ky = 0; ky < args->kernel_height; ky++) {
        if (y + ky < padding || y + ky - padding >= args->height || left >= right) {
            append(&w, NULL, kernel * channels);
            continue;
        }
        const float *const from = image + ((y + ky - padding) * args->width + x + left - padding) * args->x_stride;
        append(&w, NULL, left * channels);
        if (args->x_stride == channels) {
            append(&w, from, (right - left) * channels);
        } else {
            for (size_t kx = 0; kx < right - left; kx++) append(&w, from + kx * args->x_stride, channels);
        }
        append(&w, NULL, (kernel - right) * channels);
    }
}

void CK_NAME(ck_conv_rows)(const void *arguments, const ck_blocking *blocking, size_t row, size_t rows, float *to) {
    const ck_conv_args *const args = arguments;
    const size_t out_height = ck_conv_output(args->height, args->kernel_height, args->stride, args->padding);
    const size_t out_width = ck_conv_output(args->width, args->kernel_width, args->stride, args->padding);
    const size_t tile_floats = blocking->tile_rows * CK_ROW_STRIDE;
    size_t image = row / (out_height * out_width), y = row / out_width % out_height, x = row % out_width;
    for (size_t r = 0; r < rows; r++) {
        float *const packed = to + r / blocking->tile_rows * blocking->k_blocks * tile_floats +
                              r % blocking->tile_rows * CK_ROW_STRIDE;
        pack_pixel(args, args->x + image * args->height * args->width * args->x_stride, y * args->stride,
                   x * args->stride, (row_writer){packed, 0, blocking->k_block, tile_floats});
        if (++x == out_width) {
            x = 0;
            if (++y == out_height) y = 0, image++;
        }
    }
}
