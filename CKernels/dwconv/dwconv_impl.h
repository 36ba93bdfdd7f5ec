/*
 * Depthwise convolution (order of summation: dwconv/README.md): DWCONV_PIXELS outputs of a row at a time, so that a
 * loaded input serves up to `kernel` outputs and a loaded weight all of them.
 */
#include "dwconv/dwconv.h"

enum { DWCONV_PIXELS = 7 }; /* divides the widths of the models at 224: 56, 28, 14, 7 */
enum { DWCONV_FAR = 192 * 1024 }; /* floats of a map that does not stay in the second-level cache */

/* A run of outputs in one row. */
typedef struct {
    const float *x;  /* input at the run's first output */
    float *out;      /* its first output */
    size_t pixels;   /* at most DWCONV_PIXELS */
    size_t above;    /* first kernel row inside the window */
    size_t below;    /* one past the last */
    size_t left;     /* input columns from here, counted from `kernel / 2` before the first output, ... */
    size_t right;    /* ... up to here are inside the window */
    int far;         /* the map comes from behind the second-level cache */
} dwconv_run;

CK_INLINE vf dwconv_load(const float *p, size_t n) { return n == VL ? v_load(p) : v_load_n(p, n); }

/* `n` channels from c on. A run `inside` has all of its pixels and all of its input columns. */
CK_INLINE void dwconv_vector(const ck_dwconv_args *args, const dwconv_run *run, const size_t kernel, const int inside,
                             size_t c, size_t n) {
    const size_t radius = kernel / 2, stride = args->x_stride, pixels = inside ? DWCONV_PIXELS : run->pixels;
    const vf bias = args->bias ? dwconv_load(args->bias + c, n) : v_zero();
    const float *const x = run->x + c;
    vf sum[DWCONV_PIXELS];
    if (inside && run->far) { /* the input row that comes next, and the outputs after these */
        const float *const next = x + (radius + 1) * args->width * stride;
#pragma clang loop unroll(full)
        for (size_t i = 0; i < DWCONV_PIXELS; i++) {
            __builtin_prefetch(next + i * stride, 0, 2);
            __builtin_prefetch(run->out + c + i * args->out_stride + 2 * VL, 1, 3);
        }
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < DWCONV_PIXELS; i++) {
        sum[i] = bias;
        if (args->add_input && (inside || i < pixels)) sum[i] = v_add(sum[i], dwconv_load(x + i * stride, n));
    }
    for (size_t ky = run->above; ky < run->below; ky++) {
        const float *const row = x + ((ptrdiff_t)ky - (ptrdiff_t)radius) * (ptrdiff_t)(args->width * stride) -
                                 (ptrdiff_t)(radius * stride);
        const float *const weight = args->weight + ky * kernel * args->channels + c;
        vf w[7];
#pragma clang loop unroll(full)
        for (size_t kx = 0; kx < kernel; kx++) w[kx] = dwconv_load(weight + kx * args->channels, n);
#pragma clang loop unroll(full)
        for (size_t column = 0; column < DWCONV_PIXELS + kernel - 1; column++) {
            if (!inside && (column < run->left || column >= run->right)) continue;
            const vf value = dwconv_load(row + (ptrdiff_t)(column * stride), n);
#pragma clang loop unroll(full)
            for (size_t i = 0; i < DWCONV_PIXELS; i++)
                if (column >= i && column - i < kernel) sum[i] = v_fma(w[column - i], value, sum[i]);
        }
    }
    float *const out = run->out + c;
#pragma clang loop unroll(full)
    for (size_t i = 0; i < DWCONV_PIXELS; i++) {
        if (!inside && i >= pixels) continue;
        if (n == VL) {
            v_store(out + i * args->out_stride, sum[i]);
        } else {
            v_store_n(out + i * args->out_stride, sum[i], n);
        }
    }
}

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
