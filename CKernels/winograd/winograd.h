/** Winograd's convolution F(2x2, 3x3). Internal; mathematics and measurements are in README.md. */
#ifndef WINOGRAD_H
#define WINOGRAD_H

#include "ck_conv.h"

/** Values of a transformed tile: 4 x 4. */
#define CK_WINOGRAD_POSITIONS 16

/** Transforms a panel [3][3][channels][CK_PANEL] of weights; position p goes to `to + p * position_stride`. */
typedef void ck_winograd_weights(const float *panel, size_t channels, float *to, size_t position_stride);

/**
 * Transforms the inputs of neighbouring tiles of a tile row. `lines` are its four input rows, dense pixels of `channels`
 * floats; position p of tile t goes to `to + p * position_stride + t * tile_stride`.
 */
typedef void ck_winograd_inputs(const float *const lines[4], size_t tiles, size_t channels, float *to,
                                size_t tile_stride, size_t position_stride);

/** The output pixels of neighbouring tiles of a tile row, and their ends. */
typedef struct {
    const float *sums; /**< [position][tile][column], from the first column on */
    size_t tile_stride, position_stride;
    size_t lines, pixels; /**< output rows, 1 or 2, and columns, as many as two for each tile */
    size_t columns;
    float *out; /**< the first column of the first pixel; scale and residual of `epilogue` begin there as well */
    size_t pixel_stride, line_stride;
    size_t residual_line_stride;
    ck_epilogue epilogue; /**< but for the bias, which the sums have already */
} ck_winograd_tiles;

typedef void ck_winograd_outputs(const ck_winograd_tiles *tiles);

#define CK_DECLARE_WINOGRAD(isa)                                                                                       \
    ck_winograd_weights ck_winograd_weights_##isa;                                                                     \
    ck_winograd_inputs ck_winograd_inputs_##isa;                                                                       \
    ck_winograd_outputs ck_winograd_outputs_##isa;
CK_DECLARE_WINOGRAD(portable)
CK_DECLARE_WINOGRAD(avx2)
CK_DECLARE_WINOGRAD(avx512)

/** Tiles of all images. */
size_t ck_winograd_tile_count(const ck_conv_args *args);

/** The specification of one tile. */
void ck_winograd_tile_ref(const ck_conv_args *args, size_t tile);

/** `ck_conv_scratch` and `ck_conv_f32` for arguments that are sound. */
size_t ck_winograd_scratch(const ck_context *context, const ck_conv_args *args);
void ck_winograd_f32(const ck_context *context, const ck_conv_args *args, float *scratch);

#endif
