/* The transforms over the vector vocabulary: whole channels side by side, additions only. */
#include "gemm/gemm_kernels.h"
#include "winograd/winograd.h"

#include "gemm/finish_impl.h"

/* The rows of G: (1 0 0), (1/2 1/2 1/2), (1/2 -1/2 1/2), (0 0 1). */
CK_INLINE void transform_weights(vf a, vf b, vf c, vf out[4]) {
    const vf half = v_set(0.5f), ends = v_add(a, c);
    out[0] = a;
    out[1] = v_mul(v_add(ends, b), half);
    out[2] = v_mul(v_sub(ends, b), half);
    out[3] = c;
}

void CK_NAME(ck_winograd_weights)(const float *panel, size_t channels, float *to, size_t position_stride) {
    const size_t tap = channels * CK_PANEL;
    for (size_t i = 0; i < tap; i += VL) {
        vf rows[4][3];
#pragma clang loop unroll(full)
        for (size_t x = 0; x < 3; x++) {
            const float *const from = panel + x * tap + i;
            vf column[4];
            transform_weights(v_load(from), v_load(from + 3 * tap), v_load(from + 6 * tap), column);
#pragma clang loop unroll(full)
            for (size_t y = 0; y < 4; y++) rows[y][x] = column[y];
        }
        float *position = to + i;
#pragma clang loop unroll(full)
        for (size_t y = 0; y < 4; y++) {
            vf out[4];
            transform_weights(rows[y][0], rows[y][1], rows[y][2], out);
#pragma clang loop unroll(full)
            for (size_t x = 0; x < 4; x++, position += position_stride) v_store(position, out[x]);
        }
    }
}

/* The rows of B^T: (1 0 -1 0), (0 1 1 0), (0 -1 1 0), (0 1 0 -1). */
CK_INLINE void transform_inputs(vf a, vf b, vf c, vf d, vf out[4]) {
    out[0] = v_sub(a, c);
    out[1] = v_add(b, c);
    out[2] = v_sub(c, b);
    out[3] = v_sub(b, d);
}

void CK_NAME(ck_winograd_inputs)(const float *const lines[4], size_t tiles, size_t channels, float *to,
                                 size_t tile_stride, size_t position_stride) {
    for (size_t t = 0; t < tiles; t++, to += tile_stride) {
        for (size_t c = 0; c < channels; c += VL) {
            const size_t n = ck_smaller(VL, channels - c);
            vf rows[4][4];
#pragma clang loop unroll(full)
            for (size_t x = 0; x < 4; x++) {
                vf d[4], column[4];
#pragma clang loop unroll(full)
                for (size_t y = 0; y < 4; y++) {
                    const float *const from = lines[y] + (2 * t + x) * channels + c;
                    d[y] = n == VL ? v_load(from) : v_load_n(from, n);
                }
                transform_inputs(d[0], d[1], d[2], d[3], column);
#pragma clang loop unroll(full)
                for (size_t y = 0; y < 4; y++) rows[y][x] = column[y];
            }
            float *position = to + c;
#pragma clang loop unroll(full)
            for (size_t y = 0; y < 4; y++) {
                vf out[4];
                transform_inputs(rows[y][0], rows[y][1], rows[y][2], rows[y][3], out);
#pragma clang loop unroll(full)
                for (size_t x = 0; x < 4; x++, position += position_stride) {
                    if (n == VL) {
                        v_store(position, out[x]);
                    } else {
                        v_store_n(position, out[x], n);
                    }
                }
            }
        }
    }
}

/* The rows of A^T: (1 1 1 0), (0 1 -1 -1). */
CK_INLINE void transform_sums(vf a, vf b, vf c, vf d, vf out[2]) {
    out[0] = v_add(v_add(a, b), c);
    out[1] = v_sub(v_sub(b, c), d);
}

/* Up to VL columns of one tile. */
CK_INLINE void finish_tile(const ck_winograd_tiles *own, const ck_activation activation, const float *sums, size_t pixel,
                           size_t column, const size_t count) {
    const ck_epilogue *const e = &own->epilogue;
    vf halves[2][4];
#pragma clang loop unroll(full)
    for (size_t x = 0; x < 4; x++) {
        vf m[4], column_sums[2];
#pragma clang loop unroll(full)
        for (size_t y = 0; y < 4; y++) m[y] = v_load(sums + (4 * y + x) * own->position_stride);
        transform_sums(m[0], m[1], m[2], m[3], column_sums);
        halves[0][x] = column_sums[0];
        halves[1][x] = column_sums[1];
    }
    const float *const scale = e->scale ? e->scale + column : NULL;
#pragma clang loop unroll(full)
    for (size_t y = 0; y < 2; y++) {
        if (y == own->lines) break;
        vf out[2];
        transform_sums(halves[y][0], halves[y][1], halves[y][2], halves[y][3], out);
#pragma clang loop unroll(full)
        for (size_t x = 0; x < 2; x++) {
            if (pixel + x == own->pixels) break;
            const size_t from = y * own->residual_line_stride + (pixel + x) * e->residual_stride + column;
            finish(activation, out[x], scale, e->residual ? e->residual + from : NULL,
                   own->out + y * own->line_stride + (pixel + x) * own->pixel_stride + column, count);
        }
    }
}

CK_INLINE void finish_tiles(const ck_winograd_tiles *own, const ck_activation activation) {
    const float *sums = own->sums;
    for (size_t pixel = 0; pixel < own->pixels; pixel += 2, sums += own->tile_stride) {
        size_t c = 0;
        for (; c + VL <= own->columns; c += VL) finish_tile(own, activation, sums + c, pixel, c, VL);
        if (c < own->columns) finish_tile(own, activation, sums + c, pixel, c, own->columns - c);
    }
}

void CK_NAME(ck_winograd_outputs)(const ck_winograd_tiles *tiles) {
    switch (tiles->epilogue.activation) {
    case CK_ACTIVATION_GELU: finish_tiles(tiles, CK_ACTIVATION_GELU); break;
    case CK_ACTIVATION_SILU: finish_tiles(tiles, CK_ACTIVATION_SILU); break;
    case CK_ACTIVATION_GELU_TANH: finish_tiles(tiles, CK_ACTIVATION_GELU_TANH); break;
    case CK_ACTIVATION_RELU: finish_tiles(tiles, CK_ACTIVATION_RELU); break;
    default: finish_tiles(tiles, CK_ACTIVATION_NONE); break;
    }
}
