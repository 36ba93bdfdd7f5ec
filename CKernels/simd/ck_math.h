/*
 * Elementary functions over the vector vocabulary. Included by ck_simd.h only.
 *
 * v_exp  exp(x), at most 2 ulp; 0 below -104, +inf above 88.73; NaN propagates
 */

CK_INLINE vf v_exp(vf x) {
    x = v_select_gt(v_set(-104.0f), x, v_set(-104.0f), x);
    x = v_select_gt(x, v_set(89.0f), v_set(89.0f), x);
    /* x = n ln2 + r with |r| <= ln2 / 2; ln2 in two parts so that r is exact to the last bit */
    const vf n = v_round(v_mul(x, v_set(1.44269504088896341f)));
    vf r = v_fnma(n, v_set(0.693359375f), x);
    r = v_fnma(n, v_set(-2.12194440e-4f), r);
    vf p = v_set(1.9875691500e-4f);
    p = v_fma(p, r, v_set(1.3981999507e-3f));
    p = v_fma(p, r, v_set(8.3334519073e-3f));
    p = v_fma(p, r, v_set(4.1665795894e-2f));
    p = v_fma(p, r, v_set(1.6666665459e-1f));
    p = v_fma(p, r, v_set(5.0000001201e-1f));
    p = v_add(v_fma(v_mul(p, r), r, r), v_set(1.0f));
    return v_ldexp(p, n);
}
