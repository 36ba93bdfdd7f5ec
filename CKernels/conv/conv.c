#include "conv/conv_line.h"
#include "conv/conv_ref.h"
#include "winograd/winograd.h"

#include <stdint.h>

size_t ck_conv_output(size_t size, size_t kernel, size_t stride, size_t padding) {
    if (kernel == 0 || stride == 0 || size > SIZE_MAX / 2 || padding > SIZE_MAX / 2 - size) return 0;
    if (size + padding < kernel) return 0;
    return (size + padding - kernel) / stride + 1;
}

/* How a convolution is cut into tasks: a function of the sizes alone. */
typedef struct {
    size_t out_height, out_width, k;
    size_t pixel_words; /* of an input pixel */
    size_t line_words;  /* of an input row with its padding */
    size_t lines;       /* output rows of one task */
    size_t columns;     /* output channels of one task */
    size_t band;        /* output rows whose input is copied at a time */
    int copied;         /* input rows are copied into scratch, rounded where weights are bf16, with zeros around them */
    int shared;         /* ... a band of them before the product starts, because its tasks divide the columns */
} cut;

/* a * b, or a value above every bound when that is too large. */
static size_t product(size_t a, size_t b) { return b && a > CK_SIZE_LIMIT / b ? (size_t)CK_SIZE_LIMIT + 1 : a * b; }

/*
 * Weights that stay near serve bands of output rows, each copied with its borders into the second-level cache. Larger
 * weights are divided by columns, so that each is read once per image, or per band of an image that is larger than
 * caches; wide bands against few columns are divided by rows too.
 */
static cut cut_for(const ck_conv_args *args, const ck_product_kernels *kernels, size_t out_height, size_t out_width,
                   size_t k) {
    enum { NEAR_INPUT = 64 * 1024, SHARED_INPUT = 4 * 1024 * 1024, TASK_PIXELS = 512 };
    cut c = {.out_height = out_height, .out_width = out_width, .k = k, .lines = out_height};
    c.pixel_words = ck_words(kernels, args->channels);
    c.line_words = (args->padding.left + args->width + args->padding.right) * c.pixel_words;
    c.columns = ck_divide_up(args->out_channels, CK_PANEL) * CK_PANEL;
    if (args->out_channels <= CK_NEAR_WEIGHTS / k) {
        const size_t near = ck_larger(1, NEAR_INPUT / (args->stride * c.line_words));
        c.lines = ck_smaller(near, ck_divide_up(args->batch * out_height, CK_TASKS));
        c.lines = ck_smaller(c.lines, out_height);
    } else {
        c.columns = ck_divide_up(ck_divide_up(args->out_channels, CK_PANEL), CK_TASKS) * CK_PANEL;
    }
    const ck_padding *const p = &args->padding;
    c.copied = p->top > 0 || p->left > 0 || p->bottom > 0 || p->right > 0 || kernels->round || args->factor ||
               args->x_stride != args->channels || !ck_stride_is_kind(args->stride * args->channels);
    c.shared = c.copied && c.columns < args->out_channels;
    c.band = c.lines;
    if (c.shared) {
        const size_t fitting = SHARED_INPUT / c.line_words, needed = args->kernel_height - 1;
        c.band = ck_smaller(out_height, fitting > needed ? ck_larger(1, (fitting - needed) / args->stride) : 1);
        const size_t column_tasks = ck_divide_up(args->out_channels, c.columns);
        c.lines = ck_larger(ck_divide_up(c.band * column_tasks, CK_TASKS), ck_divide_up(TASK_PIXELS, out_width));
        c.lines = ck_smaller(c.lines, c.band);
    }
    return c;
}

/* Input rows under `lines` output rows. */
static size_t input_lines(const ck_conv_args *args, size_t lines) {
    return (lines - 1) * args->stride + args->kernel_height;
}

static size_t copied_floats(const ck_conv_args *args, const cut *c) {
    return ck_divide_up(input_lines(args, c->band) * c->line_words, 16) * 16;
}

