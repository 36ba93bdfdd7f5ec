/*
 * AVX-512 F, VL, BW, DQ: 16 floats, masked tails. Documentation of the names: ck_simd.h. With CK_SIMD_AVX512BF16 the
 * same, and the body may use AVX512_BF16 besides.
 */
#include <immintrin.h>

#if defined(CK_SIMD_AVX512BF16)
#define CK_SUFFIX avx512bf16
#define CK_TARGET "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi2,prfchw,avx512bf16"
#else
#define CK_SUFFIX avx512
#define CK_TARGET "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,bmi2,prfchw"
#endif
#define VL 16
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

#pragma clang attribute push(__attribute__((target(CK_TARGET))), apply_to = function)

CK_INLINE vf v_zero(void) { return _mm512_setzero_ps(); }
CK_INLINE vf v_set(float x) { return _mm512_set1_ps(x); }
CK_INLINE vf v_load(const float *p) { return _mm512_loadu_ps(p); }
CK_INLINE void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
CK_INLINE vm v_mask(size_t n) { return (vm)_bzhi_u32(0xFFFFu, (unsigned)n); }
CK_INLINE vf v_load_fours(const float *p, size_t stride) {
    const __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(p));
    const __m512 y = _mm512_insertf32x4(x, _mm_loadu_ps(p + stride), 1);
    const __m512 z = _mm512_insertf32x4(y, _mm_loadu_ps(p + 2 * stride), 2);
    return _mm512_insertf32x4(z, _mm_loadu_ps(p + 3 * stride), 3);
}
CK_INLINE vf v_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(v_mask(n), p); }
CK_INLINE void v_store_n(float *p, vf x, size_t n) { _mm512_mask_storeu_ps(p, v_mask(n), x); }
/** The first n lanes of x, the rest zero. */
CK_INLINE vf v_first(vf x, size_t n) { return _mm512_maskz_mov_ps(v_mask(n), x); }
CK_INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
CK_INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
CK_INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
CK_INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
CK_INLINE vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
CK_INLINE vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
CK_INLINE vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
CK_INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
/** c - a * b */
CK_INLINE vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
CK_INLINE vf v_abs(vf a) { return _mm512_abs_ps(a); }
/** a with the sign of b */
CK_INLINE vf v_copysign(vf a, vf b) {
    const vf sign = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, b));
}
/** a > b ? x : y, lane by lane */
CK_INLINE vf v_select_gt(vf a, vf b, vf x, vf y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}
CK_INLINE vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/** x * 2^n for an integral n in -252..252 (v_exp2i of two halves, so that subnormal results are rounded once) */
CK_INLINE vf v_ldexp(vf x, vf n) { return _mm512_scalef_ps(x, n); }
/** The same where 2^n and the result are normal numbers: -126 <= n <= 127. */
CK_INLINE vf v_ldexp_normal(vf x, vf n) { return _mm512_scalef_ps(x, n); }
/** |a| or |b|, whichever is less; |b| where a is NaN */
CK_INLINE vf v_min_abs(vf a, vf b) { return _mm512_range_ps(a, b, 0xA); }
/** For each lane the one of 32 aligned entries that the lane's last five bits number. */
CK_INLINE vf v_entry(const float *table, vf lane) {
    return _mm512_permutex2var_ps(_mm512_load_ps(table), _mm512_castps_si512(lane), _mm512_load_ps(table + 16));
}
/** (x1, x0, x3, x2, ...) */
CK_INLINE vf v_swap_pairs(vf x) { return _mm512_permute_ps(x, 0xB1); }
/** Sum of the lanes in one fixed order: halves are added until one is left. */
CK_INLINE float v_sum(vf x) { return _mm512_reduce_add_ps(x); }
/** Lane i: the sum of the lanes of x[i], for VL vectors; added in an order of its own. */
CK_INLINE vf v_sums(const vf x[VL]) {
    vf quarter[4];
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        const vf low = v_add(_mm512_shuffle_f32x4(x[i], x[4 + i], 0x44), _mm512_shuffle_f32x4(x[i], x[4 + i], 0xEE));
        const vf high =
            v_add(_mm512_shuffle_f32x4(x[8 + i], x[12 + i], 0x44), _mm512_shuffle_f32x4(x[8 + i], x[12 + i], 0xEE));
        quarter[i] = v_add(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xDD));
    }
    const vf low = v_add(_mm512_unpacklo_ps(quarter[0], quarter[1]), _mm512_unpackhi_ps(quarter[0], quarter[1]));
    const vf high = v_add(_mm512_unpacklo_ps(quarter[2], quarter[3]), _mm512_unpackhi_ps(quarter[2], quarter[3]));
    return v_add(_mm512_shuffle_ps(low, high, 0x44), _mm512_shuffle_ps(low, high, 0xEE));
}
CK_INLINE float v_highest(vf x) { return _mm512_reduce_max_ps(x); }
