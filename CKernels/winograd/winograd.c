#include "winograd/winograd.h"

#include "conv/conv_line.h"
#include "gemm/gemm_kernels.h"

typedef struct {
    ck_winograd_weights *weights;
    ck_winograd_inputs *inputs;
    ck_winograd_outputs *outputs;
} transforms;

static const transforms transform_table[CK_ISA_COUNT] = {
    [CK_ISA_PORTABLE] = {ck_winograd_weights_portable, ck_winograd_inputs_portable, ck_winograd_outputs_portable},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {ck_winograd_weights_avx2, ck_winograd_inputs_avx2, ck_winograd_outputs_avx2},
    [CK_ISA_AVX512] = {ck_winograd_weights_avx512, ck_winograd_inputs_avx512, ck_winograd_outputs_avx512},
#endif
};

size_t ck_winograd_packed_count(size_t out_channels, size_t channels) {
    return CK_WINOGRAD_POSITIONS * ck_gemm_packed_count(out_channels, channels);
}

/* Panel by panel from [3][3][channels][CK_PANEL] to [channels][CK_PANEL] in every position. */
static void transform_panel(const transforms *own, const ck_conv_args *args, const float *packed, size_t panel,
                            float *to) {
    const size_t floats = args->channels * CK_PANEL;
    own->weights(packed + panel * 9 * floats, args->channels, to + panel * floats,
                 ck_gemm_packed_count(args->out_channels, args->channels));
}

void ck_winograd_pack(size_t out_channels, size_t channels, const float *packed, float *transformed) {
    const ck_conv_args args = {.channels = channels, .out_channels = out_channels};
    for (size_t panel = 0; panel < ck_divide_up(out_channels, CK_PANEL); panel++)
        transform_panel(&transform_table[CK_ISA_PORTABLE], &args, packed, panel, transformed);
}

/* How a convolution is cut into tasks. No output depends on it. */
typedef struct {
    size_t out_height, out_width;
    size_t tile_rows, tile_columns;      /* of an image */
    size_t images, rows, columns;        /* of a block: whole images, or a rectangle of one */
    size_t image_blocks, row_blocks, column_blocks;
    size_t slices, slice_columns;        /* of the output channels, one after the other */
    size_t slice_tasks;                  /* tasks that share the slices of a block */
    size_t input_stride, input_position; /* floats between transformed tiles, and between positions of a tile */
    size_t sum_stride, sum_position;
    size_t line_floats;
} cut;

/* Blocks nearly equal in size, each at most `most`. */
static size_t even_part(size_t count, size_t most) { return ck_divide_up(count, ck_divide_up(count, most)); }

/*
 * A block's transformed inputs and the sums of a slice of its output channels stay in the second-level cache, if that
 * leaves enough tiles to pay for the weights that stream past. Near squares share most of their borders.
 */
static cut cut_for(const ck_conv_args *args, size_t threads) {
    enum { NEAR_INPUTS = 96 * 1024, LEAST_TILES = 56, MOST_TILES = 112, SIDE = 9, SLICE = 256 };
    const ck_padding *const p = &args->padding;
    cut c = {.out_height = p->top + args->height + p->bottom - 2, .out_width = p->left + args->width + p->right - 2};
    c.tile_rows = ck_divide_up(c.out_height, 2);
    c.tile_columns = ck_divide_up(c.out_width, 2);
    const size_t fitting = NEAR_INPUTS / (CK_WINOGRAD_POSITIONS * args->channels);
    const size_t most = ck_smaller(ck_larger(fitting, LEAST_TILES), MOST_TILES);
    const size_t image_tiles = c.tile_rows * c.tile_columns;
    c.images = ck_smaller(ck_larger(1, most / image_tiles), args->batch);
    c.columns = even_part(c.tile_columns, ck_larger(SIDE, most / c.tile_rows));
    c.rows = even_part(c.tile_rows, ck_larger(1, most / c.columns));
    c.image_blocks = ck_divide_up(args->batch, c.images);
    c.row_blocks = ck_divide_up(c.tile_rows, c.rows);
    c.column_blocks = ck_divide_up(c.tile_columns, c.columns);
    c.slice_columns = ck_smaller(SLICE, ck_divide_up(args->out_channels, CK_PANEL) * CK_PANEL);
    c.slices = ck_divide_up(args->out_channels, c.slice_columns);
    c.slice_tasks = c.image_blocks * c.row_blocks * c.column_blocks < 2 * threads ? c.slices : 1;
    /* An odd number of cache lines apart, or the positions of a tile would share sets of the first-level cache. */
    const size_t tiles = c.images * c.rows * c.columns | 1;
    c.input_stride = ck_kind_stride(args->channels);
    c.input_position = tiles * c.input_stride;
    c.sum_stride = ck_kind_stride(c.slice_columns);
    c.sum_position = tiles * c.sum_stride;
    c.line_floats = ck_divide_up((2 * c.columns + 2) * args->channels, 16) * 16;
    return c;
}

