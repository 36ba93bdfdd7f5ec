#include "gemm/gemm_blocks.h"

const ck_block_kernels ck_block_table[CK_ISA_COUNT] = {
#if defined(__aarch64__)
    [CK_ISA_PORTABLE] = {8, ck_gemm_rows_portable, ck_conv_rows_portable, ck_multiply_portable},
#else
    [CK_ISA_PORTABLE] = {4, ck_gemm_rows_portable, ck_conv_rows_portable, ck_multiply_portable},
#endif
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {6, ck_gemm_rows_avx2, ck_conv_rows_avx2, ck_multiply_avx2},
    [CK_ISA_AVX512] = {14, ck_gemm_rows_avx512, ck_conv_rows_avx512, ck_multiply_avx512},
#endif
};

static size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/*
 * Weights that fit into the second-level cache are read from there by every tile, whose rows stay in the first level.
 * Larger weights come from afar and should serve many tiles while they are near. Few rows are packed all at once and
 * the columns are divided among the tasks.
 */
ck_blocking ck_blocking_for(size_t tile_rows, size_t rows, size_t n, size_t k) {
    enum { NEAR_WEIGHTS = 96 * 1024, NEAR_ROWS = 128 * 1024, GROUP_ROWS = 112, TASKS = 16, TASK_PANELS = 2 };
    const size_t tiles = divide_up(rows, tile_rows), panels = divide_up(n, CK_PANEL);
    ck_blocking b = {.tile_rows = tile_rows, .task_columns = panels * CK_PANEL};
    b.k_blocks = divide_up(k, CK_K_BLOCK);
    b.k_block = divide_up(k, b.k_blocks);
    if (n <= NEAR_WEIGHTS / k && tiles >= TASKS / 2) {
        b.group_tiles = 1;
        b.task_tiles = divide_up(tiles, TASKS);
    } else if (tiles * tile_rows > 2 * GROUP_ROWS) {
        const size_t most = larger(1, smaller(NEAR_ROWS / (tile_rows * k), GROUP_ROWS / tile_rows));
        b.group_tiles = divide_up(tiles, divide_up(tiles, most));
        b.task_tiles = b.group_tiles;
    } else {
        b.group_tiles = b.task_tiles = tiles;
        b.task_columns = larger(TASK_PANELS, divide_up(panels, TASKS)) * CK_PANEL;
    }
    return b;
}

static size_t packed_floats(const ck_blocking *b, size_t tiles) {
    return tiles * b->k_blocks * b->tile_rows * CK_ROW_STRIDE;
}

static size_t partial_floats(const ck_blocking *b) {
    return divide_up(b->group_tiles * b->tile_rows * CK_PANEL, 16) * 16;
}

static int columns_divided(const ck_blocking *b, size_t n) { return b->task_columns < n; }

size_t ck_blocks_scratch(const ck_context *context, size_t rows, size_t n, size_t k) {
    if (context->isa == CK_ISA_REF) return 0;
    const ck_blocking b = ck_blocking_for(ck_block_table[context->isa].tile_rows, rows, n, k);
    const size_t packed = packed_floats(&b, b.group_tiles), workers = ck_pool_threads(context->pool);
    return (packed * (columns_divided(&b, n) ? 1 : workers) + partial_floats(&b) * workers) * sizeof(float);
}

typedef struct {
    const ck_product *product;
    ck_blocking blocking;
    const ck_block_kernels *kernels;
    ck_pack_rows *pack;
    const void *args;
    float *scratch;
} job;

/* One tile of rows, into the packed rows that all tasks share. */
static void pack_tile(void *arguments, size_t task, size_t worker) {
    (void)worker;
    const job *const own = arguments;
    const size_t row = task * own->blocking.tile_rows;
    own->pack(own->args, &own->blocking, row, smaller(own->blocking.tile_rows, own->product->rows - row),
              own->scratch + packed_floats(&own->blocking, task));
}

/* Some columns of all rows. */
static void multiply_columns(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const ck_blocking *const b = &own->blocking;
    const ck_product *const p = own->product;
    const size_t column = task * b->task_columns;
    float *const partial = own->scratch + packed_floats(b, b->group_tiles) + worker * partial_floats(b);
    own->kernels->multiply(p, b, (ck_region){0, p->rows, column, smaller(b->task_columns, p->n - column)},
                           own->scratch, partial);
}

/* All columns of some rows, packed here group by group. */
static void multiply_rows(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    const ck_blocking *const b = &own->blocking;
    const ck_product *const p = own->product;
    const size_t packed = packed_floats(b, b->group_tiles), group = b->group_tiles * b->tile_rows;
    float *const scratch = own->scratch + worker * (packed + partial_floats(b));
    const size_t first = task * b->task_tiles * b->tile_rows;
    const size_t last = smaller(p->rows, first + b->task_tiles * b->tile_rows);
    for (size_t row = first; row < last; row += group) {
        const size_t rows = smaller(group, last - row);
        own->pack(own->args, b, row, rows, scratch);
        own->kernels->multiply(p, b, (ck_region){row, rows, 0, p->n}, scratch, scratch + packed);
    }
}

void ck_multiply_blocks(const ck_context *context, const ck_product *product, ck_pack_rows *pack, const void *args,
                        float *scratch) {
    const ck_block_kernels *const kernels = &ck_block_table[context->isa];
    job own = {product, ck_blocking_for(kernels->tile_rows, product->rows, product->n, product->k),
               kernels, pack, args, scratch};
    const size_t tiles = divide_up(product->rows, kernels->tile_rows);
    if (columns_divided(&own.blocking, product->n)) {
        ck_pool_run(context->pool, tiles, pack_tile, &own);
        ck_pool_run(context->pool, divide_up(product->n, own.blocking.task_columns), multiply_columns, &own);
    } else {
        ck_pool_run(context->pool, divide_up(tiles, own.blocking.task_tiles), multiply_rows, &own);
    }
}

ck_status ck_epilogue_check(const ck_epilogue *epilogue, size_t n) {
    if (epilogue->activation > CK_ACTIVATION_SILU) return CK_BAD_ARGUMENT;
    if (epilogue->residual && epilogue->residual_stride < n) return CK_BAD_ARGUMENT;
    return CK_OK;
}
