/*
 * The step of the microkernel for pairs of bf16, and the rounding of its inputs; part of gemm_impl.h. Of a pair the
 * second is added first, as the processors' dot product does. With CK_SIMD_AVX512BF16 a step is one such dot product per
 * vector; else pairs are widened to float, where their products are exact and fused multiply-adds sum them in the same
 * order.
 */
#include "gemm/gemm_bf16.h"

#define PRODUCT ck_multiply_bf16

#if defined(CK_SIMD_AVX512BF16)

/* A word of a row is a pair too. */
enum { STEP_WORDS = 1 };

CK_INLINE void step(const size_t rows, const float *const *x, size_t stride, size_t i, const float *w,
                    vf sum[TILE_ROWS][2]) {
    const __m512bh w0 = (__m512bh)v_load(w), w1 = (__m512bh)v_load(w + VL);
    fetch_ahead(w);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        const __m512bh pair = (__m512bh)v_set(x[r / 3][r % 3 * stride + i]);
        sum[r][0] = _mm512_dpbf16_ps(sum[r][0], pair, w0);
        sum[r][1] = _mm512_dpbf16_ps(sum[r][1], pair, w1);
    }
}

void CK_NAME(ck_round)(size_t rows, size_t k, const float *from, size_t from_stride, float *to, size_t to_stride) {
    for (; rows > 0; rows--, from += from_stride, to += to_stride) {
        for (size_t i = 0; i < k; i += 2 * VL) {
            const size_t low = ck_smaller(k - i, VL), high = ck_smaller(k - i, 2 * VL) - low;
            const vf second = high ? v_load_n(from + i + VL, high) : v_zero();
            const __m512bh pairs = _mm512_cvtne2ps_pbh(second, v_load_n(from + i, low));
            v_store_n(to + i / 2, (vf)pairs, (low + high + 1) / 2);
        }
    }
}

#else

typedef uint32_t vw __attribute__((vector_size(4 * VL)));

/* The two words of a row are its pair as floats. */
enum { STEP_WORDS = 2 };

CK_INLINE void step(const size_t rows, const float *const *x, size_t stride, size_t i, const float *w,
                    vf sum[TILE_ROWS][2]) {
    const vw upper = (vw){0} + 0xFFFF0000u;
    fetch_ahead(w);
    add_products(rows, x, stride, i + 1, (vf)((vw)v_load(w) & upper), (vf)((vw)v_load(w + VL) & upper), sum);
    __asm__("" : "+r"(w)); /* or both halves wait in registers that the sums need */
    add_products(rows, x, stride, i, (vf)((vw)v_load(w) << 16), (vf)((vw)v_load(w + VL) << 16), sum);
}

void CK_NAME(ck_round)(size_t rows, size_t k, const float *from, size_t from_stride, float *to, size_t to_stride) {
    for (; rows > 0; rows--, from += from_stride, to += to_stride) {
        for (size_t i = 0; i < k; i++) to[i] = ck_bf16_float(ck_bf16_rounded(from[i]));
        if (k % 2) to[k] = 0;
    }
}

#endif