static size_t worker_floats(const cut *c) {
    return CK_WINOGRAD_POSITIONS * (c->input_position + c->sum_position) + 4 * c->line_floats;
}

size_t ck_winograd_tile_count(const ck_conv_args *args) {
    const cut c = cut_for(args, 1);
    return args->batch * c.tile_rows * c.tile_columns;
}

size_t ck_winograd_scratch(const ck_context *context, const ck_conv_args *args) {
    const size_t threads = ck_pool_threads(context->pool);
    const cut c = cut_for(args, threads);
    const size_t weights = args->packed ? ck_winograd_packed_count(args->out_channels, args->channels) : 0;
    return (weights + threads * worker_floats(&c)) * sizeof(float);
}

typedef struct {
    const ck_conv_args *args;
    const ck_product_kernels *kernels;
    const transforms *transforms;
    cut cut;
    float *transformed;   /* weights of this call */
    const float *weights; /* transformed */
    float *scratch;
} job;

/* A block of tiles and where a worker keeps what comes of it. */
typedef struct {
    size_t image, images, row, rows, column, columns;
    float *inputs, *sums, *lines;
} block;

static block block_of(const job *own, size_t index, size_t worker) {
    const cut *const c = &own->cut;
    block b = {.image = index / (c->row_blocks * c->column_blocks) * c->images,
               .row = index / c->column_blocks % c->row_blocks * c->rows,
               .column = index % c->column_blocks * c->columns,
               .inputs = own->scratch + worker * worker_floats(c)};
    b.images = ck_smaller(c->images, own->args->batch - b.image);
    b.rows = ck_smaller(c->rows, c->tile_rows - b.row);
    b.columns = ck_smaller(c->columns, c->tile_columns - b.column);
    b.sums = b.inputs + CK_WINOGRAD_POSITIONS * c->input_position;
    b.lines = b.sums + CK_WINOGRAD_POSITIONS * c->sum_position;
    return b;
}

/* Neighbouring rows of tiles share two of their four input rows, which are kept in a ring. */
static void transform_inputs(const job *own, const block *b) {
    const cut *const c = &own->cut;
    float *to = b->inputs;
    for (size_t image = b->image; image < b->image + b->images; image++) {
        for (size_t row = b->row; row < b->row + b->rows; row++, to += b->columns * c->input_stride) {
            const float *lines[4];
            for (size_t y = 0; y < 4; y++) {
                float *const line = b->lines + (2 * row + y) % 4 * c->line_floats;
                if (row == b->row || y >= 2)
                    ck_conv_line(own->args, own->kernels, image, 2 * row + y, 2 * b->column, 2 * b->columns + 2, line);
                lines[y] = line;
            }
            own->transforms->inputs(lines, b->columns, own->args->channels, to, c->input_stride, c->input_position);
        }
    }
}