static int is_winograd(const ck_conv_args *args) { return args->winograd || args->packed_winograd; }

static ck_status check_sizes(const ck_context *context, const ck_conv_args *args, cut *result) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (!ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    const ck_padding *const p = &args->padding;
    if (p->top > CK_SIZE_LIMIT || p->left > CK_SIZE_LIMIT || p->bottom > CK_SIZE_LIMIT || p->right > CK_SIZE_LIMIT)
        return CK_BAD_SHAPE;
    const size_t height = ck_conv_output(args->height, args->kernel_height, args->stride, p->top + p->bottom);
    const size_t width = ck_conv_output(args->width, args->kernel_width, args->stride, p->left + p->right);
    const size_t rows = product(args->batch, product(height, width));
    const size_t k = product(args->channels, product(args->kernel_height, args->kernel_width));
    if (args->height == 0 || args->width == 0 || args->out_channels == 0) return CK_BAD_SHAPE;
    if (rows == 0 || k == 0) return CK_BAD_SHAPE;
    if (rows > CK_SIZE_LIMIT || k > CK_SIZE_LIMIT || args->out_channels > CK_SIZE_LIMIT ||
        product(args->batch, product(args->height, args->width)) > CK_SIZE_LIMIT ||
        product(p->top + args->height + p->bottom, p->left + args->width + p->right) > CK_SIZE_LIMIT)
        return CK_BAD_SHAPE;
    if (is_winograd(args) && (args->kernel_height != 3 || args->kernel_width != 3 || args->stride != 1))
        return CK_BAD_SHAPE;
    *result = cut_for(args, ck_product_kernels_for(context->isa, args->packed_bf16 != NULL), height, width, k);
    return CK_OK;
}

size_t ck_conv_scratch(const ck_context *context, const ck_conv_args *args) {
    cut c;
    if (check_sizes(context, args, &c) != CK_OK || context->isa == CK_ISA_REF) return 0;
    if (is_winograd(args)) return ck_winograd_scratch(context, args);
    const size_t copies = !c.copied ? 0 : c.shared ? 1 : ck_pool_threads(context->pool);
    return copies * copied_floats(args, &c) * sizeof(float);
}

typedef struct {
    const ck_conv_args *args;
    ck_product product;
    const ck_product_kernels *kernels;
    cut cut;
    size_t image, line, lines; /* the output rows whose input is shared */
    float *scratch;
} job;

/* Input row `y` of an image, counted with the padding, and the zeros on its sides. */
static void copy_line(const job *own, size_t image, size_t y, float *to) {
    const size_t width = own->cut.line_words / own->cut.pixel_words;
    ck_conv_line(own->args, own->kernels, image, y, 0, width, to);
}

static void copy_shared_line(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    copy_line(own, own->image, own->line * own->args->stride + task, own->scratch + task * own->cut.line_words);
}

/* Multiplies output rows `line ..< line + lines` of an image, whose input rows begin at `from`. */
static void multiply(const job *own, const float *from, size_t image, size_t line, size_t lines, size_t column) {
    const ck_conv_args *const args = own->args;
    const cut *const c = &own->cut;
    const size_t first = image * c->out_height + line, dense = c->out_width * args->out_stride;
    const size_t gap = args->out_line_stride ? args->out_line_stride - dense : 0;
    ck_product shifted = own->product;
    shifted.out += first * gap;
    const ck_rows source = {.from = from,
                            .lines = lines,
                            .line_stride = args->stride * c->line_words,
                            .out_gap = gap,
                            .line_rows = c->out_width,
                            .row_stride = args->stride * c->pixel_words,
                            .runs = args->kernel_height,
                            .run_stride = c->line_words,
                            .run = args->kernel_width * c->pixel_words};
    own->kernels->multiply(&shifted, &source, first * c->out_width, column,
                           ck_smaller(c->columns, args->out_channels - column));
}

