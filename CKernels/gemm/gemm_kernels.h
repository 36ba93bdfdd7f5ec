/** What the matrix product and the convolution share. Internal; mathematics and measurements are in README.md. */
#ifndef GEMM_KERNELS_H
#define GEMM_KERNELS_H

#include "ck_gemm.h"

/** The largest number of rows, columns and inputs of a product. */
#define CK_SIZE_LIMIT 0x7FFFFFFFu

/** Floats of weights that should stay in the second-level cache while rows pass by. */
#define CK_NEAR_WEIGHTS (96 * 1024)

/** Tasks that a product is cut into where its size allows, so that a handful of threads share it evenly. */
#define CK_TASKS 16

/**
 * Rows of a product as they lie in memory, counted in words of four bytes: a word is a float, or a pair of bf16 where
 * the processor multiplies those. `lines` lines of `line_rows` rows each (a matrix is one line, in a convolution a line
 * is a row of output pixels), every row `runs` runs of `run` words. Outputs of neighbouring lines are `out_gap` floats
 * further apart than dense ones.
 */
typedef struct {
    const float *from;
    size_t lines, line_stride, out_gap;
    size_t line_rows, row_stride;
    size_t runs, run_stride, run;
} ck_rows;

/** The weights of a product and where it ends. */
typedef struct {
    size_t n;
    const float *packed; /* or pairs of bf16, as words */
    float *out;
    size_t out_stride;
    ck_epilogue epilogue;
} ck_product;

/** Multiplies rows, the first of which is row `row` of the output, with the columns from `column` (whole panels) on. */
typedef void ck_multiply(const ck_product *product, const ck_rows *rows, size_t row, size_t column, size_t columns);

/** Writes `rows` layer-normalised rows of a product from `row` on, `stride` floats (at least k, whole 16s) apart. */
typedef void ck_normalise(const ck_gemm_args *args, size_t row, size_t rows, float *to, size_t stride);

/** Writes silu(x * factor + offset) for rows of k floats, with a factor and an offset per column. */
typedef void ck_activate(size_t rows, size_t k, const float *from, size_t from_stride, const float *factor,
                         const float *offset, float *to, size_t to_stride);

/** Writes rows of k floats, rounded to bf16, as the words that the product reads; a zero beside an odd last one. */
typedef void ck_round(size_t rows, size_t k, const float *from, size_t from_stride, float *to, size_t to_stride);

typedef struct {
    ck_multiply *multiply;
    ck_normalise *normalise;
    ck_activate *activate;
    ck_round *round;   /**< NULL: inputs are taken as they are */
    size_t pair_words; /**< words of a pair of rounded inputs: 2 floats, or 1 pair of bf16 */
} ck_product_kernels;

/** Those for float or for bf16 weights. The specification works on its own: it gets an empty entry. */
const ck_product_kernels *ck_product_kernels_for(ck_isa isa, int bf16);

/** Words of k inputs. */
static inline size_t ck_words(const ck_product_kernels *kernels, size_t k) {
    return kernels->round ? (k + 1) / 2 * kernels->pair_words : k;
}

/** CK_OK when the ends of a product with n columns are sound. */
ck_status ck_epilogue_check(const ck_epilogue *epilogue, size_t n);

static inline size_t ck_divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
static inline size_t ck_smaller(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t ck_larger(size_t a, size_t b) { return a > b ? a : b; }

/**
 * Whether the rows of a tile may be read where they are: at a distance of 2 KB they would share so few sets of the
 * first-level cache that they drive each other out.
 */
static inline int ck_stride_is_kind(size_t stride) { return stride % 512 != 0; }

/** A kind distance for rows of k floats, in whole 16s. */
static inline size_t ck_kind_stride(size_t k) { return ck_divide_up(k, 16) * 16 + (ck_divide_up(k, 16) % 2 ? 0 : 16); }

#define CK_DECLARE_PRODUCT(isa)                                                                                        \
    ck_multiply ck_multiply_##isa;                                                                                     \
    ck_normalise ck_normalise_##isa;                                                                                   \
    ck_activate ck_activate_##isa;
#define CK_DECLARE_PRODUCT_BF16(isa)                                                                                   \
    ck_multiply ck_multiply_bf16_##isa;                                                                                \
    ck_round ck_round_##isa;
CK_DECLARE_PRODUCT(portable)
CK_DECLARE_PRODUCT(avx2)
CK_DECLARE_PRODUCT(avx512)
CK_DECLARE_PRODUCT_BF16(portable)
CK_DECLARE_PRODUCT_BF16(avx2)
CK_DECLARE_PRODUCT_BF16(avx512)
CK_DECLARE_PRODUCT_BF16(avx512bf16)

#endif
