/* Depthwise convolution of whole rows (order of summation: dwconv/README.md). */
#include "dwconv/run_impl.h"

CK_INLINE void dwconv_run_channels(const ck_dwconv_args *args, const dwconv_run *run, const size_t kernel,
                                   const int inside) {
    size_t c = 0;
    for (; c + VL <= args->channels; c += VL) dwconv_vector(args, run, kernel, inside, c, VL);
    if (c < args->channels) dwconv_vector(args, run, kernel, inside, c, args->channels - c);
}

/* The end of the window that begins at `start`, on an axis of `size`. */
CK_INLINE size_t dwconv_window_end(size_t start, size_t window, size_t size) {
    return size - start < window ? size : start + window;
}

CK_INLINE void dwconv_row(const ck_dwconv_args *args, size_t b, size_t y, const size_t kernel) {
    const size_t radius = kernel / 2, width = args->width, height = args->height;
    const size_t top = y - y % args->window_height, bottom = dwconv_window_end(top, args->window_height, height);
    dwconv_run run = {.above = y - top < radius ? radius - (y - top) : 0,
                      .below = y + radius >= bottom ? bottom + radius - y : kernel,
                      .far = height * width >= DWCONV_FAR / args->channels};
    for (size_t start = 0, end; start < width; start = end) {
        end = dwconv_window_end(start, args->window_width, width);
        for (size_t x = start; x < end; x += DWCONV_PIXELS) {
            const size_t pixel = (b * height + y) * width + x;
            run.x = args->x + pixel * args->x_stride;
            run.out = args->out + pixel * args->out_stride;
            run.pixels = end - x < DWCONV_PIXELS ? end - x : DWCONV_PIXELS;
            run.left = x - start < radius ? radius - (x - start) : 0;
            run.right = end + radius - x;
            if (run.left == 0 && run.right >= DWCONV_PIXELS + kernel - 1) {
                dwconv_run_channels(args, &run, kernel, 1);
            } else {
                dwconv_run_channels(args, &run, kernel, 0);
            }
        }
    }
}

static void dwconv_row_3(const ck_dwconv_args *args, size_t b, size_t y) { dwconv_row(args, b, y, 3); }
static void dwconv_row_5(const ck_dwconv_args *args, size_t b, size_t y) { dwconv_row(args, b, y, 5); }
static void dwconv_row_7(const ck_dwconv_args *args, size_t b, size_t y) { dwconv_row(args, b, y, 7); }

void CK_NAME(ck_dwconv_rows)(const ck_dwconv_args *args, size_t b, size_t y, size_t rows) {
    for (; rows > 0; rows--, y++) {
        switch (args->kernel) {
        case 3: dwconv_row_3(args, b, y); break;
        case 5: dwconv_row_5(args, b, y); break;
        default: dwconv_row_7(args, b, y); break;
        }
    }
}