static void multiply_shared(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const cut *const c = &own->cut;
    const size_t parts = ck_divide_up(own->lines, c->lines), line = task % parts * c->lines;
    multiply(own, own->scratch + line * own->args->stride * c->line_words, own->image, own->line + line,
             ck_smaller(c->lines, own->lines - line), task / parts * c->columns);
}

static void multiply_band(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const ck_conv_args *const args = own->args;
    const cut *const c = &own->cut;
    const size_t column_tasks = ck_divide_up(args->out_channels, c->columns);
    const size_t bands = ck_divide_up(c->out_height, c->lines), band = task / column_tasks;
    const size_t image = band / bands, line = band % bands * c->lines;
    const size_t lines = ck_smaller(c->lines, c->out_height - line), first = line * args->stride;
    const float *from = args->x + (image * args->height + first) * args->width * args->x_stride;
    if (c->copied) {
        float *const to = own->scratch + worker * copied_floats(args, c);
        for (size_t y = 0; y < input_lines(args, lines); y++)
            copy_line(own, image, first + y, to + y * c->line_words);
        from = to;
    }
    multiply(own, from, image, line, lines, task % column_tasks * c->columns);
}

static void specified_pixel(void *arguments, size_t task, size_t worker) {
    (void)worker;
    ck_conv_pixel_ref(arguments, task);
}

static void specified_tile(void *arguments, size_t task, size_t worker) {
    (void)worker;
    ck_winograd_tile_ref(arguments, task);
}

ck_status ck_conv_f32(const ck_context *context, const ck_conv_args *args, void *scratch) {
    job own = {.args = args, .scratch = scratch};
    ck_status status = check_sizes(context, args, &own.cut);
    if (status == CK_OK) status = ck_epilogue_check(&args->epilogue, args->out_channels);
    if (status != CK_OK) return status;
    if (args->x == NULL || args->out == NULL) return CK_BAD_ARGUMENT;
    if (!args->packed + !args->packed_bf16 + !args->packed_winograd != 2) return CK_BAD_ARGUMENT;
    if (args->winograd && !args->packed) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->channels || args->out_stride < args->out_channels) return CK_BAD_ARGUMENT;
    if ((args->factor == NULL) != (args->offset == NULL)) return CK_BAD_ARGUMENT;
    const cut *const c = &own.cut;
    if (args->out_line_stride && args->epilogue.residual) return CK_BAD_ARGUMENT;
    if (args->out_line_stride && args->out_line_stride / c->out_width < args->out_stride) return CK_BAD_ARGUMENT;
    if (context->isa == CK_ISA_REF) {
        if (args->packed_winograd)
            ck_pool_run(context->pool, ck_winograd_tile_count(args), specified_tile, (void *)args);
        else
            ck_pool_run(context->pool, args->batch * c->out_height * c->out_width, specified_pixel, (void *)args);
        return CK_OK;
    }
    if ((c->copied || is_winograd(args)) && scratch == NULL) return CK_BAD_ARGUMENT;
    if (is_winograd(args)) {
        ck_winograd_f32(context, args, scratch);
        return CK_OK;
    }
    const float *const packed = args->packed_bf16 ? (const float *)args->packed_bf16 : args->packed;
    own.product = (ck_product){args->out_channels, packed, args->out, args->out_stride, args->epilogue};
    own.kernels = ck_product_kernels_for(context->isa, args->packed_bf16 != NULL);
    const size_t column_tasks = ck_divide_up(args->out_channels, c->columns);
    if (c->shared) {
        for (own.image = 0; own.image < args->batch; own.image++) {
            for (own.line = 0; own.line < c->out_height; own.line += c->band) {
                own.lines = ck_smaller(c->band, c->out_height - own.line);
                ck_pool_run(context->pool, input_lines(args, own.lines), copy_shared_line, &own);
                ck_pool_run(context->pool, column_tasks * ck_divide_up(own.lines, c->lines), multiply_shared, &own);
            }
        }
    } else {
        const size_t bands = ck_divide_up(c->out_height, c->lines);
        ck_pool_run(context->pool, args->batch * bands * column_tasks, multiply_band, &own);
    }
    return CK_OK;
}
