/* AVX2 + FMA3: 8 floats, masked tails. Documentation of the names: ck_simd.h. */
#include <immintrin.h>

#define CK_SUFFIX avx2
#define VL 8
typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vm;

#pragma clang attribute push(__attribute__((target("avx2,fma,bmi2"))), apply_to = function)

CK_INLINE vf v_zero(void) { return _mm256_setzero_ps(); }
CK_INLINE vf v_set(float x) { return _mm256_set1_ps(x); }
CK_INLINE vf v_load(const float *p) { return _mm256_loadu_ps(p); }
CK_INLINE void v_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
CK_INLINE vm v_mask(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
CK_INLINE vf v_load_fours(const float *p, size_t stride) { return _mm256_loadu2_m128(p + stride, p); }
CK_INLINE vf v_load_n(const float *p, size_t n) { return _mm256_maskload_ps(p, v_mask(n)); }
CK_INLINE void v_store_n(float *p, vf x, size_t n) { _mm256_maskstore_ps(p, v_mask(n), x); }
CK_INLINE vf v_first(vf x, size_t n) { return _mm256_and_ps(x, _mm256_castsi256_ps(v_mask(n))); }
CK_INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
CK_INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
CK_INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
CK_INLINE vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
CK_INLINE vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
CK_INLINE vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
CK_INLINE vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
CK_INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
CK_INLINE vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
CK_INLINE vf v_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
CK_INLINE vf v_copysign(vf a, vf b) {
    const vf sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}
CK_INLINE vf v_select_gt(vf a, vf b, vf x, vf y) { return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_GT_OQ)); }
CK_INLINE vf v_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
CK_INLINE vf v_power_of_two(vi n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
CK_INLINE vf v_ldexp(vf x, vf n) {
    const vi whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return _mm256_mul_ps(_mm256_mul_ps(x, v_power_of_two(half)), v_power_of_two(_mm256_sub_epi32(whole, half)));
}
CK_INLINE vf v_ldexp_normal(vf x, vf n) { return _mm256_mul_ps(x, v_power_of_two(_mm256_cvtps_epi32(n))); }
CK_INLINE vf v_swap_pairs(vf x) { return _mm256_permute_ps(x, 0xB1); }
CK_INLINE float v_sum(vf x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
CK_INLINE vf v_sums(const vf x[VL]) {
    float sums[VL];
    for (int i = 0; i < VL; i++) sums[i] = v_sum(x[i]);
    return v_load(sums);
}
CK_INLINE float v_highest(vf x) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
