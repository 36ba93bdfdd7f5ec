/* The rotation of rope/README.md, in place. */
#include "ck_rope.h"

CK_INLINE vf rotated(vf x, vf cosine, vf sine) { return v_fma(v_swap_pairs(x), sine, v_mul(x, cosine)); }

CK_INLINE void rotate_half(float *x, const float *cosine, const float *sine, size_t count) {
    size_t i = 0;
    for (; i + VL <= count; i += VL) v_store(x + i, rotated(v_load(x + i), v_load(cosine + i), v_load(sine + i)));
    const size_t n = count - i;
    if (n) v_store_n(x + i, rotated(v_load_n(x + i, n), v_load_n(cosine + i, n), v_load_n(sine + i, n)), n);
}

/* Turns rows of a tile in place; `first` is the token of the first one. */
CK_INLINE void rotate_rows(const ck_rope *rope, size_t first, size_t rows, float *tile, size_t width) {
    const size_t half = rope->head_dim / 2;
    size_t y = first / rope->width, x = first % rope->width;
    for (; rows > 0; rows--, tile += width) {
        rotate_half(tile, rope->row_cosine + y * half, rope->row_sine + y * half, half);
        rotate_half(tile + half, rope->column_cosine + x * half, rope->column_sine + x * half, half);
        if (++x == rope->width) x = 0, y++;
    }
}
