/* Transposition in 4 x 4 blocks of compiler vectors, which every instruction set has shuffles for. */
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

/* to[c][r] = from[r][c]; `rows` is a multiple of 4 */
CK_INLINE void transpose(const float *from, size_t from_stride, size_t rows, size_t columns, float *to,
                         size_t to_stride) {
    for (size_t r = 0; r < rows; r += 4, from += 4 * from_stride, to += 4) {
        size_t c = 0;
        for (; c + 4 <= columns; c += 4) {
            four x[4];
            for (size_t i = 0; i < 4; i++) x[i] = four_load(from + i * from_stride + c);
            four_transpose(x);
            for (size_t i = 0; i < 4; i++) memcpy(to + (c + i) * to_stride, &x[i], sizeof x[i]);
        }
        for (; c < columns; c++)
            for (size_t i = 0; i < 4; i++) to[c * to_stride + i] = from[i * from_stride + c];
    }
}
