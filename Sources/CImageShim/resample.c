#include <string.h>

#include "CImageShim.h"

enum { FRACTION_BITS = 22 };

typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint8_t u8x4 __attribute__((vector_size(4)));

static inline __attribute__((always_inline)) uint8_t clip8(int32_t sum) {
    sum >>= FRACTION_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

// One pixel is three lanes of a vector of four; the fourth is computed from the byte behind it and thrown away.
static inline __attribute__((always_inline)) u8x4 row_pixel(const uint8_t *in, int32_t taps, const int32_t *weights) {
    const int32_t half = 1 << (FRACTION_BITS - 1);
    i32x4 sum = {half, half, half, half};
    for (int32_t t = 0; t < taps; t++) {
        u8x4 bytes;
        memcpy(&bytes, in + 3 * (size_t)t, sizeof bytes);
        sum += __builtin_convertvector(bytes, i32x4) * weights[t];
    }
    const i32x4 black = {0, 0, 0, 0};
    const i32x4 white = {255, 255, 255, 255};
    sum = __builtin_elementwise_min(__builtin_elementwise_max(sum >> FRACTION_BITS, black), white);
    return __builtin_convertvector(sum, u8x4);
}

static inline __attribute__((always_inline)) void row_body(const uint8_t *in, size_t count, const int32_t *first,
                                                           const int32_t *taps, const int32_t *weights, size_t stride,
                                                           uint8_t *out) {
    for (size_t i = 0; i + 1 < count; i++) {
        u8x4 pixel = row_pixel(in + 3 * (size_t)first[i], taps[i], weights + i * stride);
        // The fourth byte is overwritten by the next pixel.
        memcpy(out + 3 * i, &pixel, 4);
    }
    if (count > 0) {
        size_t i = count - 1;
        u8x4 pixel = row_pixel(in + 3 * (size_t)first[i], taps[i], weights + i * stride);
        memcpy(out + 3 * i, &pixel, 3);
    }
}

enum { BLOCK = 64 };

static inline __attribute__((always_inline)) void column_block(const uint8_t *ring, size_t capacity, size_t bytes,
                                                               size_t first, size_t taps, const int32_t *weights,
                                                               size_t begin, size_t count, uint8_t *out) {
    int32_t sum[BLOCK];
    for (size_t x = 0; x < count; x++) {
        sum[x] = 1 << (FRACTION_BITS - 1);
    }
    for (size_t t = 0; t < taps; t++) {
        const uint8_t *row = ring + (first + t) % capacity * bytes + begin;
        int32_t weight = weights[t];
        for (size_t x = 0; x < count; x++) {
            sum[x] += row[x] * weight;
        }
    }
    for (size_t x = 0; x < count; x++) {
        out[begin + x] = clip8(sum[x]);
    }
}

static inline __attribute__((always_inline)) void column_body(const uint8_t *ring, size_t capacity, size_t bytes,
                                                              size_t first, size_t taps, const int32_t *weights,
                                                              uint8_t *out) {
    size_t begin = 0;
    // The constant count lets the compiler keep the sums of a block in registers.
    for (; begin + BLOCK <= bytes; begin += BLOCK) {
        column_block(ring, capacity, bytes, first, taps, weights, begin, BLOCK, out);
    }
    column_block(ring, capacity, bytes, first, taps, weights, begin, bytes - begin, out);
}

// Integer arithmetic: the instruction set changes the speed, never a bit of the result.
#if defined(__x86_64__)
#define HAS_AVX2 __builtin_cpu_supports("avx2")

__attribute__((target("avx2"))) static void row_avx2(const uint8_t *in, size_t count, const int32_t *first,
                                                     const int32_t *taps, const int32_t *weights, size_t stride,
                                                     uint8_t *out) {
    row_body(in, count, first, taps, weights, stride, out);
}

__attribute__((target("avx2"))) static void column_avx2(const uint8_t *ring, size_t capacity, size_t bytes,
                                                        size_t first, size_t taps, const int32_t *weights,
                                                        uint8_t *out) {
    column_body(ring, capacity, bytes, first, taps, weights, out);
}
#endif

void cis_resample_row(const uint8_t *in, size_t count, const int32_t *first, const int32_t *taps,
                      const int32_t *weights, size_t stride, uint8_t *out) {
#if defined(__x86_64__)
    if (HAS_AVX2) {
        row_avx2(in, count, first, taps, weights, stride, out);
        return;
    }
#endif
    row_body(in, count, first, taps, weights, stride, out);
}

void cis_resample_column(const uint8_t *ring, size_t capacity, size_t bytes, size_t first, size_t taps,
                         const int32_t *weights, uint8_t *out) {
#if defined(__x86_64__)
    if (HAS_AVX2) {
        column_avx2(ring, capacity, bytes, first, taps, weights, out);
        return;
    }
#endif
    column_body(ring, capacity, bytes, first, taps, weights, out);
}
