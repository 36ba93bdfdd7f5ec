/**
 * The blocked driver that the matrix product and the convolution share, and the per-instruction-set parts that it
 * dispatches to. Internal to the two; mathematics and measurements are in README.md.
 */
#ifndef GEMM_BLOCKS_H
#define GEMM_BLOCKS_H

#include "ck_conv.h"
#include "ck_gemm.h"

enum {
    /** Longest run of k that a tile sums up before it goes on to the next one. */
    CK_K_BLOCK = 256,
    /** Floats from one packed row to the next: constant, so that rows are immediate offsets, and no power of two, so
        that the rows of a tile fall into different cache sets. */
    CK_ROW_STRIDE = CK_K_BLOCK + 16,
};

/** The largest number of rows, columns and inputs of a product. */
#define CK_SIZE_LIMIT 0x7FFFFFFFu

/** What remains of a product once its rows are packed. */
typedef struct {
    size_t rows, n, k;
    const float *packed; /**< weights */
    float *out;
    size_t out_stride;
    ck_epilogue epilogue;
} ck_product;

/** The cut of one product. It depends on the sizes and the tile alone. */
typedef struct {
    size_t tile_rows; /**< rows that the microkernel keeps in registers */
    size_t k_block;   /**< length of a k-block; the last may be shorter */
    size_t k_blocks;
    size_t group_tiles;  /**< tiles of rows that are packed together and go through the weights together */
    size_t task_tiles;   /**< tiles of rows of one task */
    size_t task_columns; /**< columns of one task; fewer than n only where all rows are one group, packed beforehand */
} ck_blocking;

ck_blocking ck_blocking_for(size_t tile_rows, size_t rows, size_t n, size_t k);

/** A part of the output; `column` is a multiple of CK_PANEL. */
typedef struct {
    size_t row, rows, column, columns;
} ck_region;

/** Packs `rows` rows from `row` on: `to` is [tile][k block][tile_rows][CK_ROW_STRIDE]. */
typedef void ck_pack_rows(const void *args, const ck_blocking *blocking, size_t row, size_t rows, float *to);

/** Multiplies packed rows; `partial` [rows][CK_PANEL] takes the sums between k-blocks. */
typedef void ck_multiply(const ck_product *product, const ck_blocking *blocking, ck_region region, const float *rows,
                         float *partial);

/** One instruction set's parts; `args` of the packers are ck_gemm_args and ck_conv_args. */
typedef struct {
    size_t tile_rows;
    ck_pack_rows *gemm_rows, *conv_rows;
    ck_multiply *multiply;
} ck_block_kernels;

/** Indexed by ck_isa. The specification is not blocked: its entry is empty. */
extern const ck_block_kernels ck_block_table[CK_ISA_COUNT];

/** Bytes of scratch of `ck_multiply_blocks`; 0 on CK_ISA_REF. */
size_t ck_blocks_scratch(const ck_context *context, size_t rows, size_t n, size_t k);

/** Packs the rows of a product with `pack` and multiplies them, on all threads of the context. */
void ck_multiply_blocks(const ck_context *context, const ck_product *product, ck_pack_rows *pack, const void *args,
                        float *scratch);

/** CK_OK when the ends of a product with n columns are sound. */
ck_status ck_epilogue_check(const ck_epilogue *epilogue, size_t n);

#define CK_DECLARE_BLOCKS(isa)                                                                                         \
    ck_pack_rows ck_gemm_rows_##isa, ck_conv_rows_##isa;                                                               \
    ck_multiply ck_multiply_##isa;
CK_DECLARE_BLOCKS(portable)
CK_DECLARE_BLOCKS(avx2)
CK_DECLARE_BLOCKS(avx512)

#endif
