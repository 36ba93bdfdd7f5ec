/*
 * Compiler vectors of 4 floats: NEON on ARM, SSE2 on baseline x86-64. Documentation of the names: ck_simd.h.
 * Where the target has no fused multiply-add (baseline x86-64) v_fma rounds twice; the path stays within the error
 * bounds, which hold for either.
 */
#define CK_SUFFIX portable
#define VL 4
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));

CK_INLINE vf v_set(float x) { return (vf){x, x, x, x}; }
CK_INLINE vf v_zero(void) { return v_set(0); }
CK_INLINE vf v_load(const float *p) {
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}
CK_INLINE void v_store(float *p, vf x) { memcpy(p, &x, sizeof x); }
CK_INLINE vf v_load_fours(const float *p, size_t stride) {
    (void)stride;
    return v_load(p);
}
CK_INLINE vf v_load_n(const float *p, size_t n) {
    if (n >= VL) return v_load(p);
    vf x = v_zero();
    memcpy(&x, p, n * sizeof(float));
    return x;
}
CK_INLINE void v_store_n(float *p, vf x, size_t n) { memcpy(p, &x, (n < VL ? n : VL) * sizeof(float)); }
CK_INLINE vf v_first(vf x, size_t n) {
    const vi lane = {0, 1, 2, 3}, last = {(int)n, (int)n, (int)n, (int)n};
    return (vf)((lane < last) & (vi)x);
}
CK_INLINE vf v_add(vf a, vf b) { return a + b; }
CK_INLINE vf v_sub(vf a, vf b) { return a - b; }
CK_INLINE vf v_mul(vf a, vf b) { return a * b; }
CK_INLINE vf v_div(vf a, vf b) { return a / b; }
CK_INLINE vf v_choose(vi mask, vf x, vf y) { return (vf)((mask & (vi)x) | (~mask & (vi)y)); }
CK_INLINE vf v_max(vf a, vf b) { return v_choose(a > b, a, b); }
CK_INLINE vf v_min(vf a, vf b) { return v_choose(a < b, a, b); }
CK_INLINE vf v_sqrt(vf a) { return __builtin_elementwise_sqrt(a); }
CK_INLINE vf v_fma(vf a, vf b, vf c) {
#pragma STDC FP_CONTRACT ON
    return a * b + c;
}
CK_INLINE vf v_fnma(vf a, vf b, vf c) {
#pragma STDC FP_CONTRACT ON
    return c - a * b;
}
CK_INLINE vf v_abs(vf a) { return __builtin_elementwise_abs(a); }
CK_INLINE vf v_copysign(vf a, vf b) { return __builtin_elementwise_copysign(a, b); }
CK_INLINE vf v_select_gt(vf a, vf b, vf x, vf y) { return v_choose(a > b, x, y); }
/* Adding and subtracting 1.5 * 2^23 rounds to nearest even for |a| < 2^22, which is all that ck_math.h asks for. */
CK_INLINE vf v_round(vf a) {
    const vf magic = v_set(12582912.0f);
    return (a + magic) - magic;
}
CK_INLINE vf v_power_of_two(vi n) { return (vf)((n + 127) << 23); }
CK_INLINE vf v_ldexp(vf x, vf n) {
    const vi whole = __builtin_convertvector(n, vi), half = whole >> 1;
    return x * v_power_of_two(half) * v_power_of_two(whole - half);
}
CK_INLINE vf v_ldexp_normal(vf x, vf n) { return x * v_power_of_two(__builtin_convertvector(n, vi)); }
CK_INLINE vf v_swap_pairs(vf x) { return __builtin_shufflevector(x, x, 1, 0, 3, 2); }
CK_INLINE float v_sum(vf x) { return (x[0] + x[2]) + (x[1] + x[3]); }
CK_INLINE vf v_sums(const vf x[VL]) {
    float sums[VL];
    for (int i = 0; i < VL; i++) sums[i] = v_sum(x[i]);
    return v_load(sums);
}
CK_INLINE float v_highest(vf x) {
    const float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
    return a > b ? a : b;
}
