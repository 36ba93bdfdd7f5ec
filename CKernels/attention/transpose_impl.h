/* Transposition in blocks of 4 x 4, which every instruction set has shuffles for. */
typedef float four __attribute__((vector_size(16)));

CK_INLINE four four_load(const float *p) {
    four x;
    memcpy(&x, p, sizeof x);
    return x;
}

CK_INLINE void four_transpose(four x[4]) {
    const four low01 = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
    const four low23 = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
    const four high01 = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
    const four high23 = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
    x[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    x[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    x[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    x[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

/* The same choice in every four lanes of a and b: 0 to 3 are a's own, VL to VL + 3 those of b. */
#if VL == 16
#define IN_FOURS(i, j, k, l)                                                                                           \
    i, j, k, l, i + 4, j + 4, k + 4, l + 4, i + 8, j + 8, k + 8, l + 8, i + 12, j + 12, k + 12, l + 12
#elif VL == 8
#define IN_FOURS(i, j, k, l) i, j, k, l, i + 4, j + 4, k + 4, l + 4
#else
#define IN_FOURS(i, j, k, l) i, j, k, l
#endif

/* to[c][r] = scale * from[r][c]; `rows` is a multiple of VL, `columns` of 4 */
CK_INLINE void transpose(const float *from, size_t from_stride, size_t rows, size_t columns, float scale, float *to,
                         size_t to_stride) {
    const vf factor = v_set(scale);
    for (size_t r = 0; r < rows; r += VL, from += VL * from_stride, to += VL) {
        for (size_t c = 0; c < columns; c += 4) {
            vf x[4]; /* row i of every four, then column i of all */
            for (size_t i = 0; i < 4; i++) x[i] = v_load_fours(from + i * from_stride + c, 4 * from_stride);
            const vf low01 = __builtin_shufflevector(x[0], x[1], IN_FOURS(0, VL, 1, VL + 1));
            const vf low23 = __builtin_shufflevector(x[2], x[3], IN_FOURS(0, VL, 1, VL + 1));
            const vf high01 = __builtin_shufflevector(x[0], x[1], IN_FOURS(2, VL + 2, 3, VL + 3));
            const vf high23 = __builtin_shufflevector(x[2], x[3], IN_FOURS(2, VL + 2, 3, VL + 3));
            x[0] = __builtin_shufflevector(low01, low23, IN_FOURS(0, 1, VL, VL + 1));
            x[1] = __builtin_shufflevector(low01, low23, IN_FOURS(2, 3, VL + 2, VL + 3));
            x[2] = __builtin_shufflevector(high01, high23, IN_FOURS(0, 1, VL, VL + 1));
            x[3] = __builtin_shufflevector(high01, high23, IN_FOURS(2, 3, VL + 2, VL + 3));
            for (size_t i = 0; i < 4; i++) v_store(to + (c + i) * to_stride, v_mul(x[i], factor));
        }
    }
}

#undef IN_FOURS
