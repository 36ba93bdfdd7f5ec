/**
 * How a product is cut up, and the per-instruction-set parts that gemm.c and conv.c dispatch to. Internal to the
 * kernels that are matrix products; mathematics and measurements are in README.md.
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

/** The cut of one product. It depends on the sizes alone. */
typedef struct {
    size_t tile_rows;     /**< rows that the microkernel keeps in registers */
    size_t tiles;         /**< tiles of rows that a task packs at once */
    size_t row_blocks;    /**< tasks along the rows */
    size_t panels;        /**< panels of columns per task */
    size_t column_blocks; /**< tasks along the columns */
    size_t k_block;       /**< length of a k-block; the last may be shorter */
    size_t k_blocks;
} ck_blocking;

ck_blocking ck_blocking_for(size_t tile_rows, size_t rows, size_t n, size_t k);

/** The part of the output that one task computes. */
typedef struct {
    size_t row, rows;
    size_t column, columns; /**< `column` is a multiple of CK_PANEL */
} ck_region;

ck_region ck_region_of(const ck_blocking *blocking, size_t rows, size_t n, size_t task);

/** Floats of packed rows, and of packed rows together with partial sums, that one worker needs. */
size_t ck_blocking_packed_floats(const ck_blocking *blocking);
size_t ck_blocking_scratch_floats(const ck_blocking *blocking);

/** CK_OK when the common ends of a product are sound. */
ck_status ck_epilogue_check(const ck_epilogue *epilogue, size_t n);

/** The largest number of rows, columns and inputs of a product. */
#define CK_SIZE_LIMIT 0x7FFFFFFFu

/** What remains of a product once its rows are packed. */
typedef struct {
    size_t n, k;
    const float *packed;
    float *out;
    size_t out_stride;
    ck_epilogue epilogue;
} ck_product;

/*
 * Per instruction set: a whole region of a matrix product, a whole region of a convolution, and what both end in, the
 * product of packed rows `[tile][k block][tile_rows][CK_ROW_STRIDE]`. `partial` takes a tile's sums between k-blocks.
 */
#define CK_DECLARE_BLOCKS(isa)                                                                                         \
    void ck_gemm_region_##isa(const ck_gemm_args *args, const ck_blocking *blocking, ck_region region,                 \
                              float *scratch);                                                                         \
    void ck_conv_region_##isa(const ck_conv_args *args, const ck_blocking *blocking, ck_region region,                 \
                              float *scratch);                                                                         \
    void ck_multiply_region_##isa(const ck_product *product, const ck_blocking *blocking, ck_region region,            \
                                  const float *rows, float *partial);
CK_DECLARE_BLOCKS(ref)
CK_DECLARE_BLOCKS(portable)
CK_DECLARE_BLOCKS(avx2)
CK_DECLARE_BLOCKS(avx512)

/** Rows per tile on each instruction set, indexed by ck_isa; 0 where this build has no such implementation. */
extern const size_t ck_tile_rows[CK_ISA_COUNT];

#endif
