/* Transposition in 4 x 4 blocks of compiler vectors, which every instruction set has shuffles for. */
typedef float four __attribute__((vector_size(16)));

CK_INLINE four four_of(const float *p) {
    four x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* to[c][r] = from[r][c]; `rows` is a multiple of 4 */
static void transpose(const float *from, size_t from_stride, size_t rows, size_t columns, float *to, size_t to_stride) {
    for (size_t r = 0; r < rows; r += 4, from += 4 * from_stride, to += 4) {
        size_t c = 0;
        for (; c + 4 <= columns; c += 4) {
            const four x0 = four_of(from + c), x1 = four_of(from + from_stride + c);
            const four x2 = four_of(from + 2 * from_stride + c), x3 = four_of(from + 3 * from_stride + c);
            const four low01 = __builtin_shufflevector(x0, x1, 0, 4, 1, 5), low23 = __builtin_shufflevector(x2, x3, 0, 4, 1, 5);
            const four high01 = __builtin_shufflevector(x0, x1, 2, 6, 3, 7), high23 = __builtin_shufflevector(x2, x3, 2, 6, 3, 7);
            const four y[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                               __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                               __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
            for (size_t i = 0; i < 4; i++) memcpy(to + (c + i) * to_stride, &y[i], sizeof y[i]);
        }
        for (; c < columns; c++)
            for (size_t i = 0; i < 4; i++) to[c * to_stride + i] = from[i * from_stride + c];
    }
}
