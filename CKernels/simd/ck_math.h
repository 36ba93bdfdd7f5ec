/*
 * Elementary functions over the vector vocabulary. Included by ck_simd.h only. NaN propagates through all of them.
 *
 * v_exp              exp(x), at most 2 ulp; 0 below -104, +inf above 88.73
 * v_exp_nonpositive  exp(x) for x <= 0, at most 2 ulp down to -87.3 and below 1.2e-38 further down
 * v_elu1             ELU(x) + 1: x + 1 for x > 0, else exp(x); at most 2 ulp for x > -87.3
 * v_gelu             exact GELU x (1 + erf(x / sqrt 2)) / 2: absolute error at most 7.5e-8 for |x| < 1 and
 *                    1.1e-7 |x| everywhere; the textbook formula in float32 reaches 4.5e-7 where this stays below
 *                    2.5e-7 (|x| < 10)
 * v_silu             x / (1 + exp(-x)), at most 4 ulp for x > -87
 *
 * The tests sweep every function against double precision on every instruction set.
 */

/* exp(r) for |r| <= ln2 / 2 */
CK_INLINE vf v_exp_fraction(vf r) {
    vf p = v_set(1.9875691500e-4f);
    p = v_fma(p, r, v_set(1.3981999507e-3f));
    p = v_fma(p, r, v_set(8.3334519073e-3f));
    p = v_fma(p, r, v_set(4.1665795894e-2f));
    p = v_fma(p, r, v_set(1.6666665459e-1f));
    p = v_fma(p, r, v_set(5.0000001201e-1f));
    return v_add(v_fma(v_mul(p, r), r, r), v_set(1.0f));
}

/* x - n ln2, with ln2 in two parts so that the remainder is exact to the last bit */
CK_INLINE vf v_exp_remainder(vf x, vf n) {
    return v_fnma(n, v_set(-2.12194440e-4f), v_fnma(n, v_set(0.693359375f), x));
}

CK_INLINE vf v_exp(vf x) {
    x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x));
    const vf n = v_round(v_mul(x, v_set(1.44269504088896341f)));
    return v_ldexp(v_exp_fraction(v_exp_remainder(x, n)), n);
}

CK_INLINE vf v_exp_nonpositive(vf x) {
    x = v_max(v_set(-88.0f), x);
    const vf n = v_round(v_mul(x, v_set(1.44269504088896341f)));
    return v_ldexp_normal(v_exp_fraction(v_exp_remainder(x, n)), n);
}

CK_INLINE vf v_elu1(vf x) {
    return v_select_gt(x, v_zero(), v_add(x, v_set(1.0f)), v_exp_nonpositive(v_min(v_zero(), x)));
}

/*
 * gelu(x) = max(x, 0) - a P(-a) with a = |x| and P the normal distribution function, which keeps both tails exact
 * where 1 + erf would cancel. P(-a) = 2^s with s a polynomial in a: minimax fit of log2 P(-a) on 0..9, weighted by
 * P(-a)^0.75; a P(-a) is below 1e-18 from there on.
 */
CK_INLINE vf v_gelu(vf x) {
    const vf a = v_min(v_set(9.0f), v_abs(x));
    vf s = v_set(3.6871754e-7f);
    s = v_fma(s, a, v_set(-7.5389835e-6f));
    s = v_fma(s, a, v_set(6.3509375e-5f));
    s = v_fma(s, a, v_set(-2.5039178e-4f));
    s = v_fma(s, a, v_set(-4.1575764e-5f));
    s = v_fma(s, a, v_set(6.984267e-3f));
    s = v_fma(s, a, v_set(-5.246145e-2f));
    s = v_fma(s, a, v_set(-4.592152e-1f));
    s = v_fma(s, a, v_set(-1.1511048f));
    s = v_fma(s, a, v_set(-1.0f));
    const vf n = v_round(s), r = v_sub(s, n);
    vf p = v_set(1.5345812e-4f); /* 2^r for |r| <= 1/2, to 2e-9 */
    p = v_fma(p, r, v_set(1.3399931e-3f));
    p = v_fma(p, r, v_set(9.618489e-3f));
    p = v_fma(p, r, v_set(5.5503286e-2f));
    p = v_fma(p, r, v_set(2.4022646e-1f));
    p = v_fma(p, r, v_set(6.931472e-1f));
    p = v_fma(p, r, v_set(1.0f));
    return v_fnma(a, v_ldexp_normal(p, n), v_max(v_zero(), x));
}

CK_INLINE vf v_silu(vf x) { return v_div(x, v_add(v_set(1.0f), v_exp(v_sub(v_zero(), x)))); }