/* The bias is added to the one position that counts once in every output: where the sums of (1, 1) begin. */
static void multiply(const job *own, const block *b, size_t column, size_t columns) {
    const ck_conv_args *const args = own->args;
    const cut *const c = &own->cut;
    const size_t weights = ck_gemm_packed_count(args->out_channels, args->channels);
    for (size_t p = 0; p < CK_WINOGRAD_POSITIONS; p++) {
        const ck_product product = {
            .n = columns,
            .packed = own->weights + p * weights + column * args->channels,
            .out = b->sums + p * c->sum_position,
            .out_stride = c->sum_stride,
            .epilogue = {.bias = p == 5 && args->epilogue.bias ? args->epilogue.bias + column : NULL}};
        const ck_rows source = {.from = b->inputs + p * c->input_position,
                                .lines = 1,
                                .line_rows = b->images * b->rows * b->columns,
                                .row_stride = c->input_stride,
                                .runs = 1,
                                .run = args->channels};
        own->kernels->multiply(&product, &source, 0, 0, columns);
    }
}

static void transform_sums(const job *own, const block *b, size_t column, size_t columns) {
    const ck_conv_args *const args = own->args;
    const cut *const c = &own->cut;
    const size_t line_stride = args->out_line_stride ? args->out_line_stride : c->out_width * args->out_stride;
    const size_t x = 2 * b->column;
    ck_winograd_tiles tiles = {.sums = b->sums,
                               .tile_stride = c->sum_stride,
                               .position_stride = c->sum_position,
                               .pixels = ck_smaller(2 * b->columns, c->out_width - x),
                               .columns = columns,
                               .pixel_stride = args->out_stride,
                               .line_stride = line_stride,
                               .residual_line_stride = c->out_width * args->epilogue.residual_stride,
                               .epilogue = args->epilogue};
    if (args->epilogue.scale) tiles.epilogue.scale = args->epilogue.scale + column;
    for (size_t image = b->image; image < b->image + b->images; image++) {
        for (size_t row = b->row; row < b->row + b->rows; row++, tiles.sums += b->columns * c->sum_stride) {
            const size_t line = image * c->out_height + 2 * row;
            tiles.lines = ck_smaller(2, c->out_height - 2 * row);
            tiles.out = args->out + line * line_stride + x * args->out_stride + column;
            if (args->epilogue.residual)
                tiles.epilogue.residual =
                    args->epilogue.residual + (line * c->out_width + x) * args->epilogue.residual_stride + column;
            own->transforms->outputs(&tiles);
        }
    }
}

static void run_block(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const cut *const c = &own->cut;
    const block b = block_of(own, task / c->slice_tasks, worker);
    transform_inputs(own, &b);
    for (size_t slice = task % c->slice_tasks; slice < c->slices; slice += c->slice_tasks) {
        const size_t column = slice * c->slice_columns;
        const size_t columns = ck_smaller(c->slice_columns, own->args->out_channels - column);
        multiply(own, &b, column, columns);
        transform_sums(own, &b, column, columns);
    }
}

static void run_panel(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    transform_panel(own->transforms, own->args, own->args->packed, task, own->transformed);
}

void ck_winograd_f32(const ck_context *context, const ck_conv_args *args, float *scratch) {
    job own = {.args = args,
               .kernels = ck_product_kernels_for(context->isa, 0),
               .transforms = &transform_table[context->isa],
               .cut = cut_for(args, ck_pool_threads(context->pool)),
               .weights = args->packed_winograd,
               .scratch = scratch};
    const cut *const c = &own.cut;
    if (args->packed) {
        own.weights = own.transformed = scratch;
        own.scratch += ck_winograd_packed_count(args->out_channels, args->channels);
        ck_pool_run(context->pool, ck_divide_up(args->out_channels, CK_PANEL), run_panel, &own);
    }
    ck_pool_run(context->pool, c->image_blocks * c->row_blocks * c->column_blocks * c->slice_tasks, run_block, &own);
}
