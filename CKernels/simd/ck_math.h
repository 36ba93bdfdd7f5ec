/*
 * Elementary functions over the vector vocabulary. Included by ck_simd.h only. NaN propagates through all of them.
 *
 * v_exp              exp(x), at most 2 ulp; 0 below -104, +inf above 88.73
 * v_exp_nonpositive  exp(x) for x <= 0, at most 2 ulp down to -87.3 and below 1.2e-38 further down
 * v_elu1             ELU(x) + 1: x + 1 for x > 0, else exp(x); at most 2 ulp for x > -87.3
 * v_gelu             exact GELU x (1 + erf(x / sqrt 2)) / 2: absolute error at most 9e-8 for |x| < 1 and
 *                    1.2e-7 |x| everywhere; the textbook formula in float32 reaches 4.5e-7 where this stays below
 *                    2.5e-7 (|x| < 10)
 * v_silu             x / (1 + exp(-x)), at most 4 ulp for x > -87
 *
 * The tests sweep every function against double precision on every instruction set.
 */

/* The whole number nearest to a * b + c, for results below 2^22: adding 1.5 * 2^23 leaves no room for a fraction. */
CK_INLINE vf v_round_fma(vf a, vf b, vf c) {
    const vf magic = v_set(12582912.0f);
    return v_sub(v_fma(a, b, v_add(c, magic)), magic);
}

/* linear + c2 x^2 + ... + c6 x^6, summed in pairs: latency binds these functions, not throughput. */
CK_INLINE vf v_exp_series(vf x, vf linear, float c2, float c3, float c4, float c5, float c6) {
    const vf x2 = v_mul(x, x), low = v_fma(x, v_set(c3), v_set(c2));
    const vf high = v_fma(x2, v_set(c6), v_fma(x, v_set(c5), v_set(c4)));
    return v_fma(v_fma(high, x2, low), x2, linear);
}

/* exp(r) - 1 for |r| <= ln2 / 2 and 2^f - 1 for |f| <= 1/2: minimax, to 2e-9 */
CK_INLINE vf v_expm1_fraction(vf r) {
    return v_exp_series(r, r, 4.9999994e-1f, 1.6666432e-1f, 4.1668e-2f, 8.3741555e-3f, 1.3843654e-3f);
}
CK_INLINE vf v_exp2m1_fraction(vf f) {
    return v_exp_series(f, v_mul(f, v_set(6.931472e-1f)), 2.4022646e-1f, 5.5503286e-2f, 9.618489e-3f, 1.3399931e-3f,
                        1.5345812e-4f);
}

/* x - n ln2, with ln2 in two parts so that the remainder is exact to the last bit, with and without a fused multiply */
CK_INLINE vf v_exp_remainder(vf x, vf n) {
    return v_fnma(n, v_set(-2.12194440e-4f), v_fnma(n, v_set(0.693359375f), x));
}

CK_INLINE vf v_exp(vf x) {
    x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x));
    const vf n = v_round_fma(x, v_set(1.44269502e0f), v_zero());
    return v_ldexp(v_add(v_expm1_fraction(v_exp_remainder(x, n)), v_set(1.0f)), n);
}

CK_INLINE vf v_exp_nonpositive(vf x) {
    x = v_max(v_set(-88.0f), x);
    const vf n = v_round_fma(x, v_set(1.44269502e0f), v_zero());
    const vf power = v_ldexp_normal(v_set(1.0f), n);
    return v_fma(v_expm1_fraction(v_exp_remainder(x, n)), power, power);
}

/* The exponential of a positive x is nonsense and not chosen; a NaN comes out of x + 1. */
CK_INLINE vf v_elu1(vf x) {
    return v_select_gt(v_zero(), x, v_exp_nonpositive(x), v_add(x, v_set(1.0f)));
}

/*
 * gelu(x) = max(x, 0) - a P(-a) with a = |x| and P the normal distribution function, which keeps both tails exact
 * where 1 + erf would cancel. P(-a) = 2^s with s a polynomial in a: minimax fit of log2 P(-a) on 0..9, weighted by
 * P(-a)^0.75; a P(-a) is below 1e-18 from there on.
 */
CK_INLINE vf v_gelu(vf x) {
    const vf a = v_min(v_set(9.0f), v_abs(x)), a2 = v_mul(a, a), a4 = v_mul(a2, a2);
    const vf s01 = v_fma(a, v_set(-1.1511048f), v_set(-1.0f));
    const vf s23 = v_fma(a, v_set(-5.246145e-2f), v_set(-4.592152e-1f));
    const vf s45 = v_fma(a, v_set(-4.1575764e-5f), v_set(6.984267e-3f));
    const vf s67 = v_fma(a, v_set(6.3509375e-5f), v_set(-2.5039178e-4f));
    const vf s89 = v_fma(a, v_set(3.6871754e-7f), v_set(-7.5389835e-6f));
    const vf high = v_fma(s89, a4, v_fma(s67, a2, s45));
    const vf s = v_fma(high, a4, v_fma(s23, a2, s01));
    const vf n = v_round_fma(s, v_set(1.0f), v_zero());
    const vf power = v_ldexp_normal(a, n);
    return v_sub(v_max(v_zero(), x), v_fma(v_exp2m1_fraction(v_sub(s, n)), power, power));
}

CK_INLINE vf v_silu(vf x) { return v_div(x, v_add(v_set(1.0f), v_exp(v_sub(v_zero(), x)))); }
