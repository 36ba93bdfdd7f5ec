#include "gemm/gemm_blocks.h"

#include <math.h>
#include <string.h>

typedef void ck_gemm_region(const ck_gemm_args *, const ck_blocking *, ck_region, float *);

static ck_gemm_region *const regions[CK_ISA_COUNT] = {
    [CK_ISA_REF] = ck_gemm_region_ref,
    [CK_ISA_PORTABLE] = ck_gemm_region_portable,
#if defined(__x86_64__)
    [CK_ISA_AVX2] = ck_gemm_region_avx2,
    [CK_ISA_AVX512] = ck_gemm_region_avx512,
#endif
};

const size_t ck_tile_rows[CK_ISA_COUNT] = {
    [CK_ISA_REF] = 8,
#if defined(__aarch64__)
    [CK_ISA_PORTABLE] = 8,
#else
    [CK_ISA_PORTABLE] = 4,
#endif
#if defined(__x86_64__)
    [CK_ISA_AVX2] = 6,
    [CK_ISA_AVX512] = 14,
#endif
};

static size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/*
 * A task's packed rows should stay in half a megabyte of second-level cache beside the panel that streams past them;
 * and there should be enough tasks for a handful of threads, first along the rows, then, as every column block packs
 * the rows again, in column blocks of at least four panels.
 */
ck_blocking ck_blocking_for(size_t tile_rows, size_t rows, size_t n, size_t k) {
    enum { CACHED_FLOATS = 128 * 1024, BLOCK_ROWS = 112, TASKS = 16, LEAST_PANELS = 4 };
    const size_t tiles = divide_up(rows, tile_rows), panels = divide_up(n, CK_PANEL);
    ck_blocking b = {.tile_rows = tile_rows};
    b.k_blocks = divide_up(k, CK_K_BLOCK);
    b.k_block = divide_up(k, b.k_blocks);
    const size_t cached = larger(1, CACHED_FLOATS / (tile_rows * k));
    b.row_blocks = divide_up(tiles, smaller(cached, BLOCK_ROWS / tile_rows));
    b.tiles = divide_up(tiles, b.row_blocks);
    b.row_blocks = divide_up(tiles, b.tiles);
    b.column_blocks = smaller(divide_up(TASKS, b.row_blocks), divide_up(panels, LEAST_PANELS));
    b.panels = divide_up(panels, b.column_blocks);
    b.column_blocks = divide_up(panels, b.panels);
    return b;
}

ck_region ck_region_of(const ck_blocking *b, size_t rows, size_t n, size_t task) {
    const size_t row = task / b->column_blocks * b->tiles * b->tile_rows;
    const size_t column = task % b->column_blocks * b->panels * CK_PANEL;
    return (ck_region){.row = row,
                       .rows = smaller(rows - row, b->tiles * b->tile_rows),
                       .column = column,
                       .columns = smaller(n - column, b->panels * CK_PANEL)};
}

size_t ck_blocking_packed_floats(const ck_blocking *b) {
    return b->tiles * b->k_blocks * b->tile_rows * CK_ROW_STRIDE;
}

size_t ck_blocking_scratch_floats(const ck_blocking *b) {
    const size_t floats = ck_blocking_packed_floats(b) + b->tiles * b->tile_rows * CK_PANEL;
    return divide_up(floats, 16) * 16;
}

ck_status ck_epilogue_check(const ck_epilogue *epilogue, size_t n) {
    if (epilogue->activation > CK_ACTIVATION_SILU) return CK_BAD_ARGUMENT;
    if (epilogue->residual && epilogue->residual_stride < n) return CK_BAD_ARGUMENT;
    return CK_OK;
}

size_t ck_gemm_packed_count(size_t n, size_t k) { return divide_up(n, CK_PANEL) * CK_PANEL * k; }

void ck_gemm_pack(size_t n, size_t k, const float *weight, size_t stride, float *packed) {
    for (size_t column = 0; column < n; column += CK_PANEL) {
        const size_t columns = smaller(n - column, CK_PANEL);
        for (size_t i = 0; i < k; i++, packed += CK_PANEL) {
            for (size_t c = 0; c < columns; c++) packed[c] = weight[(column + c) * stride + i];
            for (size_t c = columns; c < CK_PANEL; c++) packed[c] = 0;
        }
    }
}

static ck_status check(const ck_context *context, const ck_gemm_args *args) {
    if (context == NULL || args == NULL) return CK_BAD_ARGUMENT;
    if (context->isa >= CK_ISA_COUNT || !ck_isa_available(context->isa)) return CK_UNAVAILABLE;
    if (args->rows == 0 || args->n == 0 || args->k == 0) return CK_BAD_SHAPE;
    if (args->rows > CK_SIZE_LIMIT || args->n > CK_SIZE_LIMIT || args->k > CK_SIZE_LIMIT) return CK_BAD_SHAPE;
    return CK_OK;
}

size_t ck_gemm_scratch(const ck_context *context, const ck_gemm_args *args) {
    if (check(context, args) != CK_OK) return 0;
    const ck_blocking blocking = ck_blocking_for(ck_tile_rows[context->isa], args->rows, args->n, args->k);
    return ck_pool_threads(context->pool) * ck_blocking_scratch_floats(&blocking) * sizeof(float);
}

typedef struct {
    const ck_gemm_args *args;
    ck_blocking blocking;
    ck_gemm_region *region;
    float *scratch;
} job;

static void run_task(void *arguments, size_t task, size_t worker) {
    const job *const own = arguments;
    own->region(own->args, &own->blocking, ck_region_of(&own->blocking, own->args->rows, own->args->n, task),
                own->scratch + worker * ck_blocking_scratch_floats(&own->blocking));
}

ck_status ck_gemm_f32(const ck_context *context, const ck_gemm_args *args, void *scratch) {
    ck_status status = check(context, args);
    if (status == CK_OK) status = ck_epilogue_check(&args->epilogue, args->n);
    if (status != CK_OK) return status;
    if (args->x == NULL || args->packed == NULL || args->out == NULL || scratch == NULL) return CK_BAD_ARGUMENT;
    if (args->x_stride < args->k || args->out_stride < args->n) return CK_BAD_ARGUMENT;
    if (!(args->norm_epsilon >= 0) || isinf(args->norm_epsilon)) return CK_BAD_ARGUMENT;
    job own = {args, ck_blocking_for(ck_tile_rows[context->isa], args->rows, args->n, args->k),
               regions[context->isa], scratch};
    ck_pool_run(context->pool, own.blocking.row_blocks * own.blocking.column_blocks, run_task, &own);
    return CK_OK;
}
